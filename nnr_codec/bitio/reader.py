# SPDX-License-Identifier: Apache-2.0
"""Bit reader over a bounded range of a buffer, with absolute bit positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from nnr_codec.errors import MalformedBitstream, TruncatedBitstream

if TYPE_CHECKING:
    from mmap import mmap

# Bits cached in one Python integer. Shifting 512 bits costs little more than shifting 64.
_WINDOW_BITS = 512


class BitReader:
    """Reader of big-endian bit fields; the buffer, such as an ``mmap``, is not copied.

    Parameters
    ----------
    buffer : bytes-like
        The whole stream. All positions are absolute in it.
    start_bit : int
        First bit to read.
    end_bit : int, optional
        End of the range, exclusive; the end of the buffer by default. No bit at or after it is read.

    Attributes
    ----------
    bit_offset : int
        Absolute position of the next bit. Only reading moves it.

    Raises
    ------
    ValueError
        The range is not inside the buffer.
    """

    __slots__ = ("_view", "_window", "_window_end", "bit_offset", "end_bit")

    def __init__(
        self, buffer: bytes | bytearray | memoryview | mmap, start_bit: int = 0, end_bit: int | None = None
    ) -> None:
        view = memoryview(buffer)
        self._view = view if view.format == "B" and view.ndim == 1 else view.cast("B")
        size = 8 * len(self._view)
        end_bit = size if end_bit is None else end_bit
        if not 0 <= start_bit <= end_bit <= size:
            raise ValueError(f"bits {start_bit}..{end_bit} are not inside a buffer of {size} bits")
        self.bit_offset = start_bit
        self.end_bit = end_bit
        # Cached bits as one integer. They end at _window_end and start at or before bit_offset.
        self._window = 0
        self._window_end = start_bit

    @property
    def remaining_bits(self) -> int:
        """Number of bits before ``end_bit``."""
        return self.end_bit - self.bit_offset

    @property
    def aligned(self) -> bool:
        """True if the position is a byte boundary."""
        return self.bit_offset & 7 == 0

    def read_bits(self, n_bits: int) -> int:
        """Read ``n_bits`` bits as an unsigned integer, most significant bit first.

        Raises
        ------
        TruncatedBitstream
            Fewer bits remain. The position does not change.
        """
        end = self.bit_offset + n_bits
        if end > self._window_end:
            self._look_ahead(n_bits)
            if end > self._window_end:
                self._truncated(n_bits)
        self.bit_offset = end
        return self._window >> (self._window_end - end) & ((1 << n_bits) - 1)

    def read_bit(self) -> int:
        """Read one bit.

        Raises
        ------
        TruncatedBitstream
            No bit remains.
        """
        end = self.bit_offset + 1
        if end > self._window_end:
            self._look_ahead(1)
            if end > self._window_end:
                self._truncated(1)
        self.bit_offset = end
        return self._window >> (self._window_end - end) & 1

    def read_exp_golomb(self, order: int, maximum: int = 0xFFFFFFFF) -> int:
        """Read an unsigned Exp-Golomb code.

        Parameters
        ----------
        order : int
            The ``k`` of ``ue(k)``.
        maximum : int
            Largest accepted value. It also bounds the length of the prefix.

        Returns
        -------
        int
            Value, 0..maximum.

        Raises
        ------
        TruncatedBitstream
            The code does not end before ``end_bit``.
        MalformedBitstream
            The value exceeds ``maximum``.

        Notes
        -----
        A code with z leading zeros has the value ``2^k * (2^z - 1) + u(k + z)``. This equals the last ``k + z + 1`` bits of
        the code, which start with a 1, minus ``2^k``.

        Clause: format 1
        """
        start = self.bit_offset
        max_code_bits = 2 * maximum.bit_length() + 2
        if start + max_code_bits > self._window_end:
            self._look_ahead(max_code_bits)
        n_cached = self._window_end - start
        zeros = n_cached - (self._window & ((1 << n_cached) - 1)).bit_length()
        if zeros + order > maximum.bit_length():
            self._beyond(order, maximum)
        end = start + 2 * zeros + order + 1
        if end > self._window_end:
            self._truncated(2 * zeros + order + 1)
        n_bits = zeros + order + 1
        value = (self._window >> (self._window_end - end) & ((1 << n_bits) - 1)) - (1 << order)
        if value > maximum:
            self._beyond(order, maximum)
        self.bit_offset = end
        return value

    def _look_ahead(self, n_bits: int) -> None:
        """Cache at least ``n_bits`` bits from the position on, or all remaining bits if they are fewer."""
        start_byte = self.bit_offset >> 3
        end = min(8 * start_byte + max(_WINDOW_BITS, n_bits + 8), self.end_bit)
        end_byte = (end + 7) >> 3
        self._window = int.from_bytes(self._view[start_byte:end_byte], "big") >> (8 * end_byte - end)
        self._window_end = end

    def _beyond(self, order: int, maximum: int) -> NoReturn:
        raise MalformedBitstream(
            f"an Exp-Golomb code of order {order} holds more than {maximum}",
            bit_offset=self.bit_offset,
            clause="format 1",
        )

    def read_bytes(self, n_bytes: int) -> memoryview:
        """Read ``n_bytes`` whole bytes as a view of the buffer.

        Raises
        ------
        TruncatedBitstream
            Fewer bytes remain.
        ValueError
            The position is not a byte boundary.
        """
        start = self._byte_position()
        if self.bit_offset + 8 * n_bytes > self.end_bit:
            self._truncated(8 * n_bytes)
        self.bit_offset += 8 * n_bytes
        return self._view[start : start + n_bytes]

    def read_until_zero(self, max_bytes: int) -> bytes | None:
        """Read the bytes before the next zero byte, and skip the zero byte.

        Returns
        -------
        bytes or None
            None if more than ``max_bytes`` bytes precede the zero byte.

        Raises
        ------
        TruncatedBitstream
            There is no zero byte before ``end_bit``.
        ValueError
            The position is not a byte boundary.
        """
        start = self._byte_position()
        end = self.end_bit >> 3
        reach = 64
        while True:
            chunk = bytes(self._view[start : min(start + reach, end)])
            length = chunk.find(0)
            if 0 <= length <= max_bytes:
                self.bit_offset += 8 * (length + 1)
                return chunk[:length]
            if len(chunk) > max_bytes:
                return None
            if start + reach >= end:
                self._truncated(8 * (len(chunk) + 1))
            reach *= 4

    def _byte_position(self) -> int:
        if self.bit_offset & 7:
            raise ValueError(f"bit {self.bit_offset} is not a byte boundary")
        return self.bit_offset >> 3

    def _truncated(self, needed: int) -> NoReturn:
        raise TruncatedBitstream(
            f"{needed} bits are needed and {self.remaining_bits} remain", bit_offset=self.bit_offset
        )
