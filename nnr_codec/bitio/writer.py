# SPDX-License-Identifier: Apache-2.0
"""The bit writer: whole bytes go to a bytearray, at most seven bits wait."""

from __future__ import annotations


class BitWriter:
    """Writes big-endian bit fields. What cannot be represented raises ``ValueError`` and writes nothing."""

    __slots__ = ("_bytes", "_n_pending", "_pending")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._pending = 0  # the last bits, fewer than 8, not yet in _bytes
        self._n_pending = 0

    @property
    def bit_length(self) -> int:
        """How many bits were written."""
        return 8 * len(self._bytes) + self._n_pending

    @property
    def aligned(self) -> bool:
        """Whether the position is a byte boundary."""
        return self._n_pending == 0

    def write_bits(self, value: int, n_bits: int) -> None:
        """Write ``value`` as ``n_bits`` bits, most significant first."""
        if n_bits < 0 or value < 0 or value >> n_bits:
            raise ValueError(f"{value} does not fit {n_bits} bits")
        pending = self._pending << n_bits | value
        n_pending = self._n_pending + n_bits
        rest = n_pending & 7
        if n_pending > 7:
            self._bytes += (pending >> rest).to_bytes(n_pending >> 3, "big")
        self._pending = pending & ((1 << rest) - 1)
        self._n_pending = rest

    def write_exp_golomb(self, value: int, order: int) -> None:
        """Write an unsigned Exp-Golomb code.

        Clause: format 1
        """
        if value < 0:
            raise ValueError(f"{value} is negative")
        shifted = value + (1 << order)
        n_bits = shifted.bit_length()
        self.write_bits(shifted, 2 * n_bits - order - 1)

    def write_bytes(self, content: bytes | bytearray | memoryview) -> None:
        """Write whole bytes; the position must be a byte boundary."""
        if self._n_pending:
            raise ValueError(f"bit {self.bit_length} is not a byte boundary")
        self._bytes += content

    def to_bytes(self) -> bytes:
        """Return everything written.

        Raises
        ------
        ValueError
            When it does not end on a byte boundary: padding is the syntax's business.
        """
        if self._n_pending:
            raise ValueError(f"{self.bit_length} bits are not whole bytes")
        return bytes(self._bytes)
