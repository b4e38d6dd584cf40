# SPDX-License-Identifier: Apache-2.0
"""Trace of a parse: one event per syntax element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnr_codec.errors import NnrError


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One syntax element of a stream.

    Attributes
    ----------
    path : str
        Path in the tree, such as ``nnr_unit[3].tensor_dimensions[1]``.
    element : str
        Name in the standard's spelling, without index.
    descriptor : str
        Descriptor such as ``u(8)``. A size or order that depends on other elements is replaced by its value.
    bit_offset : int
        Absolute position of the first bit in the stream.
    n_bits : int
        Number of bits. It is less than the size of the element if the stream ends inside the element.
    raw : int or bytes or memoryview
        Bits as an unsigned integer; bytes for ``st(v)``, a view for ``bs(v)``.
    value : int or float or str or bytes or memoryview or None
        Value; None if the element could not be read completely.
    symbol : str or None
        Name of an enumeration's value.
    clause : str
        Clause of the specification that defines the element.
    fault : NnrError or None
        Error that a strict decoder raises.
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
    """Events in stream order. Events before a fault are kept."""

    __slots__ = ()

    def by_path(self, path: str) -> TraceEvent | None:
        """Return the event of a path, or None."""
        return next((event for event in self if event.path == path), None)
