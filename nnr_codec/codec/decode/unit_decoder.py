# SPDX-License-Identifier: Apache-2.0
"""One data unit to the levels of its tensors: a pure function of bytes, so that it can run in any thread or process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.decode.quantized_tensor import QuantizedTensor
from nnr_codec.codec.stream.stream_reader import DataUnitInStream
from nnr_codec.codec.stream.update_tree import Predecessor
from nnr_codec.entropy import (
    DecodedPayload,
    DecodedTensor,
    DecodeTask,
    PayloadToDecode,
    TensorCoding,
    TensorToDecode,
    Workers,
    decode_payload,
)
from nnr_codec.entropy import Quantization as PayloadQuantization
from nnr_codec.errors import BitstreamError, MalformedBitstream
from nnr_codec.model import DataUnitHeader, PayloadType, Quantization
from nnr_codec.model.unit_layout import PlannedTensor, Role
from nnr_codec.quant import step_size


@dataclass(frozen=True)
class UnitContext:
    """What a data unit's payload needs to know from outside its header."""

    general_profile_idc: int
    quantization: Quantization | None  # of the layer or model parameter set in force
    predecessors: Sequence[Predecessor | None] = ()  # per tensor in data order; empty for none


class UnitTensor(NamedTuple):
    """One decoded tensor of a unit."""

    planned: PlannedTensor
    #: Values where they were asked for, and in raw float units, which have no levels.
    value: QuantizedTensor | NDArray[np.float32] | NDArray[np.int32]
    coded: DecodedTensor | None = None  # where later units may build on this one


def tensor_coding(
    header: DataUnitHeader,
    planned: PlannedTensor,
    general_profile_idc: int,
    quantization: Quantization | None,
) -> TensorCoding:
    """Return what the entropy coder must know of a tensor.

    Clause: format 5.2, 5.3
    """
    # Profile 0 codes codebook indices as if there were no codebook.
    book = planned.codebook if general_profile_idc == 1 else None
    quantized = header.payload_type is not PayloadType.NNR_PT_INT
    # The peer sends dq_flag with integer payloads and acts on it with quantised ones only.
    return TensorCoding(
        rows=planned.rows,
        width=planned.width,
        scan_order=header.scan_order if planned.scanned else 0,
        unary_length=header.cabac_unary_length,
        dependent=header.dq_flag and quantized,
        profile1=general_profile_idc == 1,
        parent_present=header.parent is not None,
        qp_bits=6 + quantization.qp_density if quantized and quantization is not None else 0,
        codebook_size=len(book.values) if book else 0,
        codebook_zero=book.zero_offset if book else 0,
    )


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
        What is known before the payload is read.
    payload : bytes-like
        The codeword or the raw values, ending with the unit.
    bit_offset, path
        The payload's place in the stream, for errors.

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


class DecodingUnits:
    """Units that build on no others, begun together: decoded by threads, or where the result is asked for.

    Parameters
    ----------
    units : sequence of DataUnitInStream
    dequantize : bool
        Whether values are wanted instead of `QuantizedTensor`. They then take the levels' place in memory.
    workers : Workers, optional
        Threads that begin at once.

    Clause: format 3 (payload), 4, 5
    """

    def __init__(
        self, units: Sequence[DataUnitInStream], *, dequantize: bool, workers: Workers | None = None
    ) -> None:
        self._units, self._dequantize = units, dequantize
        self._results: list[list[UnitTensor] | BitstreamError] = []
        self._jobs: list[PayloadToDecode] = []
        self._waiting: list[int] = []  # per job the place of its unit
        for unit in units:
            try:
                if unit.header.payload_type is PayloadType.NNR_PT_RAW_FLOAT:
                    planned = unit.plan[0]
                    values = _raw_values(planned, unit.payload, unit.payload_bit_offset, unit.path)
                    self._results.append([UnitTensor(planned, values)])
                    continue
                job = _payload_job(unit, dequantize, shared=workers is not None)
            except BitstreamError as error:
                self._results.append(error)
                continue
            self._waiting.append(len(self._results))
            self._jobs.append(job)
            self._results.append([])
        self._begun = DecodeTask(self._jobs, workers)

    def result(self) -> list[list[UnitTensor] | BitstreamError]:
        """Return per unit what `decode_unit` returns, but for `UnitTensor.coded`, or the error that it raises; once."""
        results = self._results
        for place, job, decoded in zip(self._waiting, self._jobs, self._begun.result(), strict=True):
            try:
                results[place] = (
                    decoded
                    if isinstance(decoded, BitstreamError)
                    else _unit_tensors(self._units[place], job, decoded, self._dequantize)
                )
            except BitstreamError as error:
                results[place] = error
        # Whoever takes the tensors decides how long they stay.
        self._results = []
        del self._begun
        return results

    def cancel(self) -> None:
        """Give up what is not begun, and wait for what is."""
        self._begun.cancel()
        del self._begun


def _payload_job(unit: DataUnitInStream, dequantize: bool, *, shared: bool) -> PayloadToDecode:
    header, quantization = unit.header, unit.quantization
    _require_quantization(header, quantization, unit.payload_bit_offset, unit.path)
    codings = [
        tensor_coding(header, planned, unit.general_profile_idc, quantization) for planned in unit.plan
    ]
    in_place = None
    if (
        dequantize
        and quantization is not None
        and header.payload_type is not PayloadType.NNR_PT_INT
        and header.codebook is None
        and header.second_codebook is None
    ):
        in_place = PayloadQuantization(quantization.qp_density, quantization.quantization_parameter)
    points: list[tuple[int, int, int]] = []
    # Threads use entry points, and decoding straight through ignores them, so wrong ones are no fault.
    if shared and all(0 < p.bit_offset < 8 * len(unit.payload) for p in header.entry_points):
        points = [(p.bit_offset, p.cabac_offset_value, p.dq_state) for p in header.entry_points]
    return PayloadToDecode(unit.payload, codings, in_place, unit.payload_bit_offset, unit.path, points)


def _unit_tensors(
    unit: DataUnitInStream, job: PayloadToDecode, decoded: DecodedPayload, dequantize: bool
) -> list[UnitTensor]:
    if job.quantization is not None:
        return [
            UnitTensor(planned, values.reshape(planned.shape))
            for planned, values in zip(unit.plan, decoded.arrays, strict=True)
        ]
    tensors = []
    for planned, levels, qp_value in zip(unit.plan, *decoded, strict=True):
        value = _quantized(
            unit.header, planned, levels, qp_value, unit.quantization, unit.payload_bit_offset, unit.path
        )
        tensors.append(UnitTensor(planned, value.dequantize() if dequantize else value))
    return tensors


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


__all__ = [
    "DecodingUnits",
    "Predecessor",
    "Role",
    "UnitContext",
    "UnitTensor",
    "decode_unit",
    "tensor_coding",
]
