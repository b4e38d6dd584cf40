# SPDX-License-Identifier: Apache-2.0
"""Resource limits for decoding."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from operator import index
from typing import Any


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that are checked before allocations and loops; None means no bound.

    The defaults accept a model of 100 GB or of half a million tensors, and reject a small stream that claims to hold a large one.
    The encoder writes no stream that they reject.

    Attributes
    ----------
    max_stream_bytes : int or None
        Size of the whole stream; protects the storage of a service.
    max_units : int or None
        Units in a stream; protects the unit index, which has one entry per unit.
    max_unit_bytes : int or None
        Size of one unit, or of one unit joined from its parts; protects code that copies units.
    max_tensor_elements : int or None
        Elements of one tensor, the product of its dimensions; protects the largest single allocation.
    max_total_elements : int or None
        Elements of all tensors of a stream; protects the sum of all allocations.
    max_dimensions : int or None
        Dimensions of a tensor; protects array libraries (NumPy supports at most 64).
    max_names : int or None
        Topology elements named by one unit; protects against lists of one-byte names.
    max_name_bytes : int or None
        Length of one name or text; protects logs, dictionaries and file names.
    max_codebook_size : int or None
        Entries of a codebook; protects the memory that a large codebook takes.
    max_topology_bytes : int or None
        Size of a topology or quantisation description after inflation; protects against deflate bombs.
    max_expansion_ratio : int or None
        Decoded bytes (4 per element) per byte of the stream. The format allows a few bytes to decode to terabytes of zeros;
        this limit protects against such streams.
    expansion_floor_bytes : int
        Decoded size below which max_expansion_ratio is not applied, so that small streams of zeros decode.
    max_nesting : int or None
        Nesting depth of aggregate units; protects the stack.
    max_updates_kept : int or None
        Updates of a parameter kept as parents of later updates; protects memory, as each update keeps its levels.
    max_seconds : float or None
        Wall time of one call; protects the latency of a service. No bound by default.

    Raises
    ------
    TypeError
        A bound is no integer, or ``max_seconds`` no number.
    ValueError
        A bound is negative or NaN.
    """

    max_stream_bytes: int | None = 1 << 40
    max_units: int | None = 1 << 19
    max_unit_bytes: int | None = (1 << 31) - 1
    max_tensor_elements: int | None = 1 << 35
    max_total_elements: int | None = 1 << 38
    max_dimensions: int | None = 32
    max_names: int | None = 1 << 19
    max_name_bytes: int | None = 1 << 12
    max_codebook_size: int | None = 1 << 16
    max_topology_bytes: int | None = 1 << 24
    max_expansion_ratio: int | None = 1 << 20
    expansion_floor_bytes: int = 1 << 28
    max_nesting: int | None = 8
    max_updates_kept: int | None = 8
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            bound = getattr(self, field.name)
            if bound is None:
                continue
            # A bound of another type would bound nothing in native code.
            try:
                number = math.fabs(bound) if field.name == "max_seconds" else index(bound)
            except TypeError:
                kind = "a number" if field.name == "max_seconds" else "an integer"
                raise TypeError(f"{field.name} must be {kind} or None, not {type(bound).__name__}") from None
            if bound < 0 or number != number:
                raise ValueError(f"{field.name} must be 0 or more, not {bound}")

    @classmethod
    def none(cls) -> Limits:
        """Return limits without bounds, for streams from a trusted source."""
        unbounded: dict[str, Any] = {field.name: None for field in fields(cls)}
        return cls(**unbounded | {"expansion_floor_bytes": 0})
