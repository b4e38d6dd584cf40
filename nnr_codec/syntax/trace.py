# SPDX-License-Identifier: Apache-2.0
"""The trace: one event for each syntax element read or written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnr_codec.errors import NnrError


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One syntax element as it stood in the stream.

    Attributes
    ----------
    path : str
        ``nnr_unit[3].tensor_dimensions[1]``.
    element : str
        The standard's spelling, without index.
    descriptor : str
        ``u(8)``; a size or order that depends on other elements is given as its number here.
    bit_offset : int
        Absolute position of the first bit in the stream.
    n_bits : int
        How many bits it takes; less than the element wants where the stream ends inside it.
    raw : int or bytes or memoryview
        The bits as an unsigned integer; bytes for ``st(v)``, a view for ``bs(v)``.
    value : int or float or str or bytes or memoryview or None
        What it says; None when it could not be read whole.
    symbol : str or None
        The name of an enumeration's value.
    clause : str
        Where the specification defines it.
    fault : NnrError or None
        Why a decoder refuses it.
    """

    path: str
    element: str
    descriptor: str
    bit_offset: int
    n_bits: int
    raw: Any
    value: Any
    symbol: str | None
    clause: str
    fault: NnrError | None = None


class Trace(list[TraceEvent]):
    """Events in stream order. What was read before a fault stays."""

    __slots__ = ()

    def at_bit(self, bit_offset: int) -> TraceEvent | None:
        """Return the element that holds a bit, None for a bit that nothing claims."""
        for event in self:
            if event.bit_offset <= bit_offset < event.bit_offset + event.n_bits:
                return event
        return None

    def by_path(self, path: str) -> TraceEvent | None:
        """Return the element at a path."""
        return next((event for event in self if event.path == path), None)
