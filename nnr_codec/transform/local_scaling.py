# SPDX-License-Identifier: Apache-2.0
"""Local scaling: one factor per row of a weight, so that each row has its own effective step size.

Clause: format 4 (LS).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnr_codec.transform.block import Block

# Largest deviation of a row's factor from the median, in octaves.
_MAX_OCTAVES = 6


def scale_rows(
    weight: NDArray[np.floating],
    row_importance: NDArray[np.floating] | None = None,
    *,
    bias: NDArray[np.floating] | None = None,
) -> Block:
    """Divide each row of a weight by a factor, and return a block whose scaling multiplies it back.

    The factors are powers of two, so division, multiplication and coding are exact. The step of a row deviates from its ideal
    by up to 41 %, which costs 0.06 bit per weight.

    Scaling reduces the size if rows differ in importance (for example, tokens of different frequency in an embedding): a single
    step would be too fine for most rows. It gains nothing if all rows have the same importance.

    Parameters
    ----------
    weight : float[rows, ...]
    row_importance : float[rows], optional
        Weight of each row's squared error; factors are proportional to its ``-1/2`` power. By default factors are
        proportional to the root mean square of the row, which gives all rows the same relative error.
    bias : float[rows], optional
        Bias to store in the block.

    Returns
    -------
    Block
    """
    flat = np.asarray(weight, np.float64).reshape(weight.shape[0], -1)
    if row_importance is None:
        ideal = np.sqrt(np.mean(flat**2, axis=1))
    else:
        ideal = 1 / np.sqrt(np.maximum(np.asarray(row_importance, np.float64), 1e-300))
    is_valid = np.isfinite(ideal) & (ideal > 0)
    octaves = np.zeros(len(ideal))
    octaves[is_valid] = np.log2(ideal[is_valid])
    octaves[is_valid] -= np.median(octaves[is_valid]) if is_valid.any() else 0
    octaves = np.clip(octaves, -_MAX_OCTAVES, _MAX_OCTAVES)
    scaling = 2.0 ** np.round(octaves)
    scaled = flat / scaling[:, None]
    return Block(
        weight=scaled.astype(np.float32).reshape(weight.shape), scaling=scaling.astype(np.float32), bias=bias
    )


def fit_scaling(
    weight: NDArray[np.floating], coded: NDArray[np.floating], matrix: NDArray[np.floating] | None = None
) -> NDArray[np.float32]:
    """Return the factor per row that minimises the squared error of a coded weight.

    This corrects the mean magnitude of rows after coarse quantisation or pruning, without training.

    Parameters
    ----------
    weight, coded : float[rows, ...]
        Original and decoded weight.
    matrix : float[width, width], optional
        Mean of x x' over the layer's inputs x: the error is then that of the layer's output. By default it is the error of
        the weight.

    Returns
    -------
    float32[rows]
        Factors; 1 for a coded row of zeros.
    """
    w = np.asarray(weight, np.float64).reshape(weight.shape[0], -1)
    q = np.asarray(coded, np.float64).reshape(w.shape)
    projected = q if matrix is None else q @ np.asarray(matrix, np.float64)
    norms = (projected * q).sum(1)
    return np.where(norms > 0, (projected * w).sum(1) / np.where(norms > 0, norms, 1), 1).astype(np.float32)
