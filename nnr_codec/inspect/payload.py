# SPDX-License-Identifier: Apache-2.0
"""Payloads of data units: what every part of a codeword cost, beside the entropy of its levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.decode.quantized_tensor import QuantizedTensor
from nnr_codec.codec.decode.unit_decoder import tensor_coding
from nnr_codec.codec.stream.update_tree import UpdateTree
from nnr_codec.entropy import TensorToDecode
from nnr_codec.entropy.probe import ContextUse, Price, ProbedPayload, ProbedTensor, WatchedBin, probe_payload
from nnr_codec.errors import BitstreamError, MalformedBitstream
from nnr_codec.inspect.contexts import element_of_context
from nnr_codec.inspect.fault import Fault, fault_of
from nnr_codec.inspect.levels import LevelStatistics, level_statistics
from nnr_codec.model import DataUnit, DataUnitHeader, PayloadType
from nnr_codec.model.unit_layout import PlannedTensor, plan_unit
from nnr_codec.quant import step_size
from nnr_codec.syntax import SyntaxState

TERMINATION = "termination and padding"
UNREAD = "not decoded"

# Format 5.1: the range is 510 at first and 2 behind the terminating bin; 9 bits come before the first bin.
_BITS_BEFORE_FIRST_BIN = 9 - math.log2(255)

_EXPECTATIONS = {
    "the terminating bin is 0": ("1", "0"),
    "the stop bit or its padding is wrong": ("a one, then zeros up to the byte boundary", None),
    "bytes follow the end of the codeword": ("the end of the unit", "more bytes"),
    "the codeword needs more bits than its unit has": ("more bits", "the end of the unit"),
    "a block row starts outside the coder's range": ("an offset below 256", "256 or more"),
    "a level lies outside the codebook": ("an index into the codebook", "one beyond it"),
}


@dataclass(frozen=True)
class TensorReport:
    """One tensor of a unit.

    Attributes
    ----------
    bits : float
        Its share of the payload, side information included.
    elements : dict of str to Price
        Where these bits went.
    contexts : tuple of ContextUse
    levels : LevelStatistics or None
        None for raw values and where decoding failed.
    level_array : int32[rows * width] or None
        Only on demand.
    """

    name: str
    role: str
    shape: tuple[int, ...]
    payload_type: str
    bits: float
    elements: dict[str, Price]
    contexts: tuple[ContextUse, ...] = ()
    unary_length: int = 10
    levels: LevelStatistics | None = None
    qp: int | None = None
    step_size: float | None = None
    dependent: bool = False
    scan_order: int = 0
    codebook_size: int = 0
    n_skipped_rows: int = 0
    begin_bit: int = 0
    end_bit: int = 0
    level_array: NDArray[np.int32] | None = None
    values: NDArray[Any] | None = None

    @property
    def n_weights(self) -> int:
        """How many elements the tensor has."""
        return math.prod(self.shape)

    @property
    def bits_per_weight(self) -> float:
        """What a weight costs; 0 for an empty tensor."""
        return self.bits / self.n_weights if self.n_weights else 0.0


@dataclass(frozen=True)
class PayloadReport:
    """The accounts of one payload.

    Attributes
    ----------
    n_bits : int
        The payload's length. The tensors' bits, the termination's and those not decoded add up to it.
    termination_bits : float
        Terminating bin, stop bit and padding.
    unread_bits : float
        What follows a fault, or what cannot be decoded here.
    note : str or None
        Why it could not be read, where that is no fault of the stream's.
    discrepancy_bits : float
        By how much the sum over all bins differs from what the engine's state says: 0 but for rounding.
    """

    n_bits: int
    tensors: tuple[TensorReport, ...]
    termination_bits: float = 0.0
    unread_bits: float = 0.0
    discrepancy_bits: float = 0.0
    fault: Fault | None = None
    watched: WatchedBin | None = None
    note: str | None = None


@dataclass
class PayloadReader:
    """Reads the payloads of a stream in order, remembering what later updates need.

    Attributes
    ----------
    keep : bool
        Whether reports keep levels and values.
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
    ) -> PayloadReport:
        """Account for one data unit's payload; a fault is part of the report."""
        n_bits = 8 * len(unit.payload)
        try:
            return self._read(unit, state, path, bit_offset, tuple(names), watch_bit)
        except BitstreamError as error:
            error.path = error.path or path
            error.bit_offset = bit_offset if error.bit_offset is None else error.bit_offset
            return PayloadReport(n_bits, (), unread_bits=n_bits, fault=fault_of(error))

    def _read(
        self,
        unit: DataUnit,
        state: SyntaxState,
        path: str,
        bit_offset: int,
        names: tuple[str, ...],
        watch_bit: int | None,
    ) -> PayloadReport:
        header = unit.header
        n_bits = 8 * len(unit.payload)
        if header.tensor_dimensions is None:
            return PayloadReport(n_bits, (), unread_bits=n_bits, note="its dimensions are not in the stream")
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
            note = "it updates a unit that is not in the stream; --after names the streams before"
            return PayloadReport(n_bits, (), unread_bits=n_bits, note=note)
        if probed.fault is None and signalling:
            self._updates.remember(header, unit.payload, [tensor.levels for tensor in probed.tensors])
        return self._accounts(unit, plan, names, state, probed)

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

    def _accounts(
        self,
        unit: DataUnit,
        plan: list[PlannedTensor],
        names: tuple[str, ...],
        state: SyntaxState,
        probed: ProbedPayload,
    ) -> PayloadReport:
        n_bits = 8 * len(unit.payload)
        tensors = []
        terminating = 0.0
        for index, tensor in enumerate(probed.tensors):
            whole = probed.fault is None or index < len(probed.tensors) - 1
            report = self._tensor(unit.header, plan[index], names, state, tensor, whole)
            tensors.append(report)
            terminating += tensor.bypass["terminating_bin"].bits
        used = sum(tensor.bits for tensor in tensors)
        if probed.fault is not None:
            fault = fault_of(probed.fault)
            expected, found = _EXPECTATIONS.get(fault.message, (None, None))
            fault = replace(fault, expected=expected, found=found)
            return PayloadReport(
                n_bits, tuple(tensors), unread_bits=n_bits - used, fault=fault, watched=probed.watched
            )
        discrepancy = used + terminating + _BITS_BEFORE_FIRST_BIN - probed.bits_read
        return PayloadReport(n_bits, tuple(tensors), n_bits - used, 0.0, discrepancy, None, probed.watched)

    def _tensor(
        self,
        header: DataUnitHeader,
        planned: PlannedTensor,
        names: tuple[str, ...],
        state: SyntaxState,
        probed: ProbedTensor,
        whole: bool,
    ) -> TensorReport:
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
        keep = self.keep and whole
        return TensorReport(
            names[planned.name_index],
            planned.role.value,
            planned.shape,
            header.payload_type.name,
            sum(price.bits for price in elements.values()),
            elements,
            probed.contexts,
            header.cabac_unary_length,
            level_statistics(probed.levels) if whole else None,
            quantized.qp,
            quantized.step_size if quantized.qp is not None else None,
            header.dq_flag,
            header.scan_order if planned.scanned else 0,
            len(planned.codebook.values) if planned.codebook is not None else 0,
            probed.n_skipped_rows,
            probed.begin_bit,
            probed.end_bit,
            probed.levels if keep else None,
            _values(quantized) if keep else None,
        )

    def _raw(
        self, unit: DataUnit, planned: PlannedTensor, names: tuple[str, ...], path: str, bit_offset: int
    ) -> PayloadReport:
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
        tensor = TensorReport(
            names[0], planned.role.value, planned.shape, unit.header.payload_type.name, float(used), elements
        )
        if self.keep and fault is None:
            tensor = replace(tensor, values=np.frombuffer(unit.payload, "<f4").reshape(planned.shape))
        return PayloadReport(n_bits, (tensor,), unread_bits=float(n_bits - used), fault=fault)


def _values(tensor: QuantizedTensor) -> NDArray[Any] | None:
    """Return the values, None where a level has none: profile 0 does not bound its codebook indices."""
    try:
        return tensor.dequantize()
    except IndexError:
        return None


def _by_element(probed: ProbedTensor, unary_length: int) -> dict[str, Price]:
    elements: dict[str, Price] = {}
    uses = [
        (element_of_context(use.index, unary_length), Price(use.n_bins, use.n_ones, use.bits))
        for use in probed.contexts
    ]
    others = [(name, price) for name, price in probed.bypass.items() if price.n_bins]
    for name, price in [*others, *uses]:
        if name == "terminating_bin":
            continue  # of the codeword, not of the tensor
        before = elements.get(name, Price(0, 0, 0.0))
        n_bins, n_ones = before.n_bins + price.n_bins, before.n_ones + price.n_ones
        elements[name] = Price(n_bins, n_ones, before.bits + price.bits)
    return elements
