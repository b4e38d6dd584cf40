# SPDX-License-Identifier: Apache-2.0
"""Statistics of one tensor's levels: counts, a histogram, and the entropy of the coded values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnr_codec.inspect.read.coded_values import coded_values, conditional_entropy

#: Histogram bins on each side of the bin around 0.
HISTOGRAM_REACH = 20

_COUNTED_SPAN = 1 << 20  # sorting takes less memory than counting beyond this span of values


@dataclass(frozen=True)
class LevelStatistics:
    """Statistics of the levels of one tensor.

    Attributes
    ----------
    entropy : float
        Bits per level: the empirical entropy of the coded values given the state of dependent quantisation and the
        class of the value before (zero, negative, positive). Skipped rows count as levels of 0 bits.
    histogram : tuple of int
        Counts of 2 * HISTOGRAM_REACH + 1 bins, the middle one around 0.
    bin_width : int
        Levels per bin, a power of two; bin k starts at level ``k * bin_width - bin_width // 2``.

    Clause: format 5.2, 5.4
    """

    count: int
    n_nonzero: int
    minimum: int
    maximum: int
    n_distinct: int
    entropy: float
    histogram: tuple[int, ...]
    bin_width: int = 1


def level_statistics(
    levels: NDArray[np.int32], *, dependent: bool, scan_order: int = 0, row_skip_flags: bytes = b""
) -> LevelStatistics:
    """Return the statistics of a tensor's levels.

    Parameters are those of `coded_values`.

    Examples
    --------
    >>> level_statistics(np.array([[0, 0, 1, -1]], np.int32), dependent=False).n_distinct
    3
    """
    if levels.size == 0:
        return LevelStatistics(0, 0, 0, 0, 0, 0.0, (0,) * (2 * HISTOGRAM_REACH + 1))
    low, high = int(levels.min()), int(levels.max())
    flat = levels.reshape(-1)
    if high - low < _COUNTED_SPAN:
        counts = np.bincount(np.subtract(flat, low, dtype=np.int64))
        values = np.flatnonzero(counts)
        counts = counts[values]
        values = values + low
    else:
        values, counts = np.unique(flat, return_counts=True)
    width = 1
    while max(_bin(high, width), -_bin(low, width)) > HISTOGRAM_REACH:
        width *= 2
    bins = (values.astype(np.int64) + width // 2) // width + HISTOGRAM_REACH
    histogram = np.bincount(bins, weights=counts, minlength=2 * HISTOGRAM_REACH + 1)
    coded = coded_values(levels, dependent=dependent, scan_order=scan_order, row_skip_flags=row_skip_flags)
    return LevelStatistics(
        int(levels.size),
        int(counts[values != 0].sum()),
        low,
        high,
        int(values.size),
        conditional_entropy(coded) / levels.size,
        tuple(histogram.astype(np.int64).tolist()),
        width,
    )


def _bin(level: int, width: int) -> int:
    return (level + width // 2) // width
