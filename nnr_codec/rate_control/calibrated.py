# SPDX-License-Identifier: Apache-2.0
"""Importance on one scale for all tensors: the error of each layer's output relative to the output itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.importance import Importance
from nnr_codec.quant import Curvature

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
