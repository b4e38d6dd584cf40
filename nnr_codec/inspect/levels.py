# SPDX-License-Identifier: Apache-2.0
"""Statistics of levels: how often each occurs and the least that any memoryless code could spend on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Bins of the histogram on each side of the one around 0.
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
        Counts of 2 * HISTOGRAM_REACH + 1 bins, the middle one around 0.
    bin_width : int
        Levels per bin, a power of two; bin k holds the levels from ``k * bin_width - bin_width // 2`` on.
    """

    count: int
    n_nonzero: int
    minimum: int
    maximum: int
    n_distinct: int
    entropy: float
    histogram: tuple[int, ...]
    bin_width: int = 1


def level_statistics(levels: NDArray[np.int32]) -> LevelStatistics:
    """Count the levels of a tensor.

    Examples
    --------
    >>> level_statistics(np.array([0, 0, 1, -1], np.int32)).entropy
    1.5
    """
    if levels.size == 0:
        return LevelStatistics(0, 0, 0, 0, 0, 0.0, (0,) * (2 * HISTOGRAM_REACH + 1))
    low, high = int(levels.min()), int(levels.max())
    if high - low < _COUNTED_SPAN:
        counts = np.bincount(np.subtract(levels, low, dtype=np.int64))
        values = np.flatnonzero(counts)
        counts = counts[values]
        values = values + low
    else:
        values, counts = np.unique(levels, return_counts=True)
    share = counts / levels.size
    width = 1
    while max(_bin(high, width), -_bin(low, width)) > HISTOGRAM_REACH:
        width *= 2
    bins = (values.astype(np.int64) + width // 2) // width + HISTOGRAM_REACH
    histogram = np.bincount(bins, weights=counts, minlength=2 * HISTOGRAM_REACH + 1)
    return LevelStatistics(
        int(levels.size),
        int(counts[values != 0].sum()),
        low,
        high,
        int(values.size),
        abs(float(-(share * np.log2(share)).sum())),
        tuple(int(count) for count in histogram),
        width,
    )


def _bin(level: int, width: int) -> int:
    return (level + width // 2) // width
