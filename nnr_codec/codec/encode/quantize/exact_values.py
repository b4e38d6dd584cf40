# SPDX-License-Identifier: Apache-2.0
"""Exact coding of tensors with few distinct values, in forms that any conforming decoder reads.

float32 values are integers times a power of two. With that power as the step and scalar quantisation, a decoder's product of
step and level, or of step and codebook entry, is exact in binary32 and in binary64 alike: the integers have at most 24
significant bits.

Clause: format 3 (codebook), 4
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.quantize.codebook import LARGEST_CODEBOOK, codebook_bits
from nnr_codec.model import Codebook
from nnr_codec.quant import UNIFORM_MSE

_LARGEST_LEVEL = (1 << 31) - 1
#: Tensors of up to this many elements are always coded exactly, which costs a few bytes at most.
TINY = 4
# Largest cost of exact coding: this multiple of the estimate for the default, plus _FREE_BITS.
_MOST_COST = 1.25
_FREE_BITS = 128.0
# Elements sampled to see whether values repeat, and to estimate their entropy.
_FIRST_SAMPLE = 256
_SECOND_SAMPLE = 4096
_PIECE = 1 << 16
# Levels up to this magnitude are tried without a codebook.
_SMALL_LEVEL = 1 << 10
# Larger values of float32 are integers whatever they stand for.
_LARGEST_POSITION = 1 << 20


@dataclass(frozen=True)
class ExactForm:
    """Levels that stand for values exactly.

    Attributes
    ----------
    codebook : Codebook or None
    levels : int32[n]
        Levels of scalar quantisation, or codebook indices relative to the zero entry.
    exponent : int
        The step is 2 to this power.
    """

    codebook: Codebook | None
    levels: NDArray[np.int32]
    exponent: int


@dataclass(frozen=True)
class _DistinctValues:
    values: NDArray[np.float32]  # increasing
    counts: NDArray[np.int64]

    def entropy_bits(self) -> float:
        """Return the zeroth-order entropy of all elements."""
        total = int(self.counts.sum())
        return float(-(self.counts * np.log2(self.counts / total)).sum())

    def usual_bits(self, error: float) -> float:
        """Return the bits of all elements that an error costs, about: the entropy at the step of the uniform quantiser."""
        step = error / math.sqrt(UNIFORM_MSE)
        if not step > 0 or float(np.abs(self.values).max()) > step * 2.0**31:
            return 32.0 * int(self.counts.sum())
        levels = np.rint(self.values.astype(np.float64) / step)
        starts = np.flatnonzero(np.concatenate([[True], levels[1:] != levels[:-1]]))
        return _DistinctValues(self.values[starts], np.add.reduceat(self.counts, starts)).entropy_bits()


def exact_forms(weights: NDArray[np.float32], *, error: float, forced: bool) -> list[ExactForm]:
    """Return the exact forms of a tensor. Later forms are more likely to be smaller.

    Parameters
    ----------
    weights : float32[n]
        Finite.
    error : float
        Root mean square error of lossy coding, whose estimated cost bounds that of exact coding.
    forced : bool
        True for exact forms whatever they cost.

    Returns
    -------
    list of ExactForm
        Empty if exact coding costs too much or the exponents span too many bits.
    """
    anyway = forced or weights.size <= TINY
    if not anyway and not _values_repeat(weights, error):
        return []
    distinct = _distinct_values(weights)
    if distinct is None:
        return _levels_form(weights) if forced else []
    lattice = _integers(distinct.values)
    if lattice is None:
        return []
    integers, exponent = lattice
    zero = int(distinct.counts.argmax())
    book = Codebook(tuple(int(i) for i in integers), zero)
    if not anyway:
        bits = distinct.entropy_bits() + codebook_bits(book)
        if bits > _MOST_COST * distinct.usual_bits(error) + _FREE_BITS:
            return []
    places = np.searchsorted(distinct.values, weights)
    indices = ExactForm(book, (places - zero).astype(np.int32), exponent)
    levels = ExactForm(None, integers.astype(np.int32)[places], exponent)
    if len(integers) == 1:
        return [indices] if weights.size > 1 else [levels, indices]
    return [levels, indices] if anyway or np.abs(integers).max() <= _SMALL_LEVEL else [indices]


def are_positions(weights: NDArray[np.float32]) -> bool:
    """Tell whether all values are integers or halves, as no training leaves them: positions, indices, corners of boxes.

    Parameters
    ----------
    weights : float32[n]
        Finite.
    """
    for start, stop in ((0, _FIRST_SAMPLE), (_FIRST_SAMPLE, weights.size)):
        doubled = 2 * weights[start:stop]
        if not np.array_equal(doubled, np.rint(doubled)):
            return False
    return bool(np.abs(weights).max() <= _LARGEST_POSITION)


def _levels_form(weights: NDArray[np.float32]) -> list[ExactForm]:
    """Return the form without a codebook, for tensors of many distinct values."""
    lattice = _integers(weights)
    if lattice is None:
        return []
    integers, exponent = lattice
    return [ExactForm(None, integers.astype(np.int32), exponent)]


def _integers(values: NDArray[np.float32]) -> tuple[NDArray[np.int64], int] | None:
    """Factor values into 32-bit integers and the largest common power of two; return None beyond 32 bits."""
    mantissas, exponents = np.frexp(values)
    whole = (mantissas.astype(np.float64) * (1 << 24)).astype(np.int64)
    used = whole != 0
    if not used.any():
        return np.zeros(values.shape, np.int64), 0
    lowest_bit = whole & -whole
    powers = exponents[used].astype(np.int64) - 24 + np.log2(lowest_bit[used]).astype(np.int64)
    exponent = int(powers.min())
    scaled = np.ldexp(values.astype(np.float64), -exponent)
    if np.abs(scaled).max() > _LARGEST_LEVEL:
        return None
    return scaled.astype(np.int64), exponent


def _values_repeat(weights: NDArray[np.float32], error: float) -> bool:
    """Estimate from samples whether exact coding is affordable."""
    sample = np.sort(_spread(weights, _FIRST_SAMPLE))
    if 4 * np.count_nonzero(sample[1:] != sample[:-1]) >= 3 * sample.size:
        return False
    values, counts = np.unique(_spread(weights, _SECOND_SAMPLE), return_counts=True)
    # A sample shows less than all values, so that its entropy is a lower estimate.
    seen = _DistinctValues(values, counts)
    most_bits = _MOST_COST * seen.usual_bits(error) + _FREE_BITS * int(counts.sum()) / weights.size
    return seen.entropy_bits() <= most_bits


def _spread(weights: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    # An odd stride does not stay in one column of a matrix.
    return weights[:: max(weights.size // size, 1) | 1]


def _distinct_values(weights: NDArray[np.float32]) -> _DistinctValues | None:
    """Return the distinct values with their counts; None when they are too many for a codebook."""
    values: NDArray[np.float32] = np.zeros(0, np.float32)
    for start in range(0, weights.size, _PIECE):
        values = np.union1d(values, weights[start : start + _PIECE])
        if values.size > LARGEST_CODEBOOK:
            return None
    counts = np.zeros(values.size, np.int64)
    for start in range(0, weights.size, _PIECE):
        places = np.searchsorted(values, weights[start : start + _PIECE])
        counts += np.bincount(places, minlength=values.size)
    return _DistinctValues(values, counts)
