# SPDX-License-Identifier: Apache-2.0
"""A factor for each row of a weight, so that rows of one tensor can have steps of their own.

Clause: format 4 (LS).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnr_codec.transform.block import Block

# Rows are not made finer or coarser than this, in octaves around the usual one.
_MOST_OCTAVES = 6


def scale_rows(
    weight: NDArray[np.floating],
    row_importance: NDArray[np.floating] | None = None,
    *,
    bias: NDArray[np.floating] | None = None,
) -> Block:
    """Return a block whose rows are divided by factors that the scaling multiplies back.

    The factors are powers of two: dividing and multiplying by them is exact, so is their coding, and a row's step is met to
    41 %, which costs 0.06 bit a weight.

    Helps where rows differ in what their errors are worth (embeddings: how often a token occurs), because a single step is
    too fine for most of them. With rows alike it costs the vector and gains nothing.

    Parameters
    ----------
    weight : float[rows, ...]
    row_importance : float[rows], optional
        What a squared error of the row is worth; factors go with ``1 / sqrt`` of it. None: factors go with each row's own
        root mean square, so that rows have the same relative error.
    bias : float[rows], optional
        Carried along in the block.
    """
    flat = np.asarray(weight, np.float64).reshape(weight.shape[0], -1)
    if row_importance is None:
        wanted = np.sqrt(np.mean(flat**2, axis=1))
    else:
        wanted = 1 / np.sqrt(np.maximum(np.asarray(row_importance, np.float64), 1e-300))
    known = np.isfinite(wanted) & (wanted > 0)
    octaves = np.zeros(len(wanted))
    octaves[known] = np.log2(wanted[known])
    octaves[known] -= np.median(octaves[known]) if known.any() else 0
    octaves = np.clip(octaves, -_MOST_OCTAVES, _MOST_OCTAVES)
    scaling = 2.0 ** np.round(octaves)
    scaled = flat / scaling[:, None]
    return Block(
        weight=scaled.astype(np.float32).reshape(weight.shape), scaling=scaling.astype(np.float32), bias=bias
    )


def fit_scaling(
    weight: NDArray[np.floating], coded: NDArray[np.floating], matrix: NDArray[np.floating] | None = None
) -> NDArray[np.float32]:
    """Return the factors with which coded rows come nearest to a weight's.

    Tuning without training: after a coarse quantisation, or a pruning, rows are too small or too large on average, and one
    factor each makes up for that.

    Parameters
    ----------
    weight, coded : float[rows, ...]
    matrix : float[width, width], optional
        Mean of x x' over the layer's inputs: nearness is measured at the layer's output. None for that of the weights.
    """
    w = np.asarray(weight, np.float64).reshape(weight.shape[0], -1)
    q = np.asarray(coded, np.float64).reshape(w.shape)
    projected = q if matrix is None else q @ np.asarray(matrix, np.float64)
    norms = (projected * q).sum(1)
    return np.where(norms > 0, (projected * w).sum(1) / np.where(norms > 0, norms, 1), 1).astype(np.float32)
