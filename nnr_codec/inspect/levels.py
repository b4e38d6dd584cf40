# SPDX-License-Identifier: Apache-2.0
"""Statistics of levels: how often each occurs and the least that any memoryless code could spend on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Levels counted one by one in the histogram; what lies beyond goes into two bins at its ends.
HISTOGRAM_REACH = 20

_COUNTED_SPAN = 1 << 20  # beyond this span of values sorting takes less memory than counting


@dataclass(frozen=True)
class LevelStatistics:
    """What the levels of one tensor are like.

    Attributes
    ----------
    entropy : float
        Empirical entropy in bits per weight: of the histogram, without contexts.
    histogram : tuple of int
        Counts of -reach-1 and below, of each level from -reach to reach, and of reach+1 and above.
    """

    count: int
    n_nonzero: int
    minimum: int
    maximum: int
    n_distinct: int
    entropy: float
    histogram: tuple[int, ...]


def level_statistics(levels: NDArray[np.int32]) -> LevelStatistics:
    """Count the levels of a tensor.

    Examples
    --------
    >>> level_statistics(np.array([0, 0, 1, -1], np.int32)).entropy
    1.5
    """
    if levels.size == 0:
        return LevelStatistics(0, 0, 0, 0, 0, 0.0, (0,) * (2 * HISTOGRAM_REACH + 3))
    low, high = int(levels.min()), int(levels.max())
    if high - low < _COUNTED_SPAN:
        counts = np.bincount(np.subtract(levels, low, dtype=np.int64))
        values = np.flatnonzero(counts)
        counts = counts[values]
        values = values + low
    else:
        values, counts = np.unique(levels, return_counts=True)
    share = counts / levels.size
    clipped = np.clip(values, -HISTOGRAM_REACH - 1, HISTOGRAM_REACH + 1) + HISTOGRAM_REACH + 1
    histogram = np.bincount(clipped, weights=counts, minlength=2 * HISTOGRAM_REACH + 3)
    return LevelStatistics(
        int(levels.size),
        int(counts[values != 0].sum()),
        low,
        high,
        int(values.size),
        abs(float(-(share * np.log2(share)).sum())),
        tuple(int(count) for count in histogram),
    )
