# SPDX-License-Identifier: Apache-2.0
"""Codebooks of the distinct levels of a tensor.

Clause: format 3 (codebook) and 5.3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnr_codec.model import Codebook

#: Longer codebooks cost more than they save, and decoders limit them.
LARGEST_CODEBOOK = 4096


def codebook_for_levels(levels: NDArray[np.int32]) -> tuple[Codebook, NDArray[np.int32]] | None:
    """Return a codebook and the indices of `levels` in it; None if there are too many distinct values.

    The most frequent value gets index 0, which the significance contexts code cheapest.
    """
    values, inverse, counts = np.unique(levels, return_inverse=True, return_counts=True)
    if not 0 < values.size <= LARGEST_CODEBOOK:
        return None
    zero = int(counts.argmax())
    indices = (inverse.reshape(-1) - zero).astype(np.int32)
    return Codebook(tuple(int(v) for v in values), zero), indices


def codebook_bits(codebook: Codebook) -> float:
    """Estimate the bits of a codebook in a header: 1 + 2 log2(difference) for the Exp-Golomb code of an entry."""
    gaps = np.diff(np.array(codebook.values, np.int64))
    # The order of the codes follows the gaps, which saves most of the prefix.
    return float((2 + np.log2(np.maximum(gaps, 1))).sum()) + 32.0
