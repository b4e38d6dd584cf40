# SPDX-License-Identifier: Apache-2.0
"""Bounds on the cost of a stream."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds checked before anything is allocated or looped over; None means no bound.

    The defaults let a model of 100 GB or of half a million tensors through and stop a small stream that claims a large one.
    The encoder writes no stream that they refuse.

    Attributes
    ----------
    max_stream_bytes : int or None
        Size of the whole stream; protects a service from being handed more than it can store.
    max_units : int or None
        Units in a stream; protects the unit index, one entry each, from streams of tiny units.
    max_unit_bytes : int or None
        Size of one unit, or of one unit joined from its parts; protects whoever copies units.
    max_tensor_elements : int or None
        Elements of one tensor, the product of its dimensions; protects the largest single allocation.
    max_total_elements : int or None
        Elements of all tensors of a stream; protects the sum of all allocations.
    max_dimensions : int or None
        Dimensions of a tensor; protects consumers, NumPy takes 64 at most.
    max_names : int or None
        Topology elements that one unit names; protects against lists of one-byte names.
    max_name_bytes : int or None
        Length of one name or text; protects logs, dictionaries and file names.
    max_codebook_size : int or None
        Entries of a codebook; protects against a header that is all codebook.
    max_topology_bytes : int or None
        Topology or quantisation description after inflation; protects against deflate bombs.
    max_expansion_ratio : int or None
        Decoded bytes (4 per element) for each byte of the stream; protects against a few bytes that decode to
        terabytes of zeros, which the format allows.
    expansion_floor_bytes : int
        Decoded size under which the ratio is not looked at, so that a small stream of an all-zero tensor
        passes.
    max_nesting : int or None
        Aggregate units inside each other; protects the stack.
    max_updates_kept : int or None
        Updates of a parameter that later ones may build on; protects memory from long series, of which each keeps the levels.
    max_seconds : float or None
        Wall time of one call; protects a service's latency. No bound unless asked for.
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

    @classmethod
    def none(cls) -> Limits:
        """Return limits that allow everything, for streams from a trusted source."""
        unbounded: dict[str, Any] = {field.name: None for field in fields(cls)}
        return cls(**unbounded | {"expansion_floor_bytes": 0})
