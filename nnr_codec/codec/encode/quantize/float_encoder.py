# SPDX-License-Identifier: Apache-2.0
"""Encoding of a tensor of reals: exact if values repeat, else quantised within the bounds of its role.

Clause: format 3, 4, 5
"""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.coded_units import (
    code_form,
    raw_unit,
    size_bytes,
)
from nnr_codec.codec.encode.quantize.bounded_quantizer import (
    TensorEncodeTask,
    begin_at,
    begin_within,
    is_weighted,
    needs_search,
    quantized_within,
    raw_where_wanted,
    searched,
    searched_within,
)
from nnr_codec.codec.encode.quantize.error_bounds import (
    ROW_FACTOR,
    Bounds,
    RowBounds,
    element_bounds,
    row_bounds,
)
from nnr_codec.codec.encode.quantize.exact_values import TINY, ExactForm, are_positions, exact_forms
from nnr_codec.codec.encode.quantize.steps import (
    QuantizationTarget,
    explicit_target,
    largest_magnitude,
    qp_for_bit_depth,
    root_mean_square,
    target_error,
    usual_qp,
)
from nnr_codec.codec.encode.quantize.tensor_roles import TensorRole, is_vector, role_of
from nnr_codec.codec.encode.quantize.wide_range import companded
from nnr_codec.codec.encode.tensor_job import EncodedTensor, TensorJob
from nnr_codec.codec.stream.tensor_patch import TensorPatch
from nnr_codec.entropy import Workers
from nnr_codec.errors import NotEncodable, QualityWarning
from nnr_codec.model import DataUnitHeader, PayloadType
from nnr_codec.quant import (
    DEPENDENT_MSE,
    UNIFORM_MSE,
    qp_for_step,
    step_size,
)

# Size of a patch's carrier unit without the patch and the name.
_PATCH_UNIT_BYTES = 40
# NNCodec's QP for vectors beside an explicit QP, at density 2. Streams of effort `fast` stay comparable with it.
_QP_1D_WITH_EXPLICIT_QP = -75
#: Largest weight that is quantised: step times level may exceed the weight, and must not overflow float32.
_LARGEST_QUANTIZED = float(np.finfo(np.float32).max) / 8
# Ratio of a vector's largest element to the step beyond which a step that loses small elements gets a warning.
_KEPT_STEPS = 16
# Convolutions with so few weights to an output channel, depthwise ones and stems, get this share of the usual error: little
# averages their errors, and two bits more for each of their weights are about 1 % of a mobile network.
_NARROW = 32
_NARROW_ERROR = 0.25
# Octaves between the error aimed at and the bound of the weakest row from which companding is tried.
_WIDE_OCTAVES = 1.0
# Bits of the largest element of a table coded as integers, and largest accepted relative error of the smallest element.
_TABLE_BITS = 31
_TABLE_ERROR = 2.0**-10


def begin_reals(
    job: TensorJob,
    header: DataUnitHeader,
    array: NDArray[Any],
    workers: Workers | None,
    keep_levels: bool,
) -> EncodedTensor | TensorEncodeTask:
    """Encode a tensor of reals, or return a task whose remaining work is native.

    Parameters are those of `nnr_codec.codec.encode.tensor_encoder.begin_tensor`, and the header with names and dimensions.

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
        return begin_at(job, header, weights, 0, workers, keep_levels)
    vector = is_vector(job.array.shape)
    explicit = explicit_target(job.name, vector, job.config)
    if explicit is None and vector and job.config.qp is not None and not needs_search(job):
        explicit = QuantizationTarget(
            qp_for_step(step_size(_QP_1D_WITH_EXPLICIT_QP, 2), job.quantization.qp_density)
        )
    role = role_of(job.name, job.array.shape, weights)
    bounds = _bounds(job, weights, largest, role)
    exact = _exact(job, header, weights, role, explicit, bounds)
    if exact is not None:
        return exact
    if explicit is not None or job.config.bit_depth is not None:
        return _begin_explicit(job, header, weights, explicit, role, bounds, workers, keep_levels)
    if is_weighted(job):
        coded = searched(job, header, weights, QuantizationTarget(error=bounds.error), workers)
        return raw_unit(header, weights) if coded is None else raw_where_wanted(job, weights, coded, header)
    if vector and (role is TensorRole.TABLE or weights.size <= TINY):
        return _table(job, header, weights)
    if isinstance(bounds, RowBounds) and _is_wide(bounds):
        return _wide(job, header, weights, bounds, workers)
    if needs_search(job):
        return searched_within(job, header, weights, bounds, workers)
    return begin_within(job, header, weights, bounds, workers, keep_levels)


def _patched(job: TensorJob, header: DataUnitHeader, weights: NDArray[np.float32]) -> EncodedTensor:
    """Encode a tensor with zeros in place of NaN and infinities, and a patch that restores them."""
    patch = TensorPatch.of_nonfinite(weights)
    finite = weights.copy()
    finite[patch.positions] = 0
    begun = begin_reals(job, header, finite.reshape(job.array.shape), None, job.config.incremental)
    coded = begun.result() if isinstance(begun, TensorEncodeTask) else begun
    is_raw = coded.unit.header.payload_type == PayloadType.NNR_PT_RAW_FLOAT
    if is_raw or weights.nbytes <= len(coded.unit.payload) + len(patch.to_bytes()) + _PATCH_UNIT_BYTES:
        return raw_unit(header, weights)
    return replace(coded, patch=patch)


def _bounds(job: TensorJob, weights: NDArray[np.float32], largest: float, role: TensorRole) -> Bounds:
    config = job.config
    if is_vector(job.array.shape):
        error = target_error(root_mean_square(weights, largest), True, config, job.quantization.qp_density)
        return element_bounds(weights, role, config.relative_error_1d, error)
    relative = config.relative_error
    if role is TensorRole.TABLE:
        relative = min(relative, config.relative_error_1d)
    elif math.prod(job.array.shape[2:]) > 1 and weights.size <= _NARROW * job.array.shape[0]:
        # Pointwise convolutions are matrices: the outputs of many positions share their errors, as in any layer.
        relative *= min(_NARROW_ERROR, job.error_factor)
    else:
        relative *= job.error_factor
    # A larger error of the tensor does not weaken the bound of its rows.
    return row_bounds(weights, job.array.shape, relative, min(relative, config.relative_error))


def _is_wide(bounds: RowBounds) -> bool:
    return bounds.is_wide or bounds.largest_error < bounds.error * 2.0**-_WIDE_OCTAVES


def _exact(
    job: TensorJob,
    header: DataUnitHeader,
    weights: NDArray[np.float32],
    role: TensorRole,
    explicit: QuantizationTarget | None,
    bounds: Bounds,
) -> EncodedTensor | None:
    """Code a tensor exactly if the options ask for it or it costs about no more; else return None."""
    config = job.config
    forced = config.is_exact(job.name)
    if not forced and (config.bit_depth is not None or is_weighted(job)):
        return None
    error = bounds.error
    if explicit is not None:
        mse = DEPENDENT_MSE if config.dependent else UNIFORM_MSE
        error = step_size(explicit.qp, job.quantization.qp_density) * math.sqrt(mse)
    is_table = role is TensorRole.TABLE and is_vector(job.array.shape)
    wanted = forced or (explicit is None and (is_table or are_positions(weights)))
    forms = exact_forms(weights, error=error, forced=wanted)
    if config.incremental:
        # In updates level 0 means the value 0; a codebook index 0 need not.
        forms = [form for form in forms if form.codebook is None]
    coded = [unit for form in forms if (unit := code_form(job, header, form)) is not None]
    if not coded:
        return raw_unit(header, weights) if forced else None
    smallest = min(coded, key=size_bytes)
    if forced or size_bytes(smallest) <= weights.nbytes + 8:
        return smallest
    return None


def _table(job: TensorJob, header: DataUnitHeader, weights: NDArray[np.float32]) -> EncodedTensor:
    """Code a table or short vector that has no exact integers: as 31-bit integers if accurate enough, else raw."""
    largest = largest_magnitude(weights)
    exponent = math.frexp(largest)[1] - _TABLE_BITS
    smallest = float(np.abs(weights[weights != 0]).min())
    if 0.5 * math.ldexp(1.0, exponent) > _TABLE_ERROR * smallest:
        return raw_unit(header, weights)
    levels = np.rint(np.ldexp(weights.astype(np.float64), -exponent)).astype(np.int32)
    form = ExactForm(None, levels, exponent)
    return code_form(job, header, form) or raw_unit(header, weights)


def _wide(
    job: TensorJob,
    header: DataUnitHeader,
    weights: NDArray[np.float32],
    bounds: RowBounds,
    workers: Workers | None,
) -> EncodedTensor:
    """Code a matrix of wide range companded or with a step for its weakest row, whichever is estimated smaller."""
    coded = None
    if not job.config.incremental:
        coded = companded(weights, bounds, bounds.relative / ROW_FACTOR)
    error = min(bounds.error, bounds.largest_error)
    row_bits = 0.5 * np.log2(1 + np.square(np.maximum(bounds.row_scales, 1e-300) / error)) + 0.1
    fine_bits = bounds.width * float(row_bits.sum())
    if coded is not None and coded[1] < min(fine_bits, 32.0 * weights.size):
        unit = code_form(job, header, coded[0])
        if unit is not None:
            return unit
    if fine_bits > 32.0 * weights.size:
        return raw_unit(header, weights)
    if needs_search(job):
        return searched_within(job, header, weights, bounds, workers)
    return quantized_within(job, header, weights, bounds)


def _begin_explicit(
    job: TensorJob,
    header: DataUnitHeader,
    weights: NDArray[np.float32],
    explicit: QuantizationTarget | None,
    role: TensorRole,
    bounds: Bounds,
    workers: Workers | None,
    keep_levels: bool,
) -> EncodedTensor | TensorEncodeTask:
    """Encode with the quantisation parameter or bit depth of the configuration."""
    config, density = job.config, job.quantization.qp_density
    if needs_search(job):
        target = explicit or QuantizationTarget(error=bounds.error)
        _warn_of_losses(
            job, weights, role, bounds, step_size(usual_qp(target, config.dependent, density), density)
        )
        coded = searched(job, header, weights, target, workers)
        return raw_unit(header, weights) if coded is None else raw_where_wanted(job, weights, coded, header)
    if config.bit_depth is not None and config.qp_for_name(job.name) is None:
        qp = qp_for_bit_depth(weights, config.bit_depth, config.dependent, density)
    else:
        qp = explicit.qp if explicit is not None else 0
    _warn_of_losses(job, weights, role, bounds, step_size(qp, density))
    return begin_at(job, header, weights, qp, workers, keep_levels)


def _warn_of_losses(
    job: TensorJob, weights: NDArray[np.float32], role: TensorRole, bounds: Bounds, step: float
) -> None:
    """Warn if an explicit step quantises to zero what the default would keep: weak rows, or small elements of one sign."""
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
            QualityWarning(
                f"a step of {step:.3g} loses {int(lost.sum())} of {lost.size} {parts}, far smaller than the others",
                path=job.name,
            ),
            stacklevel=2,
        )
