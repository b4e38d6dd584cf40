# SPDX-License-Identifier: Apache-2.0
"""Which step size a tensor gets when nobody says.

A tensor's error is tied to its own root mean square: networks are invariant to how their layers are scaled against each
other (batch norm, ReLU), so an absolute step would ruin small layers and waste bits on large ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.quant import DEPENDENT_MSE, UNIFORM_MSE, qp_for_step, step_size

# What the peer uses for one-dimensional tensors beside an explicit QP, at density 2.
_QP_1D_WITH_EXPLICIT_QP = -75

_PIECE = 1 << 20


@dataclass(frozen=True)
class Aim:
    """What one tensor's quantisation should reach: a step by its parameter, or the root mean square error `error`."""

    qp: int = 0
    error: float | None = None


def choose_aim(
    name: str, weights: NDArray[np.float32], dimensions: int, config: EncoderConfig, qp_density: int
) -> Aim:
    """Return the aim of a tensor for an encoder that can close in on an error.

    Beside an explicit `qp`, a one-dimensional tensor gets the finer of the error `relative_error_1d` asks for and the one
    that `qp` would leave: the latter is what equal slope gives, the former minds that networks are sensitive to them.

    Clause: format 4
    """
    by_name = config.qp_for_name(name)
    if by_name is not None:
        return Aim(by_name)
    if dimensions > 1:
        return (
            Aim(config.qp)
            if config.qp is not None
            else Aim(error=config.relative_error * root_mean_square(weights))
        )
    if config.qp_1d is not None:
        return Aim(config.qp_1d)
    error = config.relative_error_1d * root_mean_square(weights)
    if config.qp is not None:
        mse = DEPENDENT_MSE if config.dependent else UNIFORM_MSE
        error = min(error, step_size(config.qp, qp_density) * math.sqrt(mse))
    return Aim(error=error)


def weighed(aim: Aim, worth: float, qp_density: int) -> Aim:
    """Return the aim of a tensor whose squared error is worth so much more."""
    if worth == 1:
        return aim
    if aim.error is not None:
        return Aim(error=aim.error / math.sqrt(worth))
    return Aim(aim.qp - round(math.log2(worth) / 2 * (1 << qp_density)))


def nearest_qp(step: float, qp_density: int) -> int:
    """Return the QP whose step size is nearest to `step`, as a ratio."""
    qp = qp_for_step(step, qp_density)
    return qp + 1 if step_size(qp, qp_density) * step_size(qp + 1, qp_density) < step * step else qp


def usual_qp(aim: Aim, dependent: bool, qp_density: int) -> int:
    """Return the QP asked for, or the one whose step usually leaves the error asked for."""
    if aim.error is None:
        return aim.qp
    return nearest_qp(aim.error / math.sqrt(DEPENDENT_MSE if dependent else UNIFORM_MSE), qp_density)


def choose_qp(
    name: str, weights: NDArray[np.float32], dimensions: int, config: EncoderConfig, qp_density: int
) -> int:
    """Return the quantisation parameter for one tensor.

    Parameters
    ----------
    name : str
    weights : float32[n]
        Finite.
    dimensions : int
        Of the tensor.

    Clause: format 4
    """
    by_name = config.qp_for_name(name)
    if by_name is not None:
        return by_name
    if config.bit_depth is not None:
        return _qp_for_bit_depth(weights, config.bit_depth, config.dependent, qp_density)
    if dimensions <= 1:
        if config.qp_1d is not None:
            return config.qp_1d
        if config.qp is not None:
            return qp_for_step(step_size(_QP_1D_WITH_EXPLICIT_QP, 2), qp_density)
        relative_error = config.relative_error_1d
    else:
        if config.qp is not None:
            return config.qp
        relative_error = config.relative_error
    rms = root_mean_square(weights)
    if rms == 0:
        return 0
    mse_per_step = DEPENDENT_MSE if config.dependent else UNIFORM_MSE
    return qp_for_step(relative_error * rms / math.sqrt(mse_per_step), qp_density)


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


def _qp_for_bit_depth(weights: NDArray[np.float32], bit_depth: int, dependent: bool, qp_density: int) -> int:
    largest = largest_magnitude(weights)
    if largest == 0:
        return 0
    # The trellis may pick a level two away from the nearest; the plain quantiser rounds up by half at most.
    room = (1 << (bit_depth - 1)) - 1
    usable = max(room - 2, 0.5) if dependent else room + 0.499
    qp = qp_for_step(largest / usable, qp_density)
    return qp if step_size(qp, qp_density) * usable >= largest else qp + 1
