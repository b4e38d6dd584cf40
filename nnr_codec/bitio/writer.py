# SPDX-License-Identifier: Apache-2.0
"""Bit writer into a growing byte buffer."""

from __future__ import annotations


class BitWriter:
    """Writer of big-endian bit fields.

    A value that does not fit its field raises ``ValueError``, and nothing is written.
    """

    __slots__ = ("_bytes", "_n_pending", "_pending")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._pending = 0  # the last _n_pending bits, 0..7 of them, not yet in _bytes
        self._n_pending = 0

    @property
    def bit_length(self) -> int:
        """Number of bits written."""
        return 8 * len(self._bytes) + self._n_pending

    @property
    def aligned(self) -> bool:
        """True if the position is a byte boundary."""
        return self._n_pending == 0

    def write_bits(self, value: int, n_bits: int) -> None:
        """Write ``value`` as ``n_bits`` bits, most significant bit first.

        Raises
        ------
        ValueError
            The value is negative or needs more bits.
        """
        if n_bits < 0 or value < 0 or value >> n_bits:
            raise ValueError(f"{value} does not fit {n_bits} bits")
        pending = self._pending << n_bits | value
        n_pending = self._n_pending + n_bits
        n_kept = n_pending & 7
        if n_pending > 7:
            self._bytes += (pending >> n_kept).to_bytes(n_pending >> 3, "big")
        self._pending = pending & ((1 << n_kept) - 1)
        self._n_pending = n_kept

    def write_exp_golomb(self, value: int, order: int) -> None:
        """Write an unsigned Exp-Golomb code.

        Raises
        ------
        ValueError
            The value is negative.

        Clause: format 1
        """
        if value < 0:
            raise ValueError(f"{value} is negative")
        shifted = value + (1 << order)
        n_bits = shifted.bit_length()
        self.write_bits(shifted, 2 * n_bits - order - 1)

    def write_bytes(self, content: bytes | bytearray | memoryview) -> None:
        """Write whole bytes.

        Raises
        ------
        ValueError
            The position is not a byte boundary.
        """
        if self._n_pending:
            raise ValueError(f"bit {self.bit_length} is not a byte boundary")
        self._bytes += content

    def to_bytes(self) -> bytes:
        """Return all bytes written.

        Raises
        ------
        ValueError
            The position is not a byte boundary. Callers write padding explicitly, as a syntax element.
        """
        if self._n_pending:
            raise ValueError(f"{self.bit_length} bits are not whole bytes")
        return bytes(self._bytes)
