# SPDX-License-Identifier: Apache-2.0
"""Encoding of one tensor of reals: exact where values repeat, else quantised within the bounds of its role.

Clause: format 3, 4, 5
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.coded_units import (
    checked_qp_value,
    code_form,
    code_uniform,
    code_with_codebook,
    float_header,
    raw_unit,
    size_bytes,
    unit_of,
)
from nnr_codec.codec.encode.effort import EFFORTS
from nnr_codec.codec.encode.error_bounds import Bounds, ElementBounds, RowBounds, element_bounds, row_bounds
from nnr_codec.codec.encode.exact_values import TINY, ExactForm, exact_forms
from nnr_codec.codec.encode.feedback_search import can_feed_back, quantize_with_curvature
from nnr_codec.codec.encode.importance import without_feedback
from nnr_codec.codec.encode.rdo_search import Quantised, RdoSearch
from nnr_codec.codec.encode.steps import (
    QuantizationTarget,
    explicit_target,
    finer_qp,
    largest_magnitude,
    qp_for_bit_depth,
    root_mean_square,
    target_error,
    usual_qp,
    weighted,
)
from nnr_codec.codec.encode.tensor_job import EncodedTensor, TensorJob
from nnr_codec.codec.encode.tensor_roles import TensorRole, is_vector, role_of
from nnr_codec.codec.encode.wide_range import companded
from nnr_codec.codec.stream.tensor_patch import TensorPatch
from nnr_codec.entropy import EncodingWeights, Workers
from nnr_codec.errors import NotEncodable, QualityWarning
from nnr_codec.model import DataUnitHeader, PayloadType
from nnr_codec.quant import (
    DEPENDENT_MSE,
    UNIFORM_MSE,
    qp_for_step,
    quantize_dependent,
    quantize_uniform,
    raise_unless_in_range,
    step_size,
)

# Of the unit that carries a patch, beside the patch and the name.
_PATCH_UNIT_BYTES = 40
# The peer's for vectors beside an explicit QP, at density 2: what is not searched stays comparable with it.
_QP_1D_WITH_EXPLICIT_QP = -75
#: A step times a level may round up to twice a weight and more: beyond this, out of float32.
_LARGEST_QUANTIZED = float(np.finfo(np.float32).max) / 8
# A vector's largest element of so many steps and more is kept: a coarse step then loses the small ones only.
_KEPT_STEPS = 16
# Searches with ever finer steps before the uniform quantiser, which keeps any bound at once.
_MOST_ATTEMPTS = 4
_FINER = 0.7
# Octaves between the error aimed at and the bound of the weakest row from which companding is tried.
_WIDE_OCTAVES = 1.0
# Bits of the largest element of a table coded as integers, and the relative error of the smallest that is accepted.
_TABLE_BITS = 31
_TABLE_ERROR = 2.0**-10


@dataclass(frozen=True)
class EncodeTask:
    """A tensor whose weights the native core quantises and encodes."""

    job: TensorJob
    header: DataUnitHeader
    raw_header: DataUnitHeader  # for when the codeword is larger than the weights
    weights: NDArray[np.float32]
    step: float
    levels: NDArray[np.int32] | None
    encoding: EncodingWeights
    bounds: RowBounds | None = None  # to be checked; with levels

    def result(self) -> EncodedTensor:
        """Return the encoded tensor, when it is done.

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
                return _quantized_within(self.job, self.raw_header, self.weights, self.bounds)
        return _raw_where_wanted(
            self.job, self.weights, unit_of(self.header, encoded, self.levels), self.raw_header
        )

    def cancel(self) -> None:
        """Drop what has not started, and wait for what has: no thread reads the weights afterwards."""
        self.encoding.cancel()


def named(error: NotEncodable, name: str) -> NotEncodable:
    """Return an error with the tensor's name in its path."""
    error.path = name if error.path is None else f"{name}: {error.path}"
    return error


def needs_search(job: TensorJob) -> bool:
    """Tell whether levels are searched, unless all weights are 0."""
    return job.config.preset.passes > 0 or (_is_weighted(job) and job.config.bit_depth is None)


def needs_one_call(job: TensorJob) -> bool:
    """Tell whether weights that are not searched go to dependent quantisation, and to a codeword in one way only."""
    return job.config.dependent and job.flexible_parent is None


def begin_reals(
    job: TensorJob,
    header: DataUnitHeader,
    array: NDArray[Any],
    workers: Workers | None,
    keep_levels: bool,
) -> EncodedTensor | EncodeTask:
    """Encode a tensor of reals, or begin to where the rest needs no Python.

    Parameters are those of `nnr_codec.codec.encode.tensor_encoder.begin_tensor`, and the unit's header so far.

    Raises
    ------
    NotEncodable
    """
    with np.errstate(over="ignore"):
        weights = np.require(array, np.float32, ["C", "A"]).reshape(-1)
    largest = largest_magnitude(weights)  # not finite if any weight is not
    if not math.isfinite(largest) and bool(np.isfinite(weights).sum() < np.isfinite(array).sum()):
        raise NotEncodable(f"the format holds float32; this {array.dtype} tensor has finite values beyond it")
    if job.config.is_kept(job.name):
        return raw_unit(header, weights)
    if not math.isfinite(largest) and job.can_patch:
        return _patched(job, header, weights)
    if not largest <= _LARGEST_QUANTIZED:
        return raw_unit(header, weights)
    if largest == 0:
        return _begin_at(job, header, weights, 0, workers, keep_levels)
    vector = is_vector(job.array.shape)
    explicit = explicit_target(job.name, vector, job.config)
    if explicit is None and vector and job.config.qp is not None and not needs_search(job):
        explicit = QuantizationTarget(
            qp_for_step(step_size(_QP_1D_WITH_EXPLICIT_QP, 2), job.quantization.qp_density)
        )
    role = role_of(job.name, job.array.shape, weights)
    bounds = _bounds(job, weights, role)
    exact = _exact(job, header, weights, role, explicit, bounds)
    if exact is not None:
        return exact
    if explicit is not None or job.config.bit_depth is not None:
        return _begin_explicit(job, header, weights, explicit, role, bounds, workers, keep_levels)
    if _is_weighted(job):
        coded = _searched(job, header, weights, QuantizationTarget(error=bounds.error))
        return raw_unit(header, weights) if coded is None else _raw_where_wanted(job, weights, coded, header)
    if vector and (role is TensorRole.TABLE or weights.size <= TINY):
        return _table(job, header, weights)
    if isinstance(bounds, RowBounds) and _is_wide(bounds):
        return _wide(job, header, weights, bounds)
    if needs_search(job):
        return _searched_within(job, header, weights, bounds)
    return _begin_within(job, header, weights, bounds, workers, keep_levels)


def _patched(job: TensorJob, header: DataUnitHeader, weights: NDArray[np.float32]) -> EncodedTensor:
    """Encode a tensor with zeros in place of what is not finite, and a patch that puts it back."""
    patch = TensorPatch.of_nonfinite(weights)
    finite = weights.copy()
    finite[patch.positions] = 0
    begun = begin_reals(job, header, finite.reshape(job.array.shape), None, job.config.incremental)
    coded = begun.result() if isinstance(begun, EncodeTask) else begun
    is_raw = coded.unit.header.payload_type == PayloadType.NNR_PT_RAW_FLOAT
    if is_raw or weights.nbytes <= len(coded.unit.payload) + len(patch.to_bytes()) + _PATCH_UNIT_BYTES:
        return raw_unit(header, weights)
    return replace(coded, patch=patch)


def _is_weighted(job: TensorJob) -> bool:
    return job.importance is not None or job.curvature is not None or job.worth != 1


def _bounds(job: TensorJob, weights: NDArray[np.float32], role: TensorRole) -> Bounds:
    config = job.config
    if is_vector(job.array.shape):
        error = target_error(root_mean_square(weights), True, config, job.quantization.qp_density)
        return element_bounds(weights, role, config.relative_error_1d, error)
    relative = min(config.relative_error, config.relative_error_1d) if role is TensorRole.TABLE else None
    return row_bounds(weights, job.array.shape, relative or config.relative_error)


def _is_wide(bounds: RowBounds) -> bool:
    return bounds.is_wide or bounds.largest_error < bounds.error * 2.0**-_WIDE_OCTAVES


# --- exact coding ---------------------------------------------------------------------------------------------------------


def _exact(
    job: TensorJob,
    header: DataUnitHeader,
    weights: NDArray[np.float32],
    role: TensorRole,
    explicit: QuantizationTarget | None,
    bounds: Bounds,
) -> EncodedTensor | None:
    """Return the tensor coded exactly, where that is wanted or costs no more; None elsewhere."""
    config = job.config
    forced = config.is_exact(job.name)
    if not forced and (config.bit_depth is not None or _is_weighted(job)):
        return None
    error = bounds.error
    if explicit is not None:
        mse = DEPENDENT_MSE if config.dependent else UNIFORM_MSE
        error = step_size(explicit.qp, job.quantization.qp_density) * math.sqrt(mse)
    wanted = forced or (role is TensorRole.TABLE and explicit is None and is_vector(job.array.shape))
    forms = exact_forms(weights, error=error, forced=wanted)
    if config.incremental:
        # Levels of 0 mean zeros in updates, which a codebook's indices do not.
        forms = [form for form in forms if form.codebook is None]
    coded = [unit for form in forms if (unit := code_form(job, header, form)) is not None]
    if not coded:
        return raw_unit(header, weights) if forced else None
    smallest = min(coded, key=size_bytes)
    if forced or size_bytes(smallest) <= weights.nbytes + 8:
        return smallest
    return None


def _table(job: TensorJob, header: DataUnitHeader, weights: NDArray[np.float32]) -> EncodedTensor:
    """Code a table or a few elements whose exponents span too many bits for exact integers: as near as 31 bits go, or raw."""
    largest = largest_magnitude(weights)
    exponent = math.frexp(largest)[1] - _TABLE_BITS
    smallest = float(np.abs(weights[weights != 0]).min())
    if 0.5 * math.ldexp(1.0, exponent) > _TABLE_ERROR * smallest:
        return raw_unit(header, weights)
    levels = np.rint(np.ldexp(weights.astype(np.float64), -exponent)).astype(np.int32)
    form = ExactForm(None, levels, exponent)
    return code_form(job, header, form) or raw_unit(header, weights)


# --- quantisation within bounds -------------------------------------------------------------------------------------------


def _wide(
    job: TensorJob, header: DataUnitHeader, weights: NDArray[np.float32], bounds: RowBounds
) -> EncodedTensor:
    """Code a matrix of wide range with a step fine enough for its weakest row, or companded, by cost."""
    coded = None
    if not job.config.incremental:
        relative = job.config.relative_error
        coded = companded(weights, bounds, relative)
    error = min(bounds.error, bounds.largest_error)
    row_bits = 0.5 * np.log2(1 + np.square(np.maximum(bounds.row_scales, 1e-300) / error)) + 0.1
    fine_bits = bounds.width * float(row_bits.sum())
    # Companding leaves 1.4 times the error, which is worth half a bit.
    if coded is not None and coded[1] + 0.5 * weights.size < min(fine_bits, 32.0 * weights.size):
        unit = code_form(job, header, coded[0])
        if unit is not None:
            return unit
    if fine_bits > 32.0 * weights.size:
        return raw_unit(header, weights)
    if needs_search(job):
        return _searched_within(job, header, weights, bounds)
    return _quantized_within(job, header, weights, bounds)


def _searched_within(
    job: TensorJob, header: DataUnitHeader, weights: NDArray[np.float32], bounds: Bounds
) -> EncodedTensor:
    """Search levels at the error aimed at, and at finer ones until every element or row is within its bound."""
    error = bounds.error
    if isinstance(bounds, ElementBounds):
        # The step would have to be finer than the error asks for: the uniform quantiser then costs no more.
        attempts = 1 if bounds.largest_error >= 2 * error else 0
    else:
        attempts = _MOST_ATTEMPTS
        error = min(error, bounds.largest_error)
    density = job.quantization.qp_density
    for _ in range(attempts):
        target = QuantizationTarget(error=error)
        result = _search(job, header, weights, target)
        if result is None:
            break
        if bounds.hold(weights, _values(result.levels, result.qp, density)):
            coded = _coded(job, result)
            if coded is not None:
                return _raw_where_wanted(job, weights, coded, header)
            break
        error *= _FINER
    return _uniform_within(job, header, weights, bounds)


def _begin_within(
    job: TensorJob,
    header: DataUnitHeader,
    weights: NDArray[np.float32],
    bounds: Bounds,
    workers: Workers | None,
    keep_levels: bool,
) -> EncodedTensor | EncodeTask:
    """Quantise by least squared error, to be checked where the step alone does not keep the bounds."""
    dependent, density = job.config.dependent, job.quantization.qp_density
    rows = bounds if isinstance(bounds, RowBounds) else None
    error = bounds.error if rows is None else min(bounds.error, bounds.largest_error)
    qp = finer_qp(QuantizationTarget(error=error), dependent, density)
    if bounds.hold_surely(step_size(qp, density), dependent):
        return _begin_at(job, header, weights, qp, workers, keep_levels)
    if rows is not None and needs_one_call(job):
        begun = _begin_at(job, header, weights, qp, workers, keep_levels=True)
        return replace(begun, bounds=rows) if isinstance(begun, EncodeTask) else begun
    return _quantized_within(job, header, weights, bounds)


def _quantized_within(
    job: TensorJob, header: DataUnitHeader, weights: NDArray[np.float32], bounds: Bounds
) -> EncodedTensor:
    """Quantise at the error aimed at, and at finer ones until every row is within its bound, without a search of levels."""
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
                return _raw_where_wanted(job, weights, coded, header)
            error *= _FINER
    return _uniform_within(job, header, weights, bounds)


def _uniform_within(
    job: TensorJob, header: DataUnitHeader, weights: NDArray[np.float32], bounds: Bounds
) -> EncodedTensor:
    """Quantise uniformly with the largest step that keeps every bound; raw where levels would not fit."""
    density = job.quantization.qp_density
    step = min(1.999 * bounds.largest_error, bounds.error / math.sqrt(UNIFORM_MSE))
    if not step > largest_magnitude(weights) * 2.0**-30:
        return raw_unit(header, weights)
    qp = qp_for_step(step, density)
    qp_value = checked_qp_value(job, qp)
    if qp_value is None:
        return raw_unit(header, weights)
    uniform = replace(float_header(job, header), dq_flag=False)
    return code_uniform(job, uniform, quantize_uniform(weights, step_size(qp, density)), qp_value)


def _values(levels: NDArray[np.int32], qp: int, density: int) -> NDArray[np.float32]:
    values: NDArray[np.float32] = levels.astype(np.float32) * np.float32(step_size(qp, density))
    return values


# --- quantisation at a target ---------------------------------------------------------------------------------------------


def _begin_explicit(
    job: TensorJob,
    header: DataUnitHeader,
    weights: NDArray[np.float32],
    explicit: QuantizationTarget | None,
    role: TensorRole,
    bounds: Bounds,
    workers: Workers | None,
    keep_levels: bool,
) -> EncodedTensor | EncodeTask:
    """Encode at the quantisation parameter or bit depth that the configuration asks for."""
    config, density = job.config, job.quantization.qp_density
    if needs_search(job):
        target = explicit or QuantizationTarget(error=bounds.error)
        _warn_of_losses(
            job, weights, role, bounds, step_size(usual_qp(target, config.dependent, density), density)
        )
        coded = _searched(job, header, weights, target)
        return raw_unit(header, weights) if coded is None else _raw_where_wanted(job, weights, coded, header)
    if config.bit_depth is not None and config.qp_for_name(job.name) is None:
        qp = qp_for_bit_depth(weights, config.bit_depth, config.dependent, density)
    else:
        qp = explicit.qp if explicit is not None else 0
    _warn_of_losses(job, weights, role, bounds, step_size(qp, density))
    return _begin_at(job, header, weights, qp, workers, keep_levels)


def _warn_of_losses(
    job: TensorJob, weights: NDArray[np.float32], role: TensorRole, bounds: Bounds, step: float
) -> None:
    """Warn where a step that the caller chose loses what the default would keep: weak rows, or small elements of one sign."""
    if isinstance(bounds, RowBounds):
        lost = (bounds.row_scales < step / 4) & (bounds.row_scales > bounds.floor)
        parts, wide = "rows", _is_wide(bounds)
    elif role is TensorRole.BIAS:
        return
    else:
        magnitudes = np.abs(weights)
        lost = (magnitudes < step / 4) & (magnitudes > bounds.floor)
        parts, wide = "elements", bool(magnitudes.max() > _KEPT_STEPS * step)
    if wide and lost.any():
        warnings.warn(
            f"{job.name}: a step of {step:.3g} loses {int(lost.sum())} of {lost.size} {parts}, far smaller than the others",
            QualityWarning,
            stacklevel=2,
        )


def _begin_at(
    job: TensorJob,
    header: DataUnitHeader,
    weights: NDArray[np.float32],
    qp: int,
    workers: Workers | None,
    keep_levels: bool,
) -> EncodedTensor | EncodeTask:
    """Quantise by least squared error with the step of one QP."""
    qp_value = checked_qp_value(job, qp, explicit=_is_explicit(job))
    if qp_value is None:
        return raw_unit(header, weights)
    of_floats = float_header(job, header)
    if not needs_one_call(job):
        result = _levels_at(job, of_floats, weights, qp)
        coded = code_with_codebook(job, of_floats, result.levels, qp_value)
        return _raw_where_wanted(job, weights, coded, header)
    levels = np.empty(weights.size, np.int32) if keep_levels else None
    step = step_size(qp, job.quantization.qp_density)
    encoding = EncodingWeights(
        weights,
        step,
        job.coding(of_floats),
        qp_value,
        row_skip=job.config.row_skip,
        search_initialisations=job.config.search_initialisations,
        levels=levels,
        workers=workers,
    )
    return EncodeTask(job, of_floats, header, weights, step, levels, encoding)


def _levels_at(job: TensorJob, header: DataUnitHeader, weights: NDArray[np.float32], qp: int) -> Quantised:
    step = step_size(qp, job.quantization.qp_density)
    if header.dq_flag:
        return Quantised(header, quantize_dependent(weights, step, job.coding(header)), qp)
    return Quantised(header, quantize_uniform(weights, step), qp)


def _searched(
    job: TensorJob, header: DataUnitHeader, weights: NDArray[np.float32], target: QuantizationTarget
) -> EncodedTensor | None:
    result = _search(job, header, weights, target)
    return None if result is None else _coded(job, result)


def _search(
    job: TensorJob, header: DataUnitHeader, weights: NDArray[np.float32], target: QuantizationTarget
) -> Quantised | None:
    """Return levels by rate-distortion optimisation; None when the step is out of the stream's reach."""
    density = job.quantization.qp_density
    target = weighted(target, job.worth, density)
    header = float_header(job, header)
    # A search far outside the stream's steps would leave the range of levels and of float32.
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
    return RdoSearch(job, header, weights, target, effort).run()


def _coded(job: TensorJob, result: Quantised) -> EncodedTensor | None:
    qp_value = checked_qp_value(job, result.qp, explicit=_is_explicit(job))
    return None if qp_value is None else code_with_codebook(job, result.header, result.levels, qp_value)


def _is_explicit(job: TensorJob) -> bool:
    return job.config.qp is not None or job.config.qp_for_name(job.name) is not None


def _raw_where_wanted(
    job: TensorJob, weights: NDArray[np.float32], coded: EncodedTensor, header: DataUnitHeader
) -> EncodedTensor:
    """Return the coded tensor, or the raw one where `raw_when_smaller` asks for it and it is smaller."""
    smaller = job.config.raw_when_smaller and weights.nbytes <= len(coded.unit.payload)
    return raw_unit(header, weights) if smaller else coded
