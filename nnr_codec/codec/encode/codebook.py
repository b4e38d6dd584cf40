# SPDX-License-Identifier: Apache-2.0
"""Codebooks of the values that occur.

Clause: format 3 (codebook) and 5.3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnr_codec.model import Codebook

#: Longer lists cost more than they can save, and decoders bound them.
LARGEST_CODEBOOK = 4096


def codebook_for_levels(levels: NDArray[np.int32]) -> tuple[Codebook, NDArray[np.int32]] | None:
    """Return a codebook and the indices that stand for `levels` in it, or None when there are too many values.

    The most frequent value becomes the zero index, whatever it is: the significance contexts then spend the least.
    """
    values, inverse, counts = np.unique(levels, return_inverse=True, return_counts=True)
    if not 0 < values.size <= LARGEST_CODEBOOK:
        return None
    zero = int(counts.argmax())
    indices = (inverse.reshape(-1) - zero).astype(np.int32)
    return Codebook(tuple(int(v) for v in values), zero), indices


def codebook_bits(codebook: Codebook) -> float:
    """Return about the bits of a codebook in a header: an entry's Exp-Golomb code takes 1 + 2 log2(difference)."""
    gaps = np.diff(np.array(codebook.values, np.int64))
    # The order of the codes follows the gaps, which saves most of the prefix.
    return float((2 + np.log2(np.maximum(gaps, 1))).sum()) + 32.0
