# SPDX-License-Identifier: Apache-2.0
"""Bit allocation between tensors by importance.

Let the loss be the sum over all elements of ``weight * error**2``, with a squared error proportional to ``step**2``. At a given
rate the loss is least if ``weight * step**2`` is the same for all tensors: halving any step then reduces the loss per element
by the same amount, at the cost of one bit.
"""

from __future__ import annotations

import glob
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.importance import Importance, mean_weight
from nnr_codec.codec.encode.quantize.steps import nearest_qp
from nnr_codec.quant import Curvature, mse_per_step

#: Default QP density of allocations and quality searches.
SEARCH_DENSITY = 5
# Range of steps as multiples of the tensor's root mean square. At the coarsest step nearly all levels are 0.
_FINEST, _COARSEST = 1e-6, 8.0
# Largest correction of a step by a measured loss, in octaves. One measurement predicts little about distant steps.
_MAX_CORRECTION = 3.0


def allocate(
    tensors: Mapping[str, NDArray[Any]],
    importance: Mapping[str, Importance],
    loss: float,
    config: EncoderConfig | None = None,
) -> EncoderConfig:
    """Return a configuration with the steps of the smallest stream for a loss, as predicted by importance.

    Parameters
    ----------
    tensors : mapping of str to array
    importance : mapping of str to float, array or Curvature
        Expected change of the loss per squared error of a weight, on one scale for all tensors. `output_sensitivity`,
        `fisher_information` and `layer_curvatures` return it. Tensors without importance, or with an importance of 0, keep the
        steps of `config`.
    loss : float
        Target value of the sum of importance times squared error over all weights.
    config : EncoderConfig, optional

    Returns
    -------
    EncoderConfig
        Configuration with `qp_by_name` for each tensor that has an importance. Its ``importance`` holds the arrays and
        curvatures, which distribute errors within tensors. Pass no other importance to `encode`.
    """
    config = config or EncoderConfig()
    weights: dict[str, float] = {}
    rms_by_name: dict[str, float] = {}
    n_weights = 0
    for name, tensor_importance in importance.items():
        if name not in tensors:
            continue
        array = np.asarray(tensors[name])
        weight = mean_weight(tensor_importance)
        if array.dtype.kind != "f" or array.size == 0 or not weight > 0:
            continue
        rms = math.sqrt(float(np.mean(np.square(array, dtype=np.float64))))
        if rms > 0:
            weights[name], rms_by_name[name] = weight, rms
            n_weights += array.size
    if not weights:
        return config
    weighted_square = loss / (mse_per_step(config.dependent) * n_weights)  # weight * step**2 of all tensors
    density = config.qp_density if config.qp_density is not None else SEARCH_DENSITY
    qp_by_name = []
    for name, weight in weights.items():
        rms = rms_by_name[name]
        step = min(max(math.sqrt(weighted_square / weight), _FINEST * rms), _COARSEST * rms)
        qp_by_name.append((glob.escape(name), nearest_qp(step, density)))
    return replace(
        config,
        qp_density=density,
        qp_by_name=(*config.qp_by_name, *qp_by_name),
        importance=shapes_only(importance),
    )


def reallocate(
    config: EncoderConfig, tensors: Mapping[str, NDArray[Any]], losses: Mapping[str, float]
) -> EncoderConfig:
    """Correct the steps of an allocation by the measured loss of each tensor.

    Importance predicts the loss from derivatives. The prediction is wrong by factors if the model is far from linear (attention
    that saturates) or if importance was computed from too little data. This correction needs one evaluation per tensor.

    Parameters
    ----------
    config : EncoderConfig
        Configuration of the stream, from `allocate`.
    tensors : mapping of str to array
    losses : mapping of str to float
        Loss of the model with one tensor decoded from the stream and all others original. The loss must grow with the
        square of errors. Tensors without a loss keep their steps.

    Returns
    -------
    EncoderConfig
        Configuration with steps at which the loss of a tensor is proportional to its number of weights, at the same mean
        rate.
    """
    qp_by_pattern = dict(config.qp_by_name)
    loss_per_weight = {
        name: max(loss, 0.0) / np.size(tensors[name])
        for name, loss in losses.items()
        if name in tensors and glob.escape(name) in qp_by_pattern
    }
    floor = max(loss_per_weight.values(), default=0.0) * 4.0 ** (-2 * _MAX_CORRECTION)
    if not floor > 0:
        return config
    # One octave of the step is a factor of four in the loss.
    octaves = {name: -math.log2(max(loss, floor)) / 2 for name, loss in loss_per_weight.items()}
    n_weights = sum(np.size(tensors[name]) for name in octaves)
    mean = sum(octave * np.size(tensors[name]) for name, octave in octaves.items()) / n_weights
    qp_changes = {
        glob.escape(name): round(
            min(max(octave - mean, -_MAX_CORRECTION), _MAX_CORRECTION) * (1 << config.density)
        )
        for name, octave in octaves.items()
    }
    qp_by_name = tuple((pattern, qp + qp_changes.get(pattern, 0)) for pattern, qp in config.qp_by_name)
    return replace(config, qp_by_name=qp_by_name)


def shapes_only(importance: Mapping[str, Importance]) -> dict[str, Importance]:
    """Return importance without the numbers for whole tensors, which an allocation expresses in its steps."""
    return {
        name: tensor_importance
        for name, tensor_importance in importance.items()
        if isinstance(tensor_importance, Curvature) or np.ndim(tensor_importance) > 0
    }
