# SPDX-License-Identifier: Apache-2.0
"""Step-size selection: the quantisation target of each tensor.

A tensor's error is tied to its own root mean square: networks are invariant to how their layers are scaled against each
other (batch norm, ReLU), so that an absolute step would ruin small layers and waste bits on large ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.quant import DEPENDENT_MSE, UNIFORM_MSE, qp_for_step, step_size

_PIECE = 1 << 20


@dataclass(frozen=True)
class QuantizationTarget:
    """Target of one tensor's quantisation: the step of the parameter `qp`, or the root mean square error `error`."""

    qp: int = 0
    error: float | None = None


def explicit_target(name: str, vector: bool, config: EncoderConfig) -> QuantizationTarget | None:
    """Return the target that the configuration names for a tensor by a quantisation parameter; None for an error.

    Clause: format 4
    """
    by_name = config.qp_for_name(name)
    if by_name is not None:
        return QuantizationTarget(by_name)
    qp = config.qp_1d if vector else config.qp
    return None if qp is None else QuantizationTarget(qp)


def target_error(rms: float, vector: bool, config: EncoderConfig, qp_density: int) -> float:
    """Return the error to aim at, by the root mean square to which it is relative.

    Beside an explicit `qp`, a vector gets the finer of the error that `relative_error_1d` asks for and the one that `qp` would
    leave: the latter has the same slope of rate over distortion, the former respects that networks are sensitive to vectors.
    """
    if not vector:
        return config.relative_error * rms
    error = config.relative_error_1d * rms
    if config.qp is not None:
        error = min(error, step_size(config.qp, qp_density) * math.sqrt(_mse(config.dependent)))
    return error


def choose_target(
    name: str, weights: NDArray[np.float32], vector: bool, config: EncoderConfig, qp_density: int
) -> QuantizationTarget:
    """Return the target of a tensor by the configuration and the tensor's root mean square.

    Parameters
    ----------
    name : str
    weights : float32[n]
        Finite.
    vector : bool
        Whether one extent holds all elements.

    Clause: format 4
    """
    explicit = explicit_target(name, vector, config)
    if explicit is not None:
        return explicit
    return QuantizationTarget(error=target_error(root_mean_square(weights), vector, config, qp_density))


def weighted(target: QuantizationTarget, weight: float, qp_density: int) -> QuantizationTarget:
    """Return the target of a tensor whose squared error counts `weight` times."""
    if weight == 1:
        return target
    if target.error is not None:
        return QuantizationTarget(error=target.error / math.sqrt(weight))
    return QuantizationTarget(target.qp - round(math.log2(weight) / 2 * (1 << qp_density)))


def nearest_qp(step: float, qp_density: int) -> int:
    """Return the QP whose step size is nearest to `step`, as a ratio."""
    qp = qp_for_step(step, qp_density)
    return qp + 1 if step_size(qp, qp_density) * step_size(qp + 1, qp_density) < step * step else qp


def usual_qp(target: QuantizationTarget, dependent: bool, qp_density: int) -> int:
    """Return the QP asked for, or the one whose step usually leaves the error asked for."""
    if target.error is None:
        return target.qp
    return nearest_qp(target.error / math.sqrt(_mse(dependent)), qp_density)


def finer_qp(target: QuantizationTarget, dependent: bool, qp_density: int) -> int:
    """Return the QP asked for, or the one with the largest step that leaves at most the error asked for."""
    if target.error is None:
        return target.qp
    return 0 if target.error == 0 else qp_for_step(target.error / math.sqrt(_mse(dependent)), qp_density)


def qp_for_bit_depth(weights: NDArray[np.float32], bit_depth: int, dependent: bool, qp_density: int) -> int:
    """Return the QP of the finest step whose levels fit so many bits, sign included."""
    largest = largest_magnitude(weights)
    if largest == 0:
        return 0
    # The trellis may pick a level two away from the nearest; the uniform quantiser rounds up by half at most.
    room = (1 << (bit_depth - 1)) - 1
    usable = max(room - 2, 0.5) if dependent else room + 0.499
    qp = qp_for_step(largest / usable, qp_density)
    return qp if step_size(qp, qp_density) * usable >= largest else qp + 1


def root_mean_square(weights: NDArray[np.float32]) -> float:
    """Return the root mean square; exact range, however large or small the weights."""
    largest = largest_magnitude(weights)
    if largest == 0:
        return 0.0
    total = 0.0
    # Piece by piece: a scaled copy of a large tensor would take as much memory as the tensor.
    for start in range(0, weights.size, _PIECE):
        scaled = weights[start : start + _PIECE] / np.float32(largest)
        total += float(np.dot(scaled, scaled))
    return largest * math.sqrt(total / weights.size)


def largest_magnitude(weights: NDArray[np.float32]) -> float:
    """Return the largest absolute value, without a copy; 0 of nothing."""
    return max(float(np.max(weights, initial=0.0)), -float(np.min(weights, initial=0.0)))


def _mse(dependent: bool) -> float:
    return DEPENDENT_MSE if dependent else UNIFORM_MSE
