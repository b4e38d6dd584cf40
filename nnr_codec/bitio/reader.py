# SPDX-License-Identifier: Apache-2.0
"""The bit reader: a window over a buffer, bounded on both sides, that always knows where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from nnr_codec.errors import MalformedBitstream, TruncatedBitstream

if TYPE_CHECKING:
    from mmap import mmap

# One look at the buffer must hold the longest prefix of an Exp-Golomb code of 32 bits, wherever it starts.
_PEEK_BYTES = 8


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
    """

    __slots__ = ("_view", "bit_offset", "end_bit")

    def __init__(self, buffer: bytes | bytearray | memoryview | mmap, start_bit: int = 0, end_bit: int | None = None) -> None:
        view = memoryview(buffer)
        self._view = view if view.format == "B" and view.ndim == 1 else view.cast("B")
        size = 8 * len(self._view)
        end_bit = size if end_bit is None else end_bit
        if not 0 <= start_bit <= end_bit <= size:
            raise ValueError(f"bits {start_bit}..{end_bit} are not inside a buffer of {size} bits")
        self.bit_offset = start_bit
        self.end_bit = end_bit

    @property
    def bits_left(self) -> int:
        """int : How many bits remain before ``end_bit``."""
        return self.end_bit - self.bit_offset

    @property
    def aligned(self) -> bool:
        """bool : Whether the position is a byte boundary."""
        return self.bit_offset & 7 == 0

    def read_bits(self, n_bits: int) -> int:
        """Read ``n_bits`` bits, first bit most significant.

        Raises
        ------
        TruncatedBitstream
            When fewer remain; the position stays where it was.
        """
        start = self.bit_offset
        end = start + n_bits
        if end > self.end_bit:
            self._truncated(n_bits)
        last = (end + 7) >> 3
        window = int.from_bytes(self._view[start >> 3 : last], "big")
        self.bit_offset = end
        return window >> ((last << 3) - end) & ((1 << n_bits) - 1)

    def read_bit(self) -> int:
        """Read one bit."""
        start = self.bit_offset
        if start >= self.end_bit:
            self._truncated(1)
        self.bit_offset = start + 1
        return self._view[start >> 3] >> (7 - (start & 7)) & 1

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
        zeros = self._leading_zeros(max(0, maximum.bit_length() - order) + 1)
        n_bits = zeros + order + 1
        self.bit_offset = start + zeros
        try:
            value = self.read_bits(n_bits) - (1 << order)
        except TruncatedBitstream:
            self.bit_offset = start
            self._truncated(zeros + n_bits)
        if value > maximum:
            self.bit_offset = start
            raise MalformedBitstream(
                f"an Exp-Golomb code of order {order} holds more than {maximum}", bit_offset=start, clause="format 1"
            )
        return value

    def _leading_zeros(self, enough: int) -> int:
        """Count zero bits from here, without moving, up to ``enough`` of them."""
        start = self.bit_offset
        end = min(start + enough, self.end_bit)
        zeros = 0
        while start < end:
            first = start >> 3
            window = self._view[first : first + _PEEK_BYTES]
            width = 8 * len(window) - (start & 7)
            ones_below = int.from_bytes(window, "big") & ((1 << width) - 1)
            run = width - ones_below.bit_length()
            zeros += run
            if run < width:
                break
            start += width
        return min(zeros, end - self.bit_offset)

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
        """Take the bytes before the next zero byte and pass over it; None when more than ``max_bytes`` come first.

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
            f"{needed} bits are needed and {max(0, self.end_bit - self.bit_offset)} are left", bit_offset=self.bit_offset
        )
