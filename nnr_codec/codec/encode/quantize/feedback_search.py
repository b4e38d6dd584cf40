# SPDX-License-Identifier: Apache-2.0
"""Search for the levels of one tensor with error feedback.

A sample of rows decides the step, the unary length and the initialisations of the contexts. One search over the whole tensor
follows.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.quantize.rdo_search import USUAL_SLOPE, Quantised
from nnr_codec.codec.encode.quantize.steps import QuantizationTarget, nearest_qp
from nnr_codec.codec.encode.tensor_job import TensorJob
from nnr_codec.entropy import TensorCoding, TensorToEncode, rate
from nnr_codec.errors import NotEncodable
from nnr_codec.model import DataUnitHeader
from nnr_codec.quant import (
    DEPENDENT_MSE,
    UNIFORM_MSE,
    Curvature,
    matched_lambda,
    quantize_feedback,
    step_size,
)

_UNARY_LENGTHS = (1, 2, 4, 7, 10, 14, 20, 32)
# Default of the header field.
_UNSTATED_UNARY_LENGTH = 10
# Weights of the sample.
_SAMPLE = 1 << 16
# Survivors per trellis state, by `Effort.passes`.
_SURVIVORS = {1: 1, 2: 2, 3: 4}
_UNIFORM_SURVIVORS = 8


def can_feed_back(job: TensorJob, header: DataUnitHeader) -> bool:
    """Tell whether error feedback applies: rows are scanned whole, and the tensor is no update of an earlier one."""
    return header.scan_order == 0 and job.predecessor is None and len(job.array.shape) > 1


def quantize_with_curvature(
    job: TensorJob,
    header: DataUnitHeader,
    weights: NDArray[np.float32],
    target: QuantizationTarget,
    curvature: Curvature,
) -> Quantised:
    """Search the levels of one tensor with error feedback.

    Parameters
    ----------
    job : TensorJob
    header : DataUnitHeader
        With payload type, dimensions and `dq_flag`.
    weights : float32[n], C order
        Finite.
    target : QuantizationTarget
        An error is measured with the curvature. The more feedback compensates, the larger is the step.

    Raises
    ------
    NotEncodable
        The curvature is not positive semidefinite.
    """
    curvature = _factored(curvature).normalised()
    mse = DEPENDENT_MSE if header.dq_flag else UNIFORM_MSE
    density = job.quantization.qp_density
    qp = target.qp
    if target.error is not None:
        gain = math.sqrt(curvature.mean_weight(feedback=False) / curvature.mean_weight())
        qp = nearest_qp(target.error * gain / math.sqrt(mse), density)
    step = step_size(qp, density)
    slope = USUAL_SLOPE * job.config.lambda_scale * matched_lambda(mse)
    passes = max(job.config.preset.passes, 1)
    survivors = _SURVIVORS.get(passes, 4) if header.dq_flag else _UNIFORM_SURVIVORS

    def search(
        part: NDArray[np.float32], initialisations: bytes | None, unary_length: int, part_curvature: Curvature
    ) -> tuple[TensorCoding, NDArray[np.int32]]:
        n_outputs = part.size // curvature.width
        rows, width = (curvature.width, n_outputs) if curvature.inputs_first else (n_outputs, curvature.width)
        coding = TensorCoding(
            rows=rows, width=width, unary_length=unary_length, dependent=header.dq_flag,
            profile1=job.config.general_profile_idc == 1,
        )  # fmt: skip
        return coding, quantize_feedback(
            part, step, coding, slope, part_curvature, initialisations=initialisations, survivors=survivors
        )

    rows = max(1, min(_SAMPLE // curvature.width, weights.size // curvature.width))
    if curvature.inputs_first:
        sample = np.ascontiguousarray(weights.reshape(curvature.width, -1)[:, :rows]).reshape(-1)
    else:
        sample = weights[: rows * curvature.width]
    sample_rows = None if curvature.row_weights is None else curvature.row_weights[:rows]
    sample_curvature = curvature.of_rows(sample_rows).normalised()
    coding, levels = search(sample, None, job.config.unary_length or _UNSTATED_UNARY_LENGTH, sample_curvature)
    if target.error is not None:
        # The closed form above holds at high rate only. Correct the step by the error of the sample.
        sample_error = _weighted_error(sample, step, levels, sample_curvature)
        qp = nearest_qp(step * min(max(target.error / max(sample_error, 1e-30), 0.5), 2.0), density)
        step = step_size(qp, density)
    length = job.config.unary_length
    if length is None:
        values = rate.coded_values(levels, header.dq_flag)
        costs = rate.unary_length_costs(values, _UNARY_LENGTHS)
        length = _UNARY_LENGTHS[costs.index(min(costs))]
    coding = TensorCoding(
        rows=1,
        width=levels.size,
        unary_length=length,
        dependent=header.dq_flag,
        profile1=job.config.general_profile_idc == 1,
    )
    initialisations = rate.search_initialisations(TensorToEncode(coding, levels, row_skip=False))
    _, levels = search(weights, initialisations, length, curvature)
    return Quantised(replace(header, cabac_unary_length=length), levels, qp)


def _factored(curvature: Curvature) -> Curvature:
    """Compute the factor of a curvature, which caches it, and return the curvature.

    Raises
    ------
    NotEncodable
        The curvature is not positive semidefinite.
    """
    try:
        _ = curvature.factor
    except ValueError as error:
        raise NotEncodable(str(error)) from None
    return curvature


def _weighted_error(
    weights: NDArray[np.float32], step: float, levels: NDArray[np.int32], curvature: Curvature
) -> float:
    """Return the root mean square error that, without feedback, has the same loss as these levels."""
    error = weights - np.float32(step) * levels.astype(np.float32)
    return math.sqrt(curvature.loss(error) / (weights.size * curvature.mean_weight(feedback=False)))
