# SPDX-License-Identifier: Apache-2.0
"""Quantisation with error feedback, as in GPTQ: later weights of a row compensate the errors of earlier ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnr_codec import _native
from nnr_codec.quant.curvature import Curvature
from nnr_codec.quant.quantize import checked


def quantize_feedback(
    weights: NDArray[np.float32],
    step: float,
    coding: _native.TensorCoding,
    lambda_: float,
    curvature: Curvature,
    *,
    initialisations: bytes | None = None,
    survivors: int = 1,
) -> NDArray[np.int32]:
    """Choose levels that minimise ``curvature.loss(weights / step - levels) / mean_weight + lambda_ * bits``.

    ``mean_weight`` is `Curvature.mean_weight`, so `lambda_` has the same scale as without feedback. With dependent
    quantisation each survivor of the trellis keeps its own corrections along the row. Without it, the `survivors` sequences
    of least cost do.

    Parameters
    ----------
    weights : float32[rows * width], C order
        Finite.
    step : float
        Step size, positive. The reconstruction is ``step * level``.
    coding : TensorCoding
        Coding without codebook and with scan order 0.
    lambda_ : float
        Lagrangian multiplier: squared steps per bit.
    curvature : Curvature
        Curvature of the same width. If all row weights are 0, they are ignored.
    initialisations : bytes, optional
        Initialisations of the context models in the stream.
    survivors : int
        Survivors per state of the quantiser, 1..16.

    Returns
    -------
    int32[rows * width]
        Levels; with dependent quantisation, after the mapping of format 5.4.

    Raises
    ------
    NotEncodable
        A weight is not finite, or its level does not fit 32 bits.
    ValueError
        The curvature has another shape or is not positive semidefinite.

    Clause: format 5.2 to 5.4
    """
    factor = curvature.factor
    column_weights = curvature.column_weights
    rows = curvature.normalised().row_weights
    levels = np.empty(weights.size, np.int32)
    failed_at = _native.quantize_feedback(
        weights,
        step,
        coding,
        levels,
        lambda_=lambda_,
        coefficients=np.ascontiguousarray((factor / np.diagonal(factor)).T, np.float32).reshape(-1),
        column_weights=np.ascontiguousarray(column_weights / column_weights.mean(), np.float32),
        row_weights=None if rows is None else np.ascontiguousarray(rows, np.float32),
        initialisations=None if initialisations is None else np.frombuffer(initialisations, np.uint8),
        survivors=survivors,
    )
    return checked(failed_at, weights, step, levels)
