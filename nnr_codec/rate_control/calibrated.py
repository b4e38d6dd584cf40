# SPDX-License-Identifier: Apache-2.0
"""Importance on one scale for all tensors: the error of each layer's output relative to the output itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.importance import Importance
from nnr_codec.quant import Curvature
from nnr_codec.transform import ScaleMove, channel_scales

#: Damping of curvatures: from given inputs; from made ones, whose correlations differ from those of real inputs; and from made
#: integers, which are uniform and have none of these. With inputs, 0.1 took 1 to 13 % more bytes than 0.03 on three networks.
#: With made signals, 0.02 took 3 to 15 % more than 0.1 on one network, and 0.3 3 to 27 % more on two others.
GIVEN_DAMPING, MADE_DAMPING, UNIFORM_DAMPING = 0.02, 0.1, 0.3
#: Damping of the weights of outputs, by gradients from given inputs and from made ones. With made inputs, 0.1 took 6 to
#: 9 % more bytes than 0.3 on LeNet5.
GIVEN_ROW_DAMPING, MADE_ROW_DAMPING = 0.1, 0.3
#: Second moments of the inputs of a weight: a matrix, or an array that broadcasts to the weight.
Moments: TypeAlias = Curvature | NDArray[np.float32]


def normalised(moments: Moments, weight: NDArray[Any]) -> Importance | None:
    """Scale moments so that equal losses per weight are equal relative errors of the outputs of layers.

    Parameters
    ----------
    moments : Curvature or float32 array that broadcasts to the weight
        Second moments of the inputs of the weight.
    weight : float array

    Returns
    -------
    Curvature, float32 array of the weight's shape, or None
        None if the output of the layer is zero.
    """
    w = np.asarray(weight, np.float64)
    if isinstance(moments, Curvature):
        energy = moments.loss(w)
        if not energy > 0:
            return None
        return replace(moments, matrix=(moments.matrix * (w.size / energy)).astype(np.float32))
    energy = float((np.broadcast_to(moments, w.shape) * np.square(w)).sum())
    return (np.broadcast_to(moments, w.shape) * (w.size / energy)).astype(np.float32) if energy > 0 else None


def scales_of_moves(
    moves: list[ScaleMove], moments: Mapping[str, Moments]
) -> dict[ScaleMove, NDArray[np.float64]]:
    """Return the scales of the moves whose consumers have a curvature."""
    mean_squares = {
        name: np.diagonal(value.matrix)
        for name, value in moments.items()
        if isinstance(value, Curvature) and not value.inputs_first
    }
    return {
        move: channel_scales(move, mean_squares)
        for move in moves
        if any(name in mean_squares for name in move.consumers)
    }


def moved_moments(
    moments: Mapping[str, Moments], scales: Mapping[ScaleMove, NDArray[np.float64]], n_rows: Mapping[str, int]
) -> dict[str, Moments]:
    """Return the moments of a model whose scales have moved: inputs are divided by them, and outputs too.

    Parameters
    ----------
    moments : mapping of str to Curvature or array
    scales : mapping of ScaleMove to float64[producer channels]
    n_rows : mapping of str to int
        Number of rows of each tensor.
    """
    result = dict(moments)
    for move, by_channel in scales.items():
        columns = move.consumed(by_channel)
        for name in move.consumers:
            curvature = result.get(name)
            if isinstance(curvature, Curvature):
                matrix = (curvature.matrix / np.outer(columns, columns)).astype(np.float32)
                result[name] = replace(curvature, matrix=matrix)
        for name in move.producers:
            curvature = result.get(name)
            if isinstance(curvature, Curvature):
                rows = np.ones(n_rows[name]) if curvature.row_weights is None else curvature.row_weights
                result[name] = replace(curvature, row_weights=rows * by_channel**2)
    return result
