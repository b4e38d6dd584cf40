# SPDX-License-Identifier: Apache-2.0
"""Levels that are worth their bits: rate-distortion optimised quantisation in the native core."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nnr_codec import _native
from nnr_codec.quant.quantize import checked

#: Mean squared error in squared steps at high rate: a uniform cell's 1/12, and the 8-state trellis's, measured.
UNIFORM_MSE = 1 / 12
DEPENDENT_MSE = 0.2585
_LARGEST_SUM = float(np.finfo(np.float32).max)


def matched_lambda(mse: float) -> float:
    """Return what a bit is worth in squared error where the error is `mse`.

    Along the bound of a memoryless source the error falls by a factor of 4 per bit: its slope is ``-2 ln 2 * mse``. An
    encoder that values bits alike spends them where its own curve has the bound's slope.

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
) -> NDArray[np.int32]:
    """Choose levels for the least ``sum(importance * (weight / step - level)**2) + lambda_ * bits``.

    The bits are those of the tensor's adaptive contexts, followed along the search's survivors.

    Parameters
    ----------
    weights : float32[rows * width], C order
        Finite.
    step : float
        Positive; the reconstruction is ``step * level``.
    coding : TensorCoding
        Without codebook.
    lambda_ : float
        What a bit is worth, in squared steps; 0 minimises the error alone. See `matched_lambda`.
    importance : float32[rows * width], optional
        Of each weight's squared error, around 1; finite, not negative, with a sum within float32.
    initialisations : bytes, optional
        Of the context models, as the stream will have them: from `nnr_codec.rate.search_initialisations`.
    base, history, history_enabled
        Of an incremental update, as in `nnr_codec.entropy.TensorToEncode`.
    row_skip : bool
        Whether whole rows may be given up.
    beam : float
        Squared steps, and as many bits, by which a path lags when it is given up: time against size. 4 loses nothing
        measurable.

    Returns
    -------
    int32[rows * width]
        Levels, after the mapping of format 5.4 with dependent quantisation.

    Raises
    ------
    NotEncodable
        A weight is not finite or too many steps from zero.
    ValueError
        An importance is not as said, or of another size.

    Clause: format 5.2 to 5.5
    """
    # Also false for NaN. The core sums weighed errors in float32.
    if importance is not None and not (
        np.min(importance, initial=0.0) >= 0 and np.sum(importance, dtype=np.float64) <= _LARGEST_SUM
    ):
        raise ValueError("importance is finite and not negative, and its sum within float32")
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
    )
    return checked(failed_at, weights, step, levels)
