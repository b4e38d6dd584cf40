# SPDX-License-Identifier: Apache-2.0
"""Quantisation with error feedback: the weights still to come make up for the errors of those before."""

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
    """Choose levels for the least ``curvature.loss(weights / step - levels) / worth + lambda_ * bits``.

    `worth` is the curvature's, so that the same `lambda_` suits as without feedback. With dependent quantisation each of the
    trellis's survivors carries its own corrections along the row; without, the `survivors` best sequences do.

    Parameters
    ----------
    weights : float32[rows * width], C order
        Finite.
    step : float
        Positive; the reconstruction is ``step * level``.
    coding : TensorCoding
        Without codebook, scan order 0.
    lambda_ : float
        What a bit is worth, in squared steps.
    curvature : Curvature
        Of the same width. Row weights that are all 0 are taken for none.
    initialisations : bytes, optional
        Of the context models, as the stream will have them.
    survivors : int
        1..16, for each state of the quantiser.

    Returns
    -------
    int32[rows * width]
        Levels, after the mapping of format 5.4 with dependent quantisation.

    Raises
    ------
    NotEncodable
        A weight is not finite or too many steps from zero.
    ValueError
        The curvature is of another shape, or not positive semidefinite.

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
