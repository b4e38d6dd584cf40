# SPDX-License-Identifier: Apache-2.0
"""Weights set to zero: one by one, or by whole rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def sparsify(
    weight: NDArray[np.floating], zeros: float, importance: NDArray[Any] | None = None
) -> NDArray[np.float32]:
    """Return a weight with a share of its elements set to zero, those whose loss costs least.

    Rate-distortion optimised quantisation zeroes what is worth it already; this goes further, for models that are tuned
    afterwards or that run faster when sparse.

    Parameters
    ----------
    weight : float[...]
    zeros : float
        0..1, the share of zeros wanted.
    importance : float[...], optional
        Of each element's squared error; it broadcasts. None for magnitude alone.
    """
    if not 0 <= zeros <= 1:
        raise ValueError(f"a share is 0..1, not {zeros}")
    array = np.array(weight, np.float32)
    count = round(zeros * array.size)
    if count == 0:
        return array
    cost = np.square(array, dtype=np.float64)
    if importance is not None:
        cost = cost * np.broadcast_to(np.asarray(importance, np.float64), array.shape)
    # By rank and not by threshold, so that ties do not overshoot.
    array.reshape(-1)[np.argsort(cost.reshape(-1), kind="stable")[:count]] = 0
    return array


def prune_rows(
    weight: NDArray[np.floating], zeros: float, importance: NDArray[Any] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return a weight with a share of its rows set to zero, and which rows are kept.

    A row of zeros costs one flag in the stream (profile 1), and an output that is always its bias can be taken out of the
    network.

    Parameters
    ----------
    weight : float[rows, ...]
    zeros : float
        0..1, the share of rows.
    importance : float[...], optional
        Of each element's squared error; it broadcasts.

    Returns
    -------
    float32[rows, ...], bool[rows]
    """
    if not 0 <= zeros <= 1:
        raise ValueError(f"a share is 0..1, not {zeros}")
    array = np.array(weight, np.float32)
    cost = np.square(array, dtype=np.float64)
    if importance is not None:
        cost = cost * np.broadcast_to(np.asarray(importance, np.float64), array.shape)
    by_row = cost.reshape(array.shape[0], -1).sum(1)
    kept = np.ones(array.shape[0], np.bool_)
    kept[np.argsort(by_row, kind="stable")[: round(zeros * array.shape[0])]] = False
    array[~kept] = 0
    return array, kept
