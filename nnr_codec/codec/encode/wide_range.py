# SPDX-License-Identifier: Apache-2.0
"""Companded quantisation of matrices whose rows differ too much for one step: a codebook with geometric spacing.

Every weight keeps about the same relative error, whichever row or column it is in. Any decoder of codebooks reads it.

Clause: format 3 (codebook), 4
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.codebook import LARGEST_CODEBOOK, codebook_bits
from nnr_codec.codec.encode.error_bounds import RowBounds
from nnr_codec.codec.encode.exact_values import ExactForm
from nnr_codec.model import Codebook

# The largest weight takes this many bits as an integer.
_BITS = 30
# Spacing of the entries, relative to them, in units of the relative error aimed at: a uniform error of this spacing has a root
# mean square of 1.4 times the error, for the bits of 1.4 times as much.
_SPACING = 5.0
_PIECE = 1 << 18


def companded(
    weights: NDArray[np.float32], bounds: RowBounds, relative_error: float
) -> tuple[ExactForm, float] | None:
    """Return indices into a codebook, and about the bits they take.

    Parameters
    ----------
    weights : float32[n]
        Finite, not all zero.
    bounds : RowBounds
    relative_error : float
        Aimed at.

    Returns
    -------
    (ExactForm, float) or None
        None where the codebook would be too long.
    """
    largest = float(np.abs(weights).max())
    exponent = math.frexp(largest)[1] - _BITS
    step = math.ldexp(1.0, exponent)
    # A tenth of the typical row apart, or half of the error allowed in the weakest: below, relative errors gain nothing.
    finest = max(int(min(0.7 * bounds.largest_error, _SPACING * bounds.error) / step), 1)
    entries = _geometric_entries(finest, _SPACING * relative_error, math.ceil(largest / step))
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


def _geometric_entries(finest: int, spacing: float, largest: int) -> NDArray[np.int64]:
    """Return 0 and increasing integers, apart by `finest` or by the share `spacing` of themselves, up to `largest`."""
    entries = [0]
    while entries[-1] < largest and len(entries) <= 4 * LARGEST_CODEBOOK:
        entries.append(entries[-1] + max(finest, int(spacing * entries[-1])))
    return np.array(entries, np.int64)
