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
    """Target of a tensor's quantisation: a quantisation parameter, or a root mean square error if `error` is not None."""

    qp: int = 0
    error: float | None = None


def explicit_target(name: str, vector: bool, config: EncoderConfig) -> QuantizationTarget | None:
    """Return the quantisation parameter that the configuration sets for a tensor; None if it sets an error.

    Clause: format 4
    """
    by_name = config.qp_for_name(name)
    if by_name is not None:
        return QuantizationTarget(by_name)
    qp = config.qp_1d if vector else config.qp
    return None if qp is None else QuantizationTarget(qp)


def target_error(rms: float, vector: bool, config: EncoderConfig, qp_density: int) -> float:
    """Return the target error of a tensor with this root mean square.

    With an explicit `qp`, a vector gets the smaller of the error of `relative_error_1d`, because networks are sensitive to
    vectors, and the error of `qp`, which has the same rate-distortion slope as the matrices.
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
    """Return the quantisation target of a tensor.

    Parameters
    ----------
    name : str
    weights : float32[n]
        Finite.
    vector : bool
        True if one extent holds all elements.

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
    """Return the target's QP, or the QP whose expected error is nearest to the target's."""
    if target.error is None:
        return target.qp
    return nearest_qp(target.error / math.sqrt(_mse(dependent)), qp_density)


def finer_qp(target: QuantizationTarget, dependent: bool, qp_density: int) -> int:
    """Return the target's QP, or the largest one whose expected error does not exceed the target's."""
    if target.error is None:
        return target.qp
    return 0 if target.error == 0 else qp_for_step(target.error / math.sqrt(_mse(dependent)), qp_density)


def qp_for_bit_depth(weights: NDArray[np.float32], bit_depth: int, dependent: bool, qp_density: int) -> int:
    """Return the QP of the finest step whose levels fit this many bits, sign included."""
    largest = largest_magnitude(weights)
    if largest == 0:
        return 0
    # The trellis may choose a level two away from the nearest; the uniform quantiser rounds by at most one half.
    room = (1 << (bit_depth - 1)) - 1
    usable = max(room - 2, 0.5) if dependent else room + 0.499
    qp = qp_for_step(largest / usable, qp_density)
    return qp if step_size(qp, qp_density) * usable >= largest else qp + 1


def root_mean_square(weights: NDArray[np.float32], largest: float | None = None) -> float:
    """Return the root mean square, without overflow or underflow. `largest` is the largest magnitude, if known."""
    if largest is None:
        largest = largest_magnitude(weights)
    if largest == 0:
        return 0.0
    total = 0.0
    # In pieces, because a scaled copy would take as much memory as the tensor.
    for start in range(0, weights.size, _PIECE):
        scaled = weights[start : start + _PIECE] / np.float32(largest)
        total += float(np.dot(scaled, scaled))
    return largest * math.sqrt(total / weights.size)


def largest_magnitude(weights: NDArray[np.float32]) -> float:
    """Return the largest absolute value without a copy; 0 for an empty array."""
    return max(float(weights.max()), -float(weights.min())) if weights.size else 0.0


def _mse(dependent: bool) -> float:
    return DEPENDENT_MSE if dependent else UNIFORM_MSE
