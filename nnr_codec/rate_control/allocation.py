# SPDX-License-Identifier: Apache-2.0
"""Steps for all tensors of a model such that a bit buys the same everywhere.

With the loss near ``sum over weights of worth * error**2`` and errors near a step's share, the sum is least for given bits
when every tensor's ``worth * step**2`` is the same: then an octave of any step changes the loss by as much for each of its
weights, and the rate by one bit.
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
from nnr_codec.codec.encode.importance import Importance, mean_worth
from nnr_codec.codec.encode.steps import nearest_qp
from nnr_codec.quant import DEPENDENT_MSE, UNIFORM_MSE, Curvature

_DENSITY = 5
# Steps are kept between these multiples of the tensor's root mean square: beyond the larger one nothing is left of it.
_FINEST, _COARSEST = 1e-6, 8.0
# Octaves by which a measured loss moves a step at most: one measurement says little about steps far away.
_MOST_CORRECTION = 3.0


def allocate(
    tensors: Mapping[str, NDArray[Any]],
    importance: Mapping[str, Importance],
    loss: float,
    config: EncoderConfig | None = None,
) -> EncoderConfig:
    """Return a configuration whose steps make the least stream for a loss, as far as importance foretells it.

    Parameters
    ----------
    tensors : mapping of str to array
    importance : mapping of str to float, array or Curvature
        On one scale for all tensors: expected change of the loss per squared error of a weight, as
        `output_sensitivity`, `fisher_information` and `layer_curvatures` give it.
        Tensors that it does not name, or whose importance is zero, keep what the configuration says.
    loss : float
        Wanted sum of importance times squared error over all weights.
    config : EncoderConfig, optional

    Returns
    -------
    EncoderConfig
        With `qp_by_name` for each tensor that has an importance, and with what remains of the importance: arrays and
        curvatures, which divide errors within a tensor. Encode with it and without another importance.
    """
    config = config or EncoderConfig()
    worths: dict[str, float] = {}
    rms: dict[str, float] = {}
    n_weights = 0
    for name, given in importance.items():
        if name not in tensors:
            continue
        array = np.asarray(tensors[name])
        worth = mean_worth(given)
        if array.dtype.kind != "f" or array.size == 0 or not worth > 0:
            continue
        size = math.sqrt(float(np.mean(np.square(array, dtype=np.float64))))
        if size > 0:
            worths[name], rms[name] = worth, size
            n_weights += array.size
    if not worths:
        return config
    mse = DEPENDENT_MSE if config.dependent else UNIFORM_MSE
    price = loss / (mse * n_weights)
    density = config.qp_density if config.qp_density is not None else _DENSITY
    by_name = []
    for name, worth in worths.items():
        step = min(max(math.sqrt(price / worth), _FINEST * rms[name]), _COARSEST * rms[name])
        by_name.append((glob.escape(name), nearest_qp(step, density)))
    return replace(
        config,
        qp_density=density,
        qp_by_name=(*config.qp_by_name, *by_name),
        importance=shapes_only(importance),
    )


def reallocate(
    config: EncoderConfig, tensors: Mapping[str, NDArray[Any]], losses: Mapping[str, float]
) -> EncoderConfig:
    """Return steps corrected by what each tensor's error was measured to cost.

    Importance foretells a loss from derivatives; where a model is far from linear (attention that saturates), or was seen too
    little, it is out by factors. Measured losses need no more than one evaluation for each tensor.

    Parameters
    ----------
    config : EncoderConfig
        As `allocate` returns it, and as the stream was made with.
    tensors : mapping of str to array
    losses : mapping of str to float
        Of the model with one tensor as the stream has it and all others as they were. A loss that grows with the square of
        errors. Tensors that it does not name keep their steps.

    Returns
    -------
    EncoderConfig
        With steps at which losses would be in proportion to numbers of weights, at the same mean rate.
    """
    known = dict(config.qp_by_name)
    shares = {
        name: max(loss, 0.0) / np.size(tensors[name])
        for name, loss in losses.items()
        if name in tensors and glob.escape(name) in known
    }
    floor = max(shares.values(), default=0.0) * 4.0 ** (-2 * _MOST_CORRECTION)
    if not floor > 0:
        return config
    # An octave of the step is a factor of four in the loss.
    octaves = {name: -math.log2(max(share, floor)) / 2 for name, share in shares.items()}
    n_weights = sum(np.size(tensors[name]) for name in octaves)
    mean = sum(octave * np.size(tensors[name]) for name, octave in octaves.items()) / n_weights
    moves = {
        glob.escape(name): round(
            min(max(octave - mean, -_MOST_CORRECTION), _MOST_CORRECTION) * (1 << config.density)
        )
        for name, octave in octaves.items()
    }
    by_name = tuple((pattern, qp + moves.get(pattern, 0)) for pattern, qp in config.qp_by_name)
    return replace(config, qp_by_name=by_name)


def shapes_only(importance: Mapping[str, Importance]) -> dict[str, Importance]:
    """Return importance without its numbers for whole tensors, which the steps of an allocation already express."""
    return {
        name: given
        for name, given in importance.items()
        if isinstance(given, Curvature) or np.ndim(given) > 0
    }
