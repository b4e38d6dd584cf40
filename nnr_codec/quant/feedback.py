# SPDX-License-Identifier: Apache-2.0
"""Quantisation with error feedback, as in GPTQ: later weights of a row compensate the errors of earlier ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnr_codec import _native
from nnr_codec.quant.curvature import Curvature
from nnr_codec.quant.quantize import checked

# Rows of at least _WIDE weights are searched _LINES at a time: one matrix product then corrects all of them.
_WIDE, _LINES = 1024, 16


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

    ``mean_weight`` is `Curvature.mean_weight`, so `lambda_` has the same scale as without feedback. The search keeps the
    cheapest `survivors` sequences of levels, with dependent quantisation for each state of the trellis. Each sequence has its
    own corrections along the row.

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
        Sequences kept, per state with dependent quantisation, 1..16.

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
        coefficients=np.ascontiguousarray(factor / np.diagonal(factor), np.float32).reshape(-1),
        column_weights=np.ascontiguousarray(column_weights / column_weights.mean(), np.float32),
        row_weights=None if rows is None else np.ascontiguousarray(rows, np.float32),
        initialisations=None if initialisations is None else np.frombuffer(initialisations, np.uint8),
        survivors=survivors,
        inputs_first=curvature.inputs_first,
        lines=_LINES if curvature.width >= _WIDE and not curvature.inputs_first else 1,
    )
    return checked(failed_at, weights, step, levels)
