# SPDX-License-Identifier: Apache-2.0
"""Uniform and dependent quantisation of whole tensors in the native core."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnr_codec import _native
from nnr_codec.errors import NotEncodable


def checked(
    failed_at: int, weights: NDArray[np.float32], step: float, levels: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Return `levels`, or raise `NotEncodable` if the core stopped at a weight."""
    raise_unless_in_range(failed_at, weights, step)
    return levels


def raise_unless_in_range(failed_at: int, weights: NDArray[np.float32], step: float) -> None:
    """Raise if the core stopped before the last weight.

    Parameters
    ----------
    failed_at : int
        Index of the weight at which the core stopped; the number of weights if it did not stop.

    Raises
    ------
    NotEncodable
        The weight is not finite, or its level does not fit 32 bits.
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
        Step size, positive.

    Returns
    -------
    int32[n]

    Raises
    ------
    NotEncodable
        A weight is not finite, or its level does not fit 32 bits.

    Clause: format 4
    """
    levels = np.empty(weights.size, np.int32)
    return checked(_native.quantize_uniform(weights, step, levels), weights, step, levels)


def quantize_dependent(
    weights: NDArray[np.float32], step: float, coding: _native.TensorCoding
) -> NDArray[np.int32]:
    """Choose levels with the least squared error by a Viterbi search through the 8-state trellis.

    Parameters
    ----------
    weights : float32[rows * width], C order
        Finite.
    step : float
        Step size, positive. The reconstruction is ``step * level``, as in the uniform quantiser.
    coding : TensorCoding
        Shape and scan order. The trellis follows the coding order.

    Returns
    -------
    int32[rows * width]
        Levels after the mapping of format 5.4.

    Raises
    ------
    NotEncodable
        A weight is not finite, or its level does not fit 32 bits.

    Clause: format 5.4
    """
    levels = np.empty(weights.size, np.int32)
    return checked(_native.quantize_dependent(weights, step, coding, levels), weights, step, levels)
