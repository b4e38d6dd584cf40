# SPDX-License-Identifier: Apache-2.0
"""One tensor to one data unit: a pure function, so that it can run in any thread or process."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.codebook import codebook_for_levels
from nnr_codec.codec.config import EncoderConfig
from nnr_codec.codec.steps import choose_qp
from nnr_codec.codec.unit_decoder import Predecessor, tensor_coding
from nnr_codec.codec.unit_layout import PlannedTensor, Role
from nnr_codec.entropy import EncodedPayload, TensorToEncode, encode_payload
from nnr_codec.errors import NotEncodable
from nnr_codec.model import Codebook, DataUnit, DataUnitHeader, EntryPoint, ParentNode, PayloadType, Quantization
from nnr_codec.quant import quantize_dependent, quantize_uniform, step_size

_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class TensorJob:
    """A tensor and all that decides how it is coded; can be pickled."""

    name: str
    array: NDArray[Any]
    config: EncoderConfig
    quantization: Quantization
    header: DataUnitHeader = DataUnitHeader()  # node and parent, in incremental streams
    predecessor: Predecessor | None = None
    flexible_parent: ParentNode | None = None  # the parent whose temporal contexts may be used or not, by cost


@dataclass(frozen=True)
class EncodedTensor:
    """A data unit ready for the stream, and its levels (flat) for the updates that follow; None when it is raw."""

    unit: DataUnit
    levels: NDArray[np.int32] | None


def encode_tensor(job: TensorJob) -> EncodedTensor:
    """Quantise and encode one tensor.

    Raises
    ------
    NotEncodable
        The format has no exact or sensible place for these values; ``path`` is the tensor's name.

    Clause: format 3, 4, 5
    """
    array = job.array
    shape = array.shape or (1,)
    header = replace(job.header, topology_elem_ids=(job.name,), tensor_dimensions=shape)
    try:
        if array.dtype.kind in "iub":
            return _encode_integers(job, header, _as_int32(array))
        if array.dtype.kind == "f":
            return _encode_reals(job, header, array)
    except NotEncodable as error:
        error.path = job.name if error.path is None else f"{job.name}: {error.path}"
        raise
    raise NotEncodable(f"arrays of {array.dtype} have no place in the format", path=job.name)


def _as_int32(array: NDArray[Any]) -> NDArray[np.int32]:
    if array.size and (int(array.max()) > _INT32.max or int(array.min()) < _INT32.min):
        raise NotEncodable(f"the format holds 32-bit integers; this {array.dtype} tensor has values beyond them")
    return np.ascontiguousarray(array, np.int32).reshape(-1)


def _encode_integers(job: TensorJob, header: DataUnitHeader, levels: NDArray[np.int32]) -> EncodedTensor:
    header = replace(header, payload_type=PayloadType.NNR_PT_INT, cabac_unary_length=job.config.unary_length)
    return _code_levels(job, header, levels, 0)


def _encode_reals(job: TensorJob, header: DataUnitHeader, array: NDArray[Any]) -> EncodedTensor:
    with np.errstate(over="ignore"):
        weights = np.ascontiguousarray(array, np.float32).reshape(-1)
    finite = bool(np.isfinite(weights).all())
    if not finite and bool(np.isfinite(weights).sum() < np.isfinite(array).sum()):
        raise NotEncodable(f"the format holds float32; this {array.dtype} tensor has finite values beyond it")
    raw = _raw(header, weights)
    if not finite:
        return raw
    qp = choose_qp(job.name, weights, len(array.shape), job.config, job.quantization.qp_density)
    qp_value = qp - job.quantization.quantization_parameter
    half = 1 << (5 + job.quantization.qp_density)
    if not -half <= qp_value < half:
        if job.config.qp is not None or job.config.qp_for_name(job.name) is not None:
            raise NotEncodable(f"qp {qp} is out of reach of the stream's {job.quantization.quantization_parameter}")
        return raw
    coded = _encode_at(job, header, weights, qp_value)
    if job.config.raw_when_smaller and len(raw.unit.payload) <= len(coded.unit.payload):
        return raw
    return coded


def _raw(header: DataUnitHeader, weights: NDArray[np.float32]) -> EncodedTensor:
    # A raw tensor leaves no levels behind, so it takes no part in updates and is no node of theirs.
    header = replace(header, payload_type=PayloadType.NNR_PT_RAW_FLOAT, node_id=None, parent=None)
    return EncodedTensor(DataUnit(header=header, payload=weights.astype("<f4").tobytes()), None)


def _encode_at(job: TensorJob, header: DataUnitHeader, weights: NDArray[np.float32], qp_value: int) -> EncodedTensor:
    config = job.config
    shape = header.tensor_dimensions or (1,)
    header = replace(
        header,
        payload_type=PayloadType.NNR_PT_FLOAT,
        dq_flag=config.dependent,
        cabac_unary_length=config.unary_length,
        scan_order=config.scan_order if shape[0] > 1 and math.prod(shape[1:]) > 1 else 0,
    )
    qp = qp_value + job.quantization.quantization_parameter
    step = step_size(qp, job.quantization.qp_density)
    if config.dependent:
        planned = PlannedTensor(Role.WEIGHT, 0, shape, True, None)
        coding = tensor_coding(header, planned, config.general_profile_idc, job.quantization)
        return _code_levels(job, header, quantize_dependent(weights, step, coding), qp_value)
    levels = quantize_uniform(weights, step)
    plain = _code_levels(job, header, levels, qp_value)
    if not config.codebook:
        return plain
    found = codebook_for_levels(levels)
    if found is None:
        return plain
    codebook, indices = found
    indexed = _code_levels(job, replace(header, codebook=codebook), indices, qp_value)
    return indexed if len(indexed.unit.payload) + _codebook_bytes(codebook) < len(plain.unit.payload) else plain


def _codebook_bytes(codebook: Codebook) -> int:
    # An entry's Exp-Golomb code takes about 1 + 2 log2(difference) bits; good enough to decide.
    gaps = np.diff(np.array(codebook.values, np.int64))
    return int((1 + 2 * np.log2(np.maximum(gaps, 1))).sum() / 8) + 4


def _code_levels(job: TensorJob, header: DataUnitHeader, levels: NDArray[np.int32], qp_value: int) -> EncodedTensor:
    """Code levels with the cheapest use of earlier updates."""
    candidates = []
    for parent, history in _parent_choices(job):
        candidate = replace(header, parent=parent)
        candidates.append((candidate, _payload(job, candidate, levels, qp_value, history)))
    chosen, encoded = min(candidates, key=lambda choice: len(choice[1].payload))
    starts = encoded.block_row_starts[0]
    entry_points = tuple(EntryPoint(s.position - starts[0].position, s.offset, s.state) for s in starts[1:])
    return EncodedTensor(DataUnit(header=replace(chosen, entry_points=entry_points), payload=encoded.payload), levels)


def _parent_choices(job: TensorJob) -> list[tuple[ParentNode | None, bool]]:
    parent = job.flexible_parent
    if parent is None or job.predecessor is None:
        return [(parent, False)]
    temporal = [False, True] if job.config.temporal_context else [False]
    history = [False, True] if job.config.history_context else [False]
    return [(replace(parent, temporal_context_modeling_flag=t), h) for t in temporal for h in history]


def _payload(
    job: TensorJob, header: DataUnitHeader, levels: NDArray[np.int32], qp_value: int, history: bool
) -> EncodedPayload:
    shape = header.tensor_dimensions or (1,)
    planned = PlannedTensor(Role.WEIGHT, 0, shape, True, header.codebook)
    coding = tensor_coding(header, planned, job.config.general_profile_idc, job.quantization)
    before = job.predecessor
    temporal = header.parent is not None and header.parent.temporal_context_modeling_flag
    return encode_payload(
        [
            TensorToEncode(
                coding,
                levels,
                qp_value,
                history_enabled=history,
                row_skip=job.config.row_skip,
                search_initialisations=job.config.search_initialisations,
                base=before.levels if before is not None and temporal else None,
                history=before.history if before is not None else None,
            )
        ]
    )

