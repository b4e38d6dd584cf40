# SPDX-License-Identifier: Apache-2.0
"""Data units of one tensor from its levels: headers, quantisation parameters, codebooks and raw floats.

Clause: format 3
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.quantize.codebook import codebook_bits, codebook_for_levels
from nnr_codec.codec.encode.quantize.exact_values import ExactForm
from nnr_codec.codec.encode.tensor_job import EncodedTensor, TensorJob
from nnr_codec.entropy import EncodedPayload, encode_payload, rate
from nnr_codec.errors import NotEncodable
from nnr_codec.model import DataUnit, DataUnitHeader, EntryPoint, PayloadType

#: Unary length without a search, as in NNCodec.
USUAL_UNARY_LENGTH = 11
# Codebook indices are often evenly distributed, where escape codes are expensive: hence candidates up to 256.
_UNARY_LENGTHS = (1, 2, 4, 7, 10, 14, 20, 32, 48, 64, 96, 128, 192, 256)
_SAMPLE = 1 << 16


def raw_unit(header: DataUnitHeader, weights: NDArray[np.float32]) -> EncodedTensor:
    """Return a raw unit of float32 values."""
    # A raw tensor has no levels for later updates, so it is no node of the update tree.
    header = replace(header, payload_type=PayloadType.NNR_PT_RAW_FLOAT, node_id=None, parent=None)
    return EncodedTensor(DataUnit(header=header, payload=weights.astype("<f4").tobytes()), None)


def float_header(job: TensorJob, header: DataUnitHeader) -> DataUnitHeader:
    """Return the header of a quantised tensor with the options of the configuration."""
    shape = header.tensor_dimensions or (1,)
    return replace(
        header,
        payload_type=PayloadType.NNR_PT_FLOAT,
        dq_flag=job.config.dependent,
        cabac_unary_length=job.config.unary_length or USUAL_UNARY_LENGTH,
        scan_order=job.config.scan_order if shape[0] > 1 and math.prod(shape[1:]) > 1 else 0,
    )


def checked_qp_value(job: TensorJob, qp: int, *, explicit: bool = False) -> int | None:
    """Return `qp_value` for a QP; None if the stream's base does not reach it.

    Raises
    ------
    NotEncodable
        The QP is out of range, and the configuration sets it explicitly.
    """
    qp_value = qp - job.quantization.quantization_parameter
    half = 1 << (5 + job.quantization.qp_density)
    if -half <= qp_value < half:
        return qp_value
    if explicit:
        raise NotEncodable(
            f"qp {qp} is out of reach of the stream's {job.quantization.quantization_parameter}"
        )
    return None


def code_form(job: TensorJob, header: DataUnitHeader, form: ExactForm) -> EncodedTensor | None:
    """Code levels or codebook indices with a power of two as the step; return None if the step is out of range."""
    qp_value = checked_qp_value(job, form.exponent * (1 << job.quantization.qp_density))
    if qp_value is None:
        return None
    header = replace(float_header(job, header), dq_flag=False, codebook=form.codebook)
    return code_uniform(job, header, form.levels, qp_value)


def code_uniform(
    job: TensorJob,
    header: DataUnitHeader,
    levels: NDArray[np.int32],
    qp_value: int,
    unary_lengths: tuple[int, ...] = _UNARY_LENGTHS,
) -> EncodedTensor:
    """Code levels of scalar quantisation with the unary length that costs least."""
    length = job.config.unary_length
    if length is None:
        costs = rate.unary_length_costs(levels[:_SAMPLE], unary_lengths)
        length = unary_lengths[costs.index(min(costs))]
    return code_levels(job, replace(header, cabac_unary_length=length), levels, qp_value)


def code_with_codebook(
    job: TensorJob, header: DataUnitHeader, levels: NDArray[np.int32], qp_value: int
) -> EncodedTensor:
    """Code levels directly, or as codebook indices if the configuration asks for them and they are smaller."""
    direct = code_levels(job, header, levels, qp_value)
    if not job.config.codebook or header.dq_flag:
        return direct
    indexed_levels = codebook_for_levels(levels)
    if indexed_levels is None:
        return direct
    codebook, indices = indexed_levels
    indexed = code_levels(job, replace(header, codebook=codebook), indices, qp_value)
    size = len(indexed.unit.payload) + codebook_bits(codebook) / 8
    return indexed if size < len(direct.unit.payload) else direct


def size_bytes(coded: EncodedTensor) -> float:
    """Return the size of a unit's payload and codebook, to compare forms of one tensor."""
    codebook = coded.unit.header.codebook
    return len(coded.unit.payload) + (0.0 if codebook is None else codebook_bits(codebook) / 8)


def code_levels(
    job: TensorJob, header: DataUnitHeader, levels: NDArray[np.int32], qp_value: int
) -> EncodedTensor:
    """Code levels with the cheapest use of earlier updates."""
    candidates = []
    for parent, history in job.parent_choices():
        # Replacing a field takes as long as coding a small tensor.
        candidate = header if parent is header.parent else replace(header, parent=parent)
        candidates.append(
            (candidate, encode_payload([job.tensor_to_encode(candidate, levels, qp_value, history)]))
        )
    chosen, encoded = min(candidates, key=lambda choice: len(choice[1].payload))
    return unit_of(chosen, encoded, levels)


def unit_of(
    header: DataUnitHeader, encoded: EncodedPayload, levels: NDArray[np.int32] | None
) -> EncodedTensor:
    """Return the data unit of a codeword, with its entry points."""
    starts = encoded.block_row_starts[0]
    if len(starts) > 1:
        points = tuple(EntryPoint(s.position - starts[0].position, s.offset, s.state) for s in starts[1:])
        header = replace(header, entry_points=points)
    return EncodedTensor(DataUnit(header=header, payload=encoded.payload), levels)
