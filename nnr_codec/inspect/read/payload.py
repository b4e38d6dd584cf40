# SPDX-License-Identifier: Apache-2.0
"""Payload decoding with bit counts: the cost of every element, tensor and context model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.decode.quantized_tensor import QuantizedTensor
from nnr_codec.codec.stream.update_tree import UpdateTree
from nnr_codec.codec.tensor_coding import tensor_coding
from nnr_codec.entropy import Outcome, TensorToDecode
from nnr_codec.entropy.probe import Price, ProbedPayload, ProbedTensor, probe_payload
from nnr_codec.errors import BitstreamError, MalformedBitstream
from nnr_codec.inspect.read.accounts import PayloadAccount, TensorAccount
from nnr_codec.inspect.read.contexts import element_of_context
from nnr_codec.inspect.read.fault import Fault, fault_of
from nnr_codec.inspect.read.levels import level_statistics
from nnr_codec.model import DataUnit, DataUnitHeader, PayloadType
from nnr_codec.model.unit_layout import PlannedTensor, plan_unit
from nnr_codec.quant import step_size
from nnr_codec.syntax import SyntaxState

# Format 5.1: the range is 510 at the start and 2 after the terminating bin; 9 bits are read before the first bin.
_BITS_BEFORE_FIRST_BIN = 9 - math.log2(255)

#: Expected and actual content by the outcome of decoding, for people.
_EXPECTATIONS = {
    Outcome.TRUNCATED: ("more bits", "the end of the unit"),
    Outcome.NO_TERMINATION: ("1", "0"),
    Outcome.BAD_STOP_BIT: ("a one, then zeros up to the byte boundary", None),
    Outcome.TRAILING_BYTES: ("the end of the unit", "more bytes"),
    Outcome.OFFSET_ABOVE_RANGE: ("an offset below the range", "an offset outside it"),
    Outcome.NOT_IN_CODEBOOK: ("an index into the codebook", "an index beyond it"),
}


@dataclass
class PayloadReader:
    """Reader of a stream's payloads, in order; it remembers the levels that later updates depend on.

    Attributes
    ----------
    keep : bool
        Keep levels and values in the accounts.
    """

    keep: bool = False
    _updates: UpdateTree = field(default_factory=UpdateTree)

    def read(
        self,
        unit: DataUnit,
        state: SyntaxState,
        *,
        path: str,
        bit_offset: int,
        names: Sequence[str],
        watch_bit: int | None = None,
    ) -> PayloadAccount:
        """Decode one data unit's payload and count its bits. A fault is part of the account, not raised."""
        n_bits = 8 * len(unit.payload)
        try:
            return self._read(unit, state, path, bit_offset, tuple(names), watch_bit)
        except BitstreamError as error:
            error.path = error.path or path
            error.bit_offset = bit_offset if error.bit_offset is None else error.bit_offset
            return PayloadAccount(n_bits, (), unread_bits=n_bits, fault=fault_of(error))

    def _read(
        self,
        unit: DataUnit,
        state: SyntaxState,
        path: str,
        bit_offset: int,
        names: tuple[str, ...],
        watch_bit: int | None,
    ) -> PayloadAccount:
        header = unit.header
        n_bits = 8 * len(unit.payload)
        if header.tensor_dimensions is None:
            return PayloadAccount(
                n_bits, (), unread_bits=n_bits, note="the tensor dimensions are not in the stream"
            )
        plan = plan_unit(header, header.tensor_dimensions, names)
        if header.payload_type is PayloadType.NNR_PT_RAW_FLOAT:
            return self._raw(unit, plan[0], names, path, bit_offset)
        if header.payload_type is not PayloadType.NNR_PT_INT and state.quantization is None:
            raise MalformedBitstream(
                "a quantised unit without a quantisation parameter in its parameter sets",
                element="mps_quantization_method_flags",
                clause="format 4",
            )
        jobs = self._jobs(header, plan, state)
        probed = probe_payload(unit.payload, jobs, bit_offset=bit_offset, path=path, watch_bit=watch_bit)
        signalling = state.mps is not None and state.mps.parent_signalling_enabled_flag
        if probed.fault is not None and header.parent is not None and not self._updates.predecessors(header):
            note = "the unit updates a unit of an earlier stream (--after FILE adds that stream)"
            return PayloadAccount(n_bits, (), unread_bits=n_bits, note=note)
        if probed.fault is None and signalling:
            self._updates.remember(header, unit.payload, [tensor.levels for tensor in probed.tensors])
        return self._account(unit, plan, jobs, names, state, probed)

    def _jobs(
        self, header: DataUnitHeader, plan: list[PlannedTensor], state: SyntaxState
    ) -> list[TensorToDecode]:
        before = self._updates.predecessors(header) or ()
        if before and [p.levels.size for p in before] != [t.rows * t.width for t in plan]:
            before = ()
        temporal = header.parent is not None and header.parent.temporal_context_modeling_flag
        jobs = []
        for index, planned in enumerate(plan):
            coding = tensor_coding(header, planned, state.general_profile_idc or 0, state.quantization)
            earlier = before[index] if before else None
            base = earlier.levels if earlier is not None and temporal else None
            jobs.append(TensorToDecode(coding, base, None if earlier is None else earlier.history))
        return jobs

    def _account(
        self,
        unit: DataUnit,
        plan: list[PlannedTensor],
        jobs: list[TensorToDecode],
        names: tuple[str, ...],
        state: SyntaxState,
        probed: ProbedPayload,
    ) -> PayloadAccount:
        n_bits = 8 * len(unit.payload)
        tensors = []
        terminating = 0.0
        for index, tensor in enumerate(probed.tensors):
            whole = probed.fault is None or index < len(probed.tensors) - 1
            report = self._tensor(
                unit.header, plan[index], jobs[index].coding.dependent, names, state, tensor, whole
            )
            tensors.append(report)
            terminating += tensor.bypass["terminating_bin"].bits
        used = sum(tensor.bits for tensor in tensors)
        if probed.fault is not None:
            fault = fault_of(probed.fault)
            expected, actual = _EXPECTATIONS.get(probed.outcome, (None, None))
            fault = replace(fault, expected=expected, actual=actual)
            return PayloadAccount(
                n_bits, tuple(tensors), unread_bits=n_bits - used, fault=fault, watched=probed.watched
            )
        discrepancy = used + terminating + _BITS_BEFORE_FIRST_BIN - probed.bits_read
        return PayloadAccount(n_bits, tuple(tensors), n_bits - used, 0.0, discrepancy, None, probed.watched)

    def _tensor(
        self,
        header: DataUnitHeader,
        planned: PlannedTensor,
        dependent: bool,
        names: tuple[str, ...],
        state: SyntaxState,
        probed: ProbedTensor,
        whole: bool,
    ) -> TensorAccount:
        elements = _by_element(probed, header.cabac_unary_length)
        quantization = state.quantization
        quantized = QuantizedTensor(probed.levels.reshape(planned.shape), dependent=header.dq_flag)
        if header.payload_type is not PayloadType.NNR_PT_INT and quantization is not None:
            qp = probed.qp_value + quantization.quantization_parameter
            quantized = replace(
                quantized,
                qp=qp,
                qp_density=quantization.qp_density,
                step_size=step_size(qp, quantization.qp_density),
            )
            if planned.codebook is not None:
                book = np.array(planned.codebook.values, np.int32)
                quantized = replace(
                    quantized, codebook=book, codebook_zero_offset=planned.codebook.zero_offset
                )
        scan_order = header.scan_order if planned.scanned else 0
        statistics = None
        if whole:
            statistics = level_statistics(
                probed.levels.reshape(planned.rows, planned.width),
                dependent=dependent,
                scan_order=scan_order,
                row_skip_flags=probed.row_skip_flags,
            )
        keep = self.keep and whole
        return TensorAccount(
            names[planned.name_index],
            planned.role.value,
            planned.shape,
            header.payload_type.name,
            sum(price.bits for price in elements.values()),
            elements,
            probed.contexts,
            header.cabac_unary_length,
            statistics,
            quantized.qp,
            quantized.step_size if quantized.qp is not None else None,
            header.dq_flag,
            scan_order,
            len(planned.codebook.values) if planned.codebook is not None else 0,
            probed.n_skipped_rows,
            probed.begin_bit,
            probed.end_bit,
            probed.levels if keep else None,
            _values(quantized) if keep else None,
        )

    def _raw(
        self, unit: DataUnit, planned: PlannedTensor, names: tuple[str, ...], path: str, bit_offset: int
    ) -> PayloadAccount:
        n_bits = 8 * len(unit.payload)
        expected = 4 * math.prod(planned.shape)
        fault = None
        if expected != len(unit.payload):
            fault = Fault(
                "MalformedBitstream",
                f"a raw payload of {len(unit.payload)} bytes for {expected // 4} float32 values",
                path,
                bit_offset,
                "raw_float32_parameter",
                "format 3",
                f"{expected} bytes",
                f"{len(unit.payload)} bytes",
            )
        used = min(8 * expected, n_bits)
        elements = {"raw_float32_parameter": Price(used, 0, float(used))}
        tensor = TensorAccount(
            names[0], planned.role.value, planned.shape, unit.header.payload_type.name, float(used), elements
        )
        if self.keep and fault is None:
            tensor = replace(tensor, values=np.frombuffer(unit.payload, "<f4").reshape(planned.shape))
        return PayloadAccount(n_bits, (tensor,), unread_bits=float(n_bits - used), fault=fault)


def _values(tensor: QuantizedTensor) -> NDArray[Any] | None:
    """Return the values, None if a level lies outside the codebook: profile 0 does not bound its indices."""
    try:
        return tensor.dequantize()
    except IndexError:
        return None


def _by_element(probed: ProbedTensor, unary_length: int) -> dict[str, Price]:
    """Return the tensor's bins and bits by element; the terminating bin belongs to the codeword and is omitted."""
    totals: dict[str, tuple[int, int, float]] = {
        name: price for name, price in probed.bypass.items() if price.n_bins and name != "terminating_bin"
    }
    for use in probed.contexts:
        element = element_of_context(use.index, unary_length)
        n_bins, n_ones, bits = totals.get(element, (0, 0, 0.0))
        totals[element] = n_bins + use.n_bins, n_ones + use.n_ones, bits + use.bits
    return {element: Price(*total) for element, total in totals.items()}
