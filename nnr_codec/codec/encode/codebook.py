# SPDX-License-Identifier: Apache-2.0
"""A codebook of the values that occur.

Clause: format 3 (codebook) and 5.3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnr_codec.model import Codebook

# Longer lists cost more than they can save, and decoders bound them.
_MAX_ENTRIES = 4096


def codebook_for_levels(levels: NDArray[np.int32]) -> tuple[Codebook, NDArray[np.int32]] | None:
    """Return a codebook and the indices that stand for `levels` in it, or None when there are too many values.

    The most frequent value becomes the zero index, whatever it is: the significance contexts then spend the least.
    """
    values, inverse, counts = np.unique(levels, return_inverse=True, return_counts=True)
    if not 0 < values.size <= _MAX_ENTRIES:
        return None
    zero = int(counts.argmax())
    indices = (inverse.reshape(-1) - zero).astype(np.int32)
    return Codebook(tuple(int(v) for v in values), zero), indices
