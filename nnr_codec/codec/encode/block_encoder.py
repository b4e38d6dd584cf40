# SPDX-License-Identifier: Apache-2.0
"""Encoding of a block to one data unit. A block is a weight with its vectors; each tensor of it has its own step.

Clause: format 3 (NNR_PT_BLOCK, order of tensors, payload)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.effort import EFFORTS
from nnr_codec.codec.encode.importance import without_feedback
from nnr_codec.codec.encode.quantize.feedback_search import can_feed_back, quantize_with_curvature
from nnr_codec.codec.encode.quantize.rdo_search import RdoSearch
from nnr_codec.codec.encode.quantize.steps import QuantizationTarget, choose_target, nearest_qp, weighted
from nnr_codec.codec.encode.tensor_job import EncodedTensor, TensorJob
from nnr_codec.codec.tensor_coding import tensor_coding
from nnr_codec.entropy import TensorToEncode, encode_payload
from nnr_codec.errors import NotEncodable
from nnr_codec.model import CompressedParameterTypes, DataUnit, DataUnitHeader, EntryPoint, PayloadType
from nnr_codec.model.unit_layout import PlannedTensor, Role, plan_unit
from nnr_codec.quant import DEPENDENT_MSE, UNIFORM_MSE, quantize_dependent, quantize_uniform, step_size
from nnr_codec.transform import Block

# Relative error of a local scaling factor. It is finer than that of a bias, because the error multiplies a whole row.
# Factors below _SMALL_FACTOR of the root mean square belong to negligible rows and count as this large.
_SCALING_ERROR = 0.001
_SMALL_FACTOR = 1 / 64


@dataclass(frozen=True)
class _Part:
    """One tensor of a block before it is quantised."""

    planned: PlannedTensor
    name: str
    weights: NDArray[np.float32]  # flat


def encode_block(job: TensorJob, block: Block) -> EncodedTensor:
    """Quantise and encode a block.

    Raises
    ------
    NotEncodable
        Values that are not finite, or options that do not apply to blocks.

    Clause: format 3
    """
    config = job.config
    if config.incremental:
        raise NotEncodable("blocks are not sent as incremental updates", path=job.name)
    if config.codebook:
        raise NotEncodable("blocks are not coded with codebooks", path=job.name)
    header, arrays = _header_and_arrays(job, block)
    names = header.topology_elem_ids
    parts = []
    for planned in plan_unit(header, block.shape, names):
        weights = np.require(arrays[planned.role], np.float32, ["C", "A"]).reshape(-1)
        if not np.isfinite(weights).all():
            raise NotEncodable("a block's values are finite", path=names[planned.name_index])
        parts.append(_Part(planned, names[planned.name_index], weights))

    main = parts[-1]
    levels: dict[Role, NDArray[np.int32]] = {}
    qps: dict[Role, int] = {}
    weight_header, levels[main.planned.role], qps[main.planned.role] = _quantize_weight(job, header, main)
    # A unit has one unary length: that of the weight, its largest tensor.
    header = replace(header, cabac_unary_length=weight_header.cabac_unary_length)
    for part in parts[:-1]:
        role = part.planned.role
        if role is Role.G:
            _, levels[role], qps[role] = _quantize_weight(job, header, part)
        else:
            qps[role] = _qp_of_vector(job, part)
            levels[role] = _nearest(job, header, part, qps[role])
    base = job.quantization.quantization_parameter
    half = 1 << (5 + job.quantization.qp_density)
    tensors = []
    for part in parts:
        qp_value = qps[part.planned.role] - base
        if not -half <= qp_value < half:
            raise NotEncodable(
                f"qp {qps[part.planned.role]} is out of reach of the stream's {base}", path=part.name
            )
        coding = tensor_coding(header, part.planned, config.general_profile_idc, job.quantization)
        tensors.append(
            TensorToEncode(
                coding,
                levels[part.planned.role],
                qp_value,
                row_skip=config.row_skip,
                search_initialisations=config.search_initialisations,
                search_sample=config.preset.search_sample,
            )
        )
    encoded = encode_payload(tensors)
    header = replace(header, entry_points=_entry_points(encoded.block_row_starts))
    return EncodedTensor(DataUnit(header=header, payload=encoded.payload), None)


def _header_and_arrays(job: TensorJob, block: Block) -> tuple[DataUnitHeader, dict[Role, NDArray[Any]]]:
    arrays: dict[Role, NDArray[Any]] = {}
    types = CompressedParameterTypes(0)
    names = [job.name]
    rank = rows = None
    if block.factors is not None:
        arrays[Role.G], arrays[Role.H] = block.factors
        types |= CompressedParameterTypes.DC
        names = [f"{job.name}_G", f"{job.name}_H"]
        rows, rank = block.factors[0].shape
    else:
        arrays[Role.WEIGHT] = np.asarray(block.weight)
    if block.scaling is not None:
        arrays[Role.LOCAL_SCALING] = block.scaling
        types |= CompressedParameterTypes.LS
        names.append(f"{job.name}_scaling")
    if block.batch_norm:
        types |= CompressedParameterTypes.BN
        for field, role in (
            ("beta", Role.BETA),
            ("gamma", Role.GAMMA),
            ("mean", Role.MEAN),
            ("var", Role.VAR),
        ):
            arrays[role] = block.batch_norm[field]
            names.append(block.names.get(field, f"{job.name}_{field}"))
    if block.bias is not None:
        arrays[Role.BIAS] = block.bias
        types |= CompressedParameterTypes.BI
        names.append(block.names.get("bias", f"{job.name.removesuffix('.weight')}.bias"))
    if len(names) < 2:
        raise NotEncodable("a block needs another tensor beside the weight", path=job.name)
    matrix = block.shape[0] > 1 and math.prod(block.shape[1:]) > 1 and block.factors is None
    header = DataUnitHeader(
        topology_elem_ids=tuple(names),
        payload_type=PayloadType.NNR_PT_BLOCK,
        dq_flag=job.config.dependent,
        tensor_dimensions=block.shape,
        compressed_parameter_types=types,
        decomposition_rank=rank,
        g_number_of_rows=rows,
        scan_order=job.config.scan_order if matrix else 0,
        cabac_unary_length=job.config.unary_length or DataUnitHeader().cabac_unary_length,
    )
    return header, arrays


def _quantize_weight(
    job: TensorJob, header: DataUnitHeader, part: _Part
) -> tuple[DataUnitHeader, NDArray[np.int32], int]:
    """Quantise the weight or a factor like a tensor outside blocks."""
    if not part.weights.any():
        return header, np.zeros(part.weights.size, np.int32), job.quantization.quantization_parameter
    density = job.quantization.qp_density
    target = weighted(choose_target(job.name, part.weights, False, job.config, density), job.weight, density)
    is_weight = part.planned.role is Role.WEIGHT
    if not is_weight and target.error is not None:
        # Errors of both factors add up.
        target = QuantizationTarget(error=target.error / math.sqrt(2))
    alone = replace(header, payload_type=PayloadType.NNR_PT_FLOAT, tensor_dimensions=part.planned.shape)
    array = part.weights.reshape(part.planned.shape)
    importance = job.importance if is_weight else None
    part_job = replace(
        job, array=array, importance=importance, config=_config_of(job.config, header, part.planned.role)
    )
    if is_weight and job.curvature is not None and can_feed_back(part_job, alone):
        result = quantize_with_curvature(part_job, alone, part.weights, target, job.curvature)
        return result.header, result.levels, result.qp
    if is_weight and job.curvature is not None:
        part_job = replace(part_job, importance=without_feedback(job.curvature, part.planned.shape))
    effort = job.config.preset if job.config.preset.passes > 0 else EFFORTS["medium"]
    # A unit has one dq_flag, so small=0 disables the trial of the other quantiser.
    result = RdoSearch(part_job, alone, part.weights, target, replace(effort, small=0)).run()
    return result.header, result.levels, result.qp


def _config_of(config: EncoderConfig, header: DataUnitHeader, role: Role) -> EncoderConfig:
    # The unit has one unary length: G takes that of H.
    return replace(config, unary_length=header.cabac_unary_length) if role is Role.G else config


def _qp_of_vector(job: TensorJob, part: _Part) -> int:
    density = job.quantization.qp_density
    if part.planned.role is Role.LOCAL_SCALING:
        magnitudes = np.abs(part.weights[part.weights != 0], dtype=np.float64)
        powers = np.log2(magnitudes)
        rms = float(np.sqrt(np.mean(np.square(part.weights, dtype=np.float64)))) if part.weights.size else 0.0
        if powers.size and np.array_equal(powers, np.round(powers)):
            # Powers of two are exact with the smallest one as the step. Dependent quantisation needs a quarter of it: levels
            # that are multiples of four keep the trellis in state 0, which reconstructs even multiples of the step.
            step = 2.0 ** float(powers.min()) / (4 if job.config.dependent else 1)
            return nearest_qp(step, density)
        smallest = max(float(magnitudes.min(initial=rms)), _SMALL_FACTOR * rms)
        by_name = job.config.qp_for_name(part.name)
        target = (
            QuantizationTarget(error=_SCALING_ERROR * smallest)
            if by_name is None
            else QuantizationTarget(by_name)
        )
    else:
        target = choose_target(part.name, part.weights, True, job.config, density)
    if target.error is None:
        return target.qp
    if target.error == 0:
        return job.quantization.quantization_parameter
    return nearest_qp(
        target.error / math.sqrt(DEPENDENT_MSE if job.config.dependent else UNIFORM_MSE), density
    )


def _nearest(job: TensorJob, header: DataUnitHeader, part: _Part, qp: int) -> NDArray[np.int32]:
    step = step_size(qp, job.quantization.qp_density)
    if not header.dq_flag:
        return quantize_uniform(part.weights, step)
    coding = tensor_coding(header, part.planned, job.config.general_profile_idc, job.quantization)
    return quantize_dependent(part.weights, step, coding)


def _entry_points(starts: tuple[tuple[Any, ...], ...]) -> tuple[EntryPoint, ...]:
    # The weight is the only tensor of the unit with entry points.
    for tensor in starts:
        if tensor:
            return tuple(EntryPoint(s.position - tensor[0].position, s.offset, s.state) for s in tensor[1:])
    return ()
