# SPDX-License-Identifier: Apache-2.0
"""7.3 Limits: what the caller is ready to decode. They are the caller's, not the format's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Checked before anything of the size concerned is allocated."""

    tensor_elements: int = 1 << 24
    stream_elements: int = 1 << 26
    tensor_dimensions: int = 32
    topology_elements: int = 1 << 20
    codebook_size: int = 1 << 20
    entry_points: int = 1 << 20
