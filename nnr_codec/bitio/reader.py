# SPDX-License-Identifier: Apache-2.0
"""The bit reader: a window over a buffer, bounded on both sides, that always knows where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from nnr_codec.errors import MalformedBitstream, TruncatedBitstream

if TYPE_CHECKING:
    from mmap import mmap

# How much is looked at together. A shift of so short an integer costs little more than one of 64 bits.
_WINDOW_BITS = 512


class BitReader:
    """Reads big-endian bit fields from any buffer, an ``mmap`` included, without copying it.

    Parameters
    ----------
    buffer : bytes-like
        The whole stream; positions are absolute in it.
    start_bit : int
        Where reading starts, in bits.
    end_bit : int, optional
        Where it must stop, in bits; the buffer's end when not given. Nothing at or after it is ever read.

    Attributes
    ----------
    bit_offset : int
        The absolute position. Only reading moves it.
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
        # The bits from somewhere at or before the position up to _window_end, as one integer.
        self._window = 0
        self._window_end = start_bit

    @property
    def bits_left(self) -> int:
        """How many bits remain before ``end_bit``."""
        return self.end_bit - self.bit_offset

    @property
    def aligned(self) -> bool:
        """Whether the position is a byte boundary."""
        return self.bit_offset & 7 == 0

    def read_bits(self, n_bits: int) -> int:
        """Read ``n_bits`` bits, first bit most significant.

        Raises
        ------
        TruncatedBitstream
            When fewer remain; the position stays where it was.
        """
        end = self.bit_offset + n_bits
        if end > self._window_end:
            self._look_ahead(n_bits)
            if end > self._window_end:
                self._truncated(n_bits)
        self.bit_offset = end
        return self._window >> (self._window_end - end) & ((1 << n_bits) - 1)

    def read_bit(self) -> int:
        """Read one bit."""
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
            The largest value accepted. It bounds the prefix, so that no input makes this loop for long.

        Raises
        ------
        TruncatedBitstream
            When the code does not end before ``end_bit``.
        MalformedBitstream
            When the value is beyond ``maximum``.

        Notes
        -----
        With z leading zeros the value is ``2^k * (2^z - 1) + u(k + z)``, which is one less
        ``2^k`` than the ``k + z + 1`` bits that start with the prefix's 1.

        Clause: format 1
        """
        start = self.bit_offset
        longest = 2 * maximum.bit_length() + 2
        if start + longest > self._window_end:
            self._look_ahead(longest)
        n_seen = self._window_end - start
        zeros = n_seen - (self._window & ((1 << n_seen) - 1)).bit_length()
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
        """Load the window from the position on, with ``n_bits`` at least where there are so many."""
        first = self.bit_offset >> 3
        end = min(8 * first + max(_WINDOW_BITS, n_bits + 8), self.end_bit)
        last = (end + 7) >> 3
        self._window = int.from_bytes(self._view[first:last], "big") >> (8 * last - end)
        self._window_end = end

    def _beyond(self, order: int, maximum: int) -> NoReturn:
        raise MalformedBitstream(
            f"an Exp-Golomb code of order {order} holds more than {maximum}",
            bit_offset=self.bit_offset,
            clause="format 1",
        )

    def read_bytes(self, n_bytes: int) -> memoryview:
        """Take ``n_bytes`` whole bytes as a view of the buffer.

        Raises
        ------
        TruncatedBitstream
            When fewer remain.
        ValueError
            When the position is not a byte boundary.
        """
        start = self._byte_position()
        if self.bit_offset + 8 * n_bytes > self.end_bit:
            self._truncated(8 * n_bytes)
        self.bit_offset += 8 * n_bytes
        return self._view[start : start + n_bytes]

    def read_until_zero(self, max_bytes: int) -> bytes | None:
        """Take the bytes before the next zero byte and pass over it.

        Returns
        -------
        bytes or None
            None when more than ``max_bytes`` come first.

        Raises
        ------
        TruncatedBitstream
            When there is no zero byte before ``end_bit``.
        ValueError
            When the position is not a byte boundary.
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
            f"{needed} bits are needed and {self.bits_left} are left", bit_offset=self.bit_offset
        )
