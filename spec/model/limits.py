# SPDX-License-Identifier: Apache-2.0
"""7.3 Limits of the caller on what a stream may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds, checked before memory of the size in question is allocated.

    Attributes
    ----------
    tensor_elements, stream_elements : int
        Elements of one tensor, and of all tensors of a stream.
    tensor_dimensions : int
    topology_elements : int
        Names in one list.
    codebook_size : int
        Entries of one codebook.
    entry_points : int
        Entry points of one unit.

    Clause: 7.3
    """

    tensor_elements: int = 1 << 24
    stream_elements: int = 1 << 26
    tensor_dimensions: int = 32
    topology_elements: int = 1 << 20
    codebook_size: int = 1 << 20
    entry_points: int = 1 << 20
