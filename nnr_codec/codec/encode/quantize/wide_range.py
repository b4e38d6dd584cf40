# SPDX-License-Identifier: Apache-2.0
"""Companded quantisation of matrices whose rows differ too much for one step: a codebook with uneven spacing.

Weights of the usual size have the error of a uniform quantiser, since those of the largest magnitude carry most of a network's
output. Below and far above, the spacing is a share of the weight, so that rows of any scale keep their relative error. Any
decoder of codebooks reads it.

Clause: format 3 (codebook), 4
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.quantize.codebook import LARGEST_CODEBOOK, codebook_bits
from nnr_codec.codec.encode.quantize.error_bounds import RowBounds
from nnr_codec.codec.encode.quantize.exact_values import ExactForm
from nnr_codec.model import Codebook

# Bits of the largest weight as an integer.
_BITS = 30
# Spacing below the usual size, relative to the weight, in units of the relative error aimed at: 1.4 times the error.
_SPACING = 5.0
# The uniform spacing has the error aimed at, and reaches to this multiple of the usual size.
_UNIFORM_SPACING = math.sqrt(12.0)
_UNIFORM_REACH = 4.0
_PIECE = 1 << 18


def companded(
    weights: NDArray[np.float32], bounds: RowBounds, relative_error: float
) -> tuple[ExactForm, float] | None:
    """Return codebook indices and their estimated bits.

    Parameters
    ----------
    weights : float32[n]
        Finite, not all zero.
    bounds : RowBounds
    relative_error : float
        Target relative error.

    Returns
    -------
    (ExactForm, float) or None
        None if the codebook would be too long.
    """
    largest = float(np.abs(weights).max())
    exponent = math.frexp(largest)[1] - _BITS
    step = math.ldexp(1.0, exponent)
    uniform = _UNIFORM_SPACING * bounds.error
    # Half of the error allowed in the weakest row: below, relative errors gain nothing.
    finest = min(0.7 * bounds.largest_error, uniform)
    entries = _entries(finest / step, uniform / step, relative_error, math.ceil(largest / step))
    if 2 * len(entries) > 8 * LARGEST_CODEBOOK:
        return None
    middles = (entries[1:] + entries[:-1]) / 2.0
    counts = np.zeros(2 * len(entries) - 1, np.int64)
    places = np.empty(weights.size, np.int32)
    for start in range(0, weights.size, _PIECE):
        piece = weights[start : start + _PIECE]
        magnitudes = np.searchsorted(middles, np.abs(piece.astype(np.float64)) / step)
        signed = np.where(piece < 0, -magnitudes, magnitudes) + len(entries) - 1
        counts += np.bincount(signed, minlength=counts.size)
        places[start : start + _PIECE] = signed
    used = np.flatnonzero(counts)
    if used.size > LARGEST_CODEBOOK:
        return None
    values = np.concatenate([-entries[:0:-1], entries])[used]
    zero = int(counts[used].argmax())
    index_of_place = np.zeros(counts.size, np.int32)
    index_of_place[used] = np.arange(used.size) - zero
    book = Codebook(tuple(int(value) for value in values), zero)
    shares = counts[used] / weights.size
    bits = codebook_bits(book) - weights.size * float((shares * np.log2(shares)).sum())
    return ExactForm(book, index_of_place[places], exponent), bits


def _entries(finest: float, uniform: float, relative_error: float, largest: float) -> NDArray[np.int64]:
    """Return 0 and increasing integers up to `largest`: relative, uniform and again relative spacing, at least `finest`."""
    small, large = _SPACING * relative_error, _UNIFORM_SPACING * relative_error / _UNIFORM_REACH
    entries = [0]
    while entries[-1] < largest and len(entries) <= 4 * LARGEST_CODEBOOK:
        weight = entries[-1]
        spacing = max(finest, min(small * weight, max(uniform, large * weight)))
        entries.append(weight + max(int(spacing), 1))
    return np.array(entries, np.int64)
