# SPDX-License-Identifier: Apache-2.0
"""Quantisation of a tensor of reals with a given step or target error, and within bounds of elements or rows.

Clause: format 3, 4, 5
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.coded_units import (
    checked_qp_value,
    code_uniform,
    code_with_codebook,
    float_header,
    raw_unit,
    unit_of,
)
from nnr_codec.codec.encode.effort import EFFORTS
from nnr_codec.codec.encode.importance import without_feedback
from nnr_codec.codec.encode.quantize.error_bounds import Bounds, ElementBounds, RowBounds
from nnr_codec.codec.encode.quantize.feedback_search import can_feed_back, quantize_with_curvature
from nnr_codec.codec.encode.quantize.rdo_search import Quantised, RdoSearch
from nnr_codec.codec.encode.quantize.steps import (
    QuantizationTarget,
    finer_qp,
    largest_magnitude,
    root_mean_square,
    usual_qp,
    weighted,
)
from nnr_codec.codec.encode.tensor_job import EncodedTensor, TensorJob
from nnr_codec.entropy import EncodeTask, Workers
from nnr_codec.errors import NotEncodable
from nnr_codec.model import DataUnitHeader
from nnr_codec.quant import (
    UNIFORM_MSE,
    qp_for_step,
    quantize_dependent,
    quantize_uniform,
    raise_unless_in_range,
    step_size,
)

# Attempts with finer steps, each with a target error smaller by _FINER, before the fallback to uniform quantisation.
_MOST_ATTEMPTS = 4
_FINER = 0.7
# Longer vectors are searched whatever their error.
_LONG_VECTOR = 4096
# A search saves a byte or two of a smaller tensor, and is most of the time that ten thousand of them take.
_SEARCHED_FROM = 64


@dataclass(frozen=True)
class TensorEncodeTask:
    """A tensor whose weights the native core quantises and encodes."""

    job: TensorJob
    header: DataUnitHeader
    raw_header: DataUnitHeader  # header if the codeword is larger than the weights
    weights: NDArray[np.float32]
    step: float
    levels: NDArray[np.int32] | None
    encoding: EncodeTask
    bounds: RowBounds | None = None  # bounds to check, which takes levels

    def result(self) -> EncodedTensor:
        """Wait for the encoded tensor and return it.

        Raises
        ------
        NotEncodable
        """
        try:
            n_quantized, encoded = self.encoding.result()
            raise_unless_in_range(n_quantized, self.weights, self.step)
        except NotEncodable as error:
            raise named(error, self.job.name) from None
        if self.bounds is not None and self.levels is not None:
            values = self.levels.astype(np.float32) * np.float32(self.step)
            if not self.bounds.hold(self.weights, values):
                return quantized_within(self.job, self.raw_header, self.weights, self.bounds)
        return raw_where_wanted(
            self.job, self.weights, unit_of(self.header, encoded, self.levels), self.raw_header
        )

    def cancel(self) -> None:
        """Cancel what has not started and wait for the rest. No thread reads the weights afterwards."""
        self.encoding.cancel()


def named(error: NotEncodable, name: str) -> NotEncodable:
    """Return an error with the tensor's name in its path."""
    error.path = name if error.path is None else f"{name}: {error.path}"
    return error


def needs_search(job: TensorJob) -> bool:
    """Tell whether rate-distortion optimisation chooses the levels of a tensor that is not all zero."""
    return job.config.preset.passes > 0 or (is_weighted(job) and job.config.bit_depth is None)


def needs_one_call(job: TensorJob) -> bool:
    """Tell whether one native call can quantise and encode: dependent quantisation, and no choice of a parent."""
    return job.config.dependent and job.flexible_parent is None


def begin_within(
    job: TensorJob,
    header: DataUnitHeader,
    weights: NDArray[np.float32],
    bounds: Bounds,
    workers: Workers | None,
    keep_levels: bool,
) -> EncodedTensor | TensorEncodeTask:
    """Quantise by least squared error. Check the bounds afterwards if the step alone does not guarantee them."""
    dependent, density = job.config.dependent, job.quantization.qp_density
    rows = bounds if isinstance(bounds, RowBounds) else None
    error = bounds.error if rows is None else min(bounds.error, bounds.largest_error)
    qp = finer_qp(QuantizationTarget(error=error), dependent, density)
    if bounds.hold_surely(step_size(qp, density), dependent):
        return begin_at(job, header, weights, qp, workers, keep_levels)
    if rows is not None and needs_one_call(job):
        begun = begin_at(job, header, weights, qp, workers, keep_levels=True)
        return replace(begun, bounds=rows) if isinstance(begun, TensorEncodeTask) else begun
    return quantized_within(job, header, weights, bounds)


def searched_within(
    job: TensorJob,
    header: DataUnitHeader,
    weights: NDArray[np.float32],
    bounds: Bounds,
    workers: Workers | None = None,
) -> EncodedTensor:
    """Search levels at the error aimed at, and at finer ones until every element or row is within its bound."""
    error = bounds.error
    is_vector = isinstance(bounds, ElementBounds)
    is_short = is_vector and weights.size < _LONG_VECTOR
    is_fine = is_short and error <= job.config.preset.fine * root_mean_square(weights)
    if (weights.size < _SEARCHED_FROM or is_fine) and not is_weighted(job):
        return _uniform_within(job, header, weights, bounds)
    if is_vector:
        # The step would have to be finer than the error asks for: the uniform quantiser then costs no more.
        attempts = 1 if bounds.largest_error >= 2 * error else 0
    else:
        attempts = _MOST_ATTEMPTS
        error = min(error, bounds.largest_error)
    density = job.quantization.qp_density
    for _ in range(attempts):
        target = QuantizationTarget(error=error)
        result = _search(job, header, weights, target, workers)
        if result is None:
            break
        if bounds.hold(weights, _values(result.levels, result.qp, density)):
            coded = _coded(job, result)
            if coded is not None:
                return raw_where_wanted(job, weights, coded, header)
            break
        error *= _FINER
    return _uniform_within(job, header, weights, bounds)


def quantized_within(
    job: TensorJob, header: DataUnitHeader, weights: NDArray[np.float32], bounds: Bounds
) -> EncodedTensor:
    """Quantise by least squared error, with smaller errors until every row is within its bound."""
    density = job.quantization.qp_density
    if isinstance(bounds, RowBounds):
        error = min(bounds.error, bounds.largest_error)
        for _ in range(_MOST_ATTEMPTS):
            qp = finer_qp(QuantizationTarget(error=error), job.config.dependent, density)
            qp_value = checked_qp_value(job, qp)
            if qp_value is None or largest_magnitude(weights) > step_size(qp, density) * 2.0**30:
                break
            result = _levels_at(job, float_header(job, header), weights, qp)
            if bounds.hold(weights, _values(result.levels, qp, density)):
                coded = code_with_codebook(job, result.header, result.levels, qp_value)
                return raw_where_wanted(job, weights, coded, header)
            error *= _FINER
    return _uniform_within(job, header, weights, bounds)


def _uniform_within(
    job: TensorJob, header: DataUnitHeader, weights: NDArray[np.float32], bounds: Bounds
) -> EncodedTensor:
    """Quantise uniformly with the largest step that keeps every bound; return a raw unit if levels exceed 32 bits."""
    density = job.quantization.qp_density
    step = min(1.999 * bounds.largest_error, bounds.error / math.sqrt(UNIFORM_MSE))
    if not step > largest_magnitude(weights) * 2.0**-30:
        return raw_unit(header, weights)
    qp = qp_for_step(step, density)
    qp_value = checked_qp_value(job, qp)
    if qp_value is None:
        return raw_unit(header, weights)
    uniform = replace(float_header(job, header), dq_flag=False)
    levels = quantize_uniform(weights, step_size(qp, density))
    return code_uniform(job, uniform, levels, qp_value, job.config.preset.unary_lengths)


def _values(levels: NDArray[np.int32], qp: int, density: int) -> NDArray[np.float32]:
    values: NDArray[np.float32] = levels.astype(np.float32) * np.float32(step_size(qp, density))
    return values


def begin_at(
    job: TensorJob,
    header: DataUnitHeader,
    weights: NDArray[np.float32],
    qp: int,
    workers: Workers | None,
    keep_levels: bool,
) -> EncodedTensor | TensorEncodeTask:
    """Quantise by least squared error with the step of one QP."""
    qp_value = checked_qp_value(job, qp, explicit=_is_explicit(job))
    if qp_value is None:
        return raw_unit(header, weights)
    of_floats = float_header(job, header)
    if not needs_one_call(job):
        result = _levels_at(job, of_floats, weights, qp)
        coded = code_with_codebook(job, of_floats, result.levels, qp_value)
        return raw_where_wanted(job, weights, coded, header)
    levels = np.empty(weights.size, np.int32) if keep_levels else None
    step = step_size(qp, job.quantization.qp_density)
    encoding = EncodeTask(
        weights,
        step,
        job.coding(of_floats),
        qp_value,
        row_skip=job.config.row_skip,
        search_initialisations=job.config.search_initialisations,
        search_sample=job.config.preset.search_sample,
        levels=levels,
        workers=workers,
    )
    return TensorEncodeTask(job, of_floats, header, weights, step, levels, encoding)


def _levels_at(job: TensorJob, header: DataUnitHeader, weights: NDArray[np.float32], qp: int) -> Quantised:
    step = step_size(qp, job.quantization.qp_density)
    if header.dq_flag:
        return Quantised(header, quantize_dependent(weights, step, job.coding(header)), qp)
    return Quantised(header, quantize_uniform(weights, step), qp)


def searched(
    job: TensorJob,
    header: DataUnitHeader,
    weights: NDArray[np.float32],
    target: QuantizationTarget,
    workers: Workers | None = None,
) -> EncodedTensor | None:
    """Encode by rate-distortion optimisation at a target; return None if the step is beyond the QPs of the stream."""
    result = _search(job, header, weights, target, workers)
    return None if result is None else _coded(job, result)


def _search(
    job: TensorJob,
    header: DataUnitHeader,
    weights: NDArray[np.float32],
    target: QuantizationTarget,
    workers: Workers | None,
) -> Quantised | None:
    """Search levels by rate-distortion optimisation; return None if the step is beyond the QPs of the stream."""
    density = job.quantization.qp_density
    target = weighted(target, job.weight, density)
    header = float_header(job, header)
    # With a step far outside the stream's QPs the search would exceed the range of levels or of float32.
    usual = usual_qp(target, job.config.dependent, density)
    if checked_qp_value(job, usual, explicit=_is_explicit(job)) is None:
        return None
    if target.error is not None and largest_magnitude(weights) > step_size(usual, density) * 2.0**28:
        return None
    if job.curvature is not None and can_feed_back(job, header):
        return quantize_with_curvature(job, header, weights, target, job.curvature)
    if job.curvature is not None:
        job = replace(job, importance=without_feedback(job.curvature, job.array.shape))
    effort = job.config.preset if job.config.preset.passes > 0 else EFFORTS["medium"]
    return RdoSearch(job, header, weights, target, effort, workers).run()


def _coded(job: TensorJob, result: Quantised) -> EncodedTensor | None:
    qp_value = checked_qp_value(job, result.qp, explicit=_is_explicit(job))
    return None if qp_value is None else code_with_codebook(job, result.header, result.levels, qp_value)


def _is_explicit(job: TensorJob) -> bool:
    return job.config.qp is not None or job.config.qp_for_name(job.name) is not None


def is_weighted(job: TensorJob) -> bool:
    """Tell whether the caller weights the tensor's errors."""
    return job.importance is not None or job.curvature is not None or job.weight != 1


def raw_where_wanted(
    job: TensorJob, weights: NDArray[np.float32], coded: EncodedTensor, header: DataUnitHeader
) -> EncodedTensor:
    """Return the raw tensor if it is smaller and `raw_when_smaller` is set, else the coded one."""
    smaller = job.config.raw_when_smaller and weights.nbytes <= len(coded.unit.payload)
    return raw_unit(header, weights) if smaller else coded
