# SPDX-License-Identifier: Apache-2.0
"""Sparsification of single weights and pruning of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def sparsify(
    weight: NDArray[np.floating], zeros: float, importance: NDArray[Any] | None = None
) -> NDArray[np.float32]:
    """Set a fraction of a weight's elements to zero, in order of increasing cost.

    Rate-distortion optimised quantisation already sets elements to zero where that reduces the cost. Use this function for
    models that are tuned afterwards, or that run faster if they are sparse.

    Parameters
    ----------
    weight : float[...]
    zeros : float
        Fraction of elements, 0..1.
    importance : float[...], optional
        Weight of each element's squared error; it broadcasts. By default the cost is the squared magnitude.

    Returns
    -------
    float32[...]

    Raises
    ------
    ValueError
        The fraction is out of range.
    """
    if not 0 <= zeros <= 1:
        raise ValueError(f"the fraction of zeros must be 0..1, not {zeros}")
    array = np.array(weight, np.float32)
    count = round(zeros * array.size)
    if count == 0:
        return array
    cost = np.square(array, dtype=np.float64)
    if importance is not None:
        cost = cost * np.broadcast_to(np.asarray(importance, np.float64), array.shape)
    # Selection by rank: a threshold would zero too many elements if costs are equal.
    array.reshape(-1)[np.argsort(cost.reshape(-1), kind="stable")[:count]] = 0
    return array


def prune_rows(
    weight: NDArray[np.floating], zeros: float, importance: NDArray[Any] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Set a fraction of a weight's rows to zero, in order of increasing cost.

    In profile 1 a row of zeros costs one flag. The output of a row of zeros is constant, so it can be removed from the network.

    Parameters
    ----------
    weight : float[rows, ...]
    zeros : float
        Fraction of rows, 0..1.
    importance : float[...], optional
        Weight of each element's squared error; it broadcasts. By default the cost is the squared magnitude.

    Returns
    -------
    float32[rows, ...]
        Weight with zero rows.
    bool[rows]
        True for the rows that remain.

    Raises
    ------
    ValueError
        The fraction is out of range.
    """
    if not 0 <= zeros <= 1:
        raise ValueError(f"the fraction of zeros must be 0..1, not {zeros}")
    array = np.array(weight, np.float32)
    cost = np.square(array, dtype=np.float64)
    if importance is not None:
        cost = cost * np.broadcast_to(np.asarray(importance, np.float64), array.shape)
    by_row = cost.reshape(array.shape[0], -1).sum(1)
    kept = np.ones(array.shape[0], np.bool_)
    kept[np.argsort(by_row, kind="stable")[: round(zeros * array.shape[0])]] = False
    array[~kept] = 0
    return array, kept
