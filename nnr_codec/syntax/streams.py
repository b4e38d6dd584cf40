# SPDX-License-Identifier: Apache-2.0
"""What syntax elements read from and write to: bits, and how to treat them."""

from __future__ import annotations

from typing import Any

from nnr_codec.bitio import BitReader, BitWriter
from nnr_codec.model import Limits
from nnr_codec.syntax.trace import Trace


class SyntaxReader(BitReader):
    """A bit reader that knows how to treat what is read.

    Attributes
    ----------
    root : str
        Path of the whole, such as ``nnr_unit[3]``.
    limits : Limits
    strict : bool
        Whether a value that the format forbids is an error or only a fault noted in the trace.
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
        """Return bits that were already passed, as one unsigned integer."""
        last = (end + 7) >> 3
        return int.from_bytes(self._view[start >> 3 : last], "big") >> (8 * last - end) & (
            (1 << (end - start)) - 1
        )

    def view_between(self, start: int, end: int) -> memoryview:
        """Return whole bytes that were already passed."""
        return self._view[start >> 3 : end >> 3]


class SyntaxWriter(BitWriter):
    """A bit writer that knows how to treat what is written; ``strict`` and ``root`` as in `SyntaxReader`."""

    __slots__ = ("root", "strict")

    def __init__(self, *, root: str = "nnr_unit", strict: bool = True) -> None:
        super().__init__()
        self.root = root
        self.strict = strict
