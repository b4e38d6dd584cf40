# SPDX-License-Identifier: Apache-2.0
"""What stands between an ideal trellis and a stream: the binarisation, and contexts that never stop adapting.

The ideal trellis's own values are coded bin by bin, each bin by a context of its kind. With probabilities known and constant
only the suffixes of Exp-Golomb codes lose, which are uniform where the density falls, and the flags that several states
share. With real contexts each bin costs more, as both estimates of a context follow every bin for ever.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnr_codec import rate
from tools.curves.ideal import Point

_UNARY_LENGTHS = (1, 2, 3, 4, 6, 8, 10, 14, 20, 28, 40, 56, 80, 112, 160)
_BINS = 200_000


@dataclass(frozen=True)
class Limit:
    """Bits per weight beyond the entropy of an ideal trellis's values, at the best unary length."""

    static: float  # the binarisation alone, probabilities known
    adaptive: float  # with what the best of the nine initialisations costs more
    unary_length: int  # best for the latter


@functools.cache
def excess() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return probabilities of a bin, and what independent bins of them cost beyond their entropy with the best initialisation.

    The codec's own rate estimate says it, of tensors of zeros and ones: significance bins, and signs for an even chance.
    """
    rng = np.random.default_rng(1)
    shares = np.array([0.002, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45])
    costs = []
    coding = rate.TensorCoding(rows=1, width=_BINS)
    for share in shares:
        found = []
        for likely in (share, 1 - share):
            levels = (rng.random(_BINS) < likely).astype(np.int32)
            spent = rate.estimate_bits(levels, coding).significance / _BINS
            found.append(spent - float(_entropy(np.array(levels.mean()))))
        costs.append(min(found))
    signs = np.where(rng.random(_BINS) < 0.5, 1, -1).astype(np.int32)
    costs.append(rate.estimate_bits(signs, coding).sign / _BINS - 1)
    probabilities = np.concatenate([[0.0], shares, [0.5]])
    return probabilities, np.concatenate([[0.0], np.maximum(costs, 0.0)])


def limit(point: Point) -> Limit:
    """Return what coding an ideal trellis's values must cost beyond their entropy."""
    found = []
    for unary in _UNARY_LENGTHS:
        static, adaptive = _costs(point.counts, unary)
        found.append((static + adaptive - point.bits, static - point.bits, unary))
    best = min(found)
    return Limit(min(f[1] for f in found), best[0], best[2])


def _costs(counts: NDArray[np.float64], unary: int) -> tuple[float, float]:
    """Return bits per weight with known probabilities, and what contexts add to them."""
    total = counts.sum()
    bins = [(row[1:].sum(), row.sum()) for row in counts]  # significance: ones of so many
    of_magnitude = counts.sum(axis=0)
    above = np.append(of_magnitude[::-1].cumsum()[::-1], 0.0)  # above[m]: magnitudes of m and more
    bins.append((above[1] / 2, above[1]))  # the sign
    bins += [(above[j + 2], above[j + 1]) for j in range(min(unary, of_magnitude.size - 1))]
    suffix = 0.0
    low, k = unary + 1, 0
    while low < of_magnitude.size:
        high = min(low + (1 << k), of_magnitude.size)
        bins.append((above[high], above[low]))
        suffix += k * (above[low] - above[high])
        low, k = high, k + 1
    ones, seen = (np.array(column) for column in zip(*bins, strict=True))
    shares = ones / np.maximum(seen, 1.0)
    probabilities, more = excess()
    static = float((seen * _entropy(shares)).sum() + suffix) / total
    return static, float(
        (seen * np.interp(np.minimum(shares, 1 - shares), probabilities, more)).sum()
    ) / total


def _entropy(share: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(share, 1e-12, 1 - 1e-12)
    found: NDArray[np.float64] = -(inside * np.log2(inside) + (1 - inside) * np.log2(1 - inside))
    return found
