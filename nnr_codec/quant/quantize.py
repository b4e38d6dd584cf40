# SPDX-License-Identifier: Apache-2.0
"""Levels for weights, by whole tensors, in the native core."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnr_codec import _native
from nnr_codec.errors import NotEncodable


def checked(
    failed_at: int, weights: NDArray[np.float32], step: float, levels: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Return `levels`, or raise for the weight at which the core stopped."""
    raise_unless_in_range(failed_at, weights, step)
    return levels


def raise_unless_in_range(failed_at: int, weights: NDArray[np.float32], step: float) -> None:
    """Raise for the weight at which the core stopped, unless it went through them all.

    Raises
    ------
    NotEncodable
        The weight is not finite or too many steps from zero.
    """
    if failed_at != weights.size:
        raise NotEncodable(
            f"weight {failed_at} ({weights[failed_at]!r}) is more than 2**31 steps of {step:g}",
            clause="format 4",
        )


def quantize_uniform(weights: NDArray[np.float32], step: float) -> NDArray[np.int32]:
    """Round weights to the nearest multiple of a step size.

    Parameters
    ----------
    weights : float32[n], C order
        Finite.
    step : float
        Positive.

    Returns
    -------
    int32[n]

    Raises
    ------
    NotEncodable
        A weight is not finite or too many steps from zero.

    Clause: format 4
    """
    levels = np.empty(weights.size, np.int32)
    return checked(_native.quantize_uniform(weights, step, levels), weights, step, levels)


def quantize_dependent(
    weights: NDArray[np.float32], step: float, coding: _native.TensorCoding
) -> NDArray[np.int32]:
    """Choose the path through the 8-state trellis with the least squared error.

    Parameters
    ----------
    weights : float32[rows * width], C order
        Finite.
    step : float
        Positive; the reconstruction is ``step * level``, as in the uniform quantiser.
    coding : TensorCoding
        Shape and scan order; the trellis follows the order of coding.

    Returns
    -------
    int32[rows * width]
        Levels after the mapping of format 5.4.

    Raises
    ------
    NotEncodable
        A weight is not finite or too many steps from zero.

    Clause: format 5.4
    """
    levels = np.empty(weights.size, np.int32)
    return checked(_native.quantize_dependent(weights, step, coding, levels), weights, step, levels)
