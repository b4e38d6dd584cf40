# SPDX-License-Identifier: Apache-2.0
"""Rate-distortion optimised quantisation in the native core."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nnr_codec import _native
from nnr_codec.quant.quantize import checked

#: Mean squared error of uniform quantisation at high rate, in squared steps: that of a uniform cell.
UNIFORM_MSE = 1 / 12
#: Mean squared error of the 8-state trellis at high rate, in squared steps; measured.
DEPENDENT_MSE = 0.2585
# The core sums weighted errors in float32.
_LARGEST_SUM = float(np.finfo(np.float32).max)


def mse_per_step(dependent: bool) -> float:
    """Return the mean squared error at high rate, in squared steps, with or without dependent quantisation."""
    return DEPENDENT_MSE if dependent else UNIFORM_MSE


def matched_lambda(mse: float) -> float:
    """Return the Lagrangian multiplier, squared error per bit, at a mean squared error.

    On the rate-distortion bound of a memoryless source the error falls by a factor of 4 per bit, so its slope is
    ``-2 ln 2 * mse``. With this multiplier an encoder works at the point where its own curve has the slope of the bound.

    Examples
    --------
    >>> round(matched_lambda(0.2585), 3)
    0.358
    """
    return 2 * math.log(2) * mse


def quantize_rdo(
    weights: NDArray[np.float32],
    step: float,
    coding: _native.TensorCoding,
    lambda_: float,
    *,
    importance: NDArray[np.float32] | None = None,
    initialisations: bytes | None = None,
    base: NDArray[np.int32] | None = None,
    history: NDArray[np.uint8] | None = None,
    history_enabled: bool = False,
    row_skip: bool = False,
    beam: float = 4.0,
    interval: int = 0,
    workers: _native.Workers | None = None,
) -> NDArray[np.int32]:
    """Choose levels that minimise ``sum(importance * (weight / step - level)**2) + lambda_ * bits``.


    Parameters
    ----------
    weights : float32[rows * width], C order
        Finite.
    step : float
        Step size, positive. The reconstruction is ``step * level``.
    coding : TensorCoding
        Coding without codebook.
    lambda_ : float
        Lagrangian multiplier: squared steps per bit, as `matched_lambda` returns; 0 minimises the error alone.
    importance : float32[rows * width], optional
        Weight of each squared error, around 1: finite and not negative, with a sum within float32.
    initialisations : bytes, optional
        Initialisations of the context models in the stream, from `nnr_codec.rate.search_initialisations`.
    base, history, history_enabled
        Previous update, as in `nnr_codec.entropy.TensorToEncode`.
    row_skip : bool
        Allow rows to become zero, so that they are skipped.
    beam : float
        Pruning threshold: the search drops a path whose cost exceeds the least cost by this many squared steps. Larger is
        slower. 4 costs no measurable size.
    interval : int
        Weights over which all paths share the same rates, up to 1024; the contexts then adapt along the cheapest path. 0, and
        always without dependent quantisation or beside a previous update: each path adapts its own contexts, which is slower.
    workers : Workers, optional
        Threads that share a search with an interval. The levels do not depend on them.

    Returns
    -------
    int32[rows * width]
        Levels; with dependent quantisation, after the mapping of format 5.4.

    Raises
    ------
    NotEncodable
        A weight is not finite, or its level does not fit 32 bits.
    ValueError
        The importance is negative, not finite, too large or of another size.

    Clause: format 5.2 to 5.5
    """
    # The comparisons are also false for NaN.
    if importance is not None and not (
        np.min(importance, initial=0.0) >= 0 and np.sum(importance, dtype=np.float64) <= _LARGEST_SUM
    ):
        raise ValueError("importance must be finite and not negative, and its sum must be within float32")
    levels = np.empty(weights.size, np.int32)
    failed_at = _native.quantize_rdo(
        weights,
        step,
        _native.Tensor(coding, base, history),
        levels,
        lambda_=lambda_,
        importance=importance,
        initialisations=None if initialisations is None else np.frombuffer(initialisations, np.uint8),
        history_enabled=history_enabled,
        row_skip=row_skip,
        beam=beam,
        interval=interval,
        workers=workers,
    )
    return checked(failed_at, weights, step, levels)
