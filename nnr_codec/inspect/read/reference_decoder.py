# SPDX-License-Identifier: Apache-2.0
"""Reference decoder of data units, whose headers the grammar itself parses: for validation, with side information, and tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.decode.quantized_tensor import QuantizedTensor
from nnr_codec.codec.stream.update_tree import Predecessor, UpdateTree
from nnr_codec.codec.tensor_coding import tensor_coding
from nnr_codec.entropy import DecodedTensor, TensorToDecode, decode_payload
from nnr_codec.errors import BitstreamError, MalformedBitstream
from nnr_codec.inspect.read.reference_reader import DataUnitInStream, ReferenceReader
from nnr_codec.model import DataUnitHeader, PayloadType, Quantization
from nnr_codec.model.unit_layout import PlannedTensor
from nnr_codec.quant import step_size


@dataclass(frozen=True)
class UnitContext:
    """Parameters of a payload that its header does not hold."""

    general_profile_idc: int
    quantization: Quantization | None  # of the layer or model parameter set in force
    predecessors: Sequence[Predecessor | None] = ()  # per tensor in data order; empty for none


class UnitTensor(NamedTuple):
    """One decoded tensor of a unit."""

    planned: PlannedTensor
    #: Values if requested and for raw float units, which have no levels; else levels.
    value: QuantizedTensor | NDArray[np.float32] | NDArray[np.int32]
    coded: DecodedTensor | None = None  # set if later units may update this one


def decode_unit(
    header: DataUnitHeader,
    plan: Sequence[PlannedTensor],
    payload: bytes | memoryview,
    context: UnitContext,
    *,
    bit_offset: int = 0,
    path: str | None = None,
) -> list[UnitTensor]:
    """Decode the tensors of one data unit.

    Parameters
    ----------
    header, plan, context
        Header, layout and context of the payload.
    payload : bytes-like
        The codeword or the raw values, ending with the unit.
    bit_offset, path
        Position of the payload in the stream, for errors.

    Raises
    ------
    TruncatedBitstream, MalformedBitstream

    Clause: format 3 (payload), 4, 5
    """
    if header.payload_type is PayloadType.NNR_PT_RAW_FLOAT:
        return [UnitTensor(plan[0], _raw_values(plan[0], payload, bit_offset, path))]
    _require_quantization(header, context.quantization, bit_offset, path)
    temporal = header.parent is not None and header.parent.temporal_context_modeling_flag
    jobs = []
    for index, planned in enumerate(plan):
        coding = tensor_coding(header, planned, context.general_profile_idc, context.quantization)
        before = context.predecessors[index] if context.predecessors else None
        jobs.append(
            TensorToDecode(
                coding,
                before.levels if before is not None and temporal else None,
                before.history if before is not None else None,
            )
        )
    decoded = decode_payload(payload, jobs, bit_offset=bit_offset, path=path)
    return [
        UnitTensor(
            planned,
            _quantized(
                header, planned, tensor.levels, tensor.qp_value, context.quantization, bit_offset, path
            ),
            tensor,
        )
        for planned, tensor in zip(plan, decoded, strict=True)
    ]


def _require_quantization(
    header: DataUnitHeader, quantization: Quantization | None, bit_offset: int, path: str | None
) -> None:
    if header.payload_type is not PayloadType.NNR_PT_INT and quantization is None:
        raise MalformedBitstream(
            "a quantised unit without a quantisation parameter in its parameter sets",
            path=path,
            bit_offset=bit_offset,
            element="mps_quantization_method_flags",
            clause="format 4",
        )


def _raw_values(
    planned: PlannedTensor, payload: bytes | memoryview, bit_offset: int, path: str | None
) -> NDArray[np.float32]:
    expected = 4 * math.prod(planned.shape)
    if len(payload) != expected:
        raise MalformedBitstream(
            f"a raw payload of {len(payload)} bytes for {expected // 4} float32 values",
            path=path,
            bit_offset=bit_offset,
            element="raw_float32_parameter",
            clause="format 3",
        )
    # A copy: the stream's buffer may be a file that is closed before the array is used.
    return np.frombuffer(payload, "<f4").astype(np.float32).reshape(planned.shape)


def _quantized(
    header: DataUnitHeader,
    planned: PlannedTensor,
    levels: NDArray[np.int32],
    qp_value: int,
    quantization: Quantization | None,
    bit_offset: int,
    path: str | None,
) -> QuantizedTensor:
    levels = levels.reshape(planned.shape)
    if header.payload_type is PayloadType.NNR_PT_INT or quantization is None:
        return QuantizedTensor(levels)
    qp = qp_value + quantization.quantization_parameter
    codebook = None
    zero = 0
    if planned.codebook is not None:
        codebook = np.array(planned.codebook.values, np.int32)
        zero = planned.codebook.zero_offset
        if levels.size and not (-zero <= int(levels.min()) and int(levels.max()) < codebook.size - zero):
            raise MalformedBitstream(
                "a level lies outside the codebook",
                path=path,
                bit_offset=bit_offset,
                element="payload",
                clause="format 4",
            )
    return QuantizedTensor(
        levels,
        step_size=step_size(qp, quantization.qp_density),
        qp=qp,
        qp_density=quantization.qp_density,
        codebook=codebook,
        codebook_zero_offset=zero,
        dependent=header.dq_flag,
    )


def decode_in_turn(
    unit: DataUnitInStream, reader: ReferenceReader, updates: UpdateTree
) -> tuple[list[UnitTensor], Sequence[Predecessor]]:
    """Decode a unit that may update an earlier one, and remember it for later updates.

    Parameters
    ----------
    unit : DataUnitInStream
    reader : ReferenceReader
        The reader that yielded the unit last.
    updates : UpdateTree
        The units decoded so far.

    Returns
    -------
    tensors : list of UnitTensor
        In the order of their data.
    predecessors : sequence of Predecessor
        The tensors of the updated unit; empty if the unit updates none.

    Raises
    ------
    BitstreamError
        With path and bit offset.

    Clause: format 5.6
    """
    reader.check_time(unit)
    plan = unit.plan
    try:
        before = updates.predecessors(unit.header) or ()
    except BitstreamError as error:
        reader.locate(error)
        raise
    if before and [p.shape for p in before] != [t.shape for t in plan]:
        fault = MalformedBitstream(
            "the unit updates one of another shape",
            path=f"{unit.path}.tensor_dimensions",
            bit_offset=unit.payload_bit_offset,
            element="tensor_dimensions",
            clause="format 5.6",
        )
        unit.locate(fault)
        raise fault
    context = UnitContext(unit.general_profile_idc, unit.quantization, before)
    try:
        tensors = decode_unit(
            unit.header, plan, unit.payload, context, bit_offset=unit.payload_bit_offset, path=unit.path
        )
    except BitstreamError as error:
        unit.locate(error)
        raise
    coded = [t.coded.levels for t in tensors if t.coded is not None]
    if reader.parent_signalling and coded:
        updates.remember(unit.header, unit.payload, coded, [t.shape for t in plan])
    return tensors, before
