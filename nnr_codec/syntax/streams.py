# SPDX-License-Identifier: Apache-2.0
"""Bit reader and bit writer with the parse options that syntax elements need."""

from __future__ import annotations

from typing import Any

from nnr_codec.bitio import BitReader, BitWriter
from nnr_codec.model import Limits
from nnr_codec.syntax.trace import Trace


class SyntaxReader(BitReader):
    """Bit reader with parse options.

    Attributes
    ----------
    root : str
        Path of the root of the tree, such as ``nnr_unit[3]``.
    limits : Limits
    strict : bool
        True raises an error for a forbidden value. False only records it in the trace.
    trace : Trace or None
    """

    __slots__ = ("limits", "root", "strict", "trace")

    def __init__(
        self,
        buffer: Any,
        start_bit: int = 0,
        end_bit: int | None = None,
        *,
        root: str = "nnr_unit",
        limits: Limits | None = None,
        strict: bool = True,
        trace: Trace | None = None,
    ) -> None:
        super().__init__(buffer, start_bit, end_bit)
        self.root = root
        self.limits = limits or Limits()
        self.strict = strict
        self.trace = trace

    def bits_between(self, start: int, end: int) -> int:
        """Return the bits from `start` to `end` as one unsigned integer; the position does not change."""
        end_byte = (end + 7) >> 3
        return int.from_bytes(self._view[start >> 3 : end_byte], "big") >> (8 * end_byte - end) & (
            (1 << (end - start)) - 1
        )

    def view_between(self, start: int, end: int) -> memoryview:
        """Return the whole bytes from bit `start` to bit `end`; the position does not change."""
        return self._view[start >> 3 : end >> 3]


class SyntaxWriter(BitWriter):
    """Bit writer with build options; ``strict`` and ``root`` as in `SyntaxReader`."""

    __slots__ = ("root", "strict")

    def __init__(self, *, root: str = "nnr_unit", strict: bool = True) -> None:
        super().__init__()
        self.root = root
        self.strict = strict
