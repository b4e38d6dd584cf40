# SPDX-License-Identifier: Apache-2.0
"""Oddities of valid streams: choices of an encoder that the format allows and that look like mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from nnr_codec.codec.stream.update_tree import Predecessor
from nnr_codec.entropy import DecodedTensor
from nnr_codec.inspect.read.reference_decoder import UnitTensor
from nnr_codec.inspect.read.reference_reader import DataUnitInStream
from nnr_codec.model import NnrUnitType, PayloadType
from nnr_codec.quant import step_size
from nnr_codec.syntax import TraceEvent, UnitSpan

_LONG_FIELD_BYTES = 4
_SHORT_UNIT_BYTES = 1 << 15
_DEFAULT_UNARY_MINUS1 = 9


class Oddity(NamedTuple):
    """One odd choice; ``bit_offset`` is absolute, ``clause`` one of the specification in ``spec/``."""

    message: str
    path: str
    bit_offset: int
    clause: str


#: Path and bit offset of an element of a unit; of the payload if the unit lacks the element.
Locator = Callable[[str], tuple[str, int]]


def framing_oddities(span: UnitSpan) -> Iterator[Oddity]:
    """Yield oddities of a unit's size and type."""
    start = 8 * span.byte_offset
    if span.header_offset == _LONG_FIELD_BYTES and span.size_bytes < _SHORT_UNIT_BYTES:
        message = "a size of 31 bits for a unit whose size fits 15 bits"
        yield Oddity(message, f"{span.path}.nnr_unit_size_flag", start, "2.2")
    if span.nnr_unit_type > max(NnrUnitType):
        message = f"a unit of type {span.nnr_unit_type}, which decoders skip"
        yield Oddity(message, f"{span.path}.nnr_unit_type", start, "2.11")


def element_oddity(event: TraceEvent) -> Oddity | None:
    """Return the oddity of an element's value, None if it has none."""
    odd = _odd_value(event.element, event.value)
    return None if odd is None else Oddity(odd[0], event.path, event.bit_offset, odd[1])


def _odd_value(element: str, value: object) -> tuple[str, str] | None:
    if element == "cabac_unary_length_minus1" and value == _DEFAULT_UNARY_MINUS1:
        return "the unary length is sent and equals the default", "3.3"
    if element == "first_tensor_dimension_shift" and value:
        return "a shift of the first dimension, which decoders ignore", "3.2"
    if element == "mps_quantization_method_flags" and isinstance(value, int) and value & 4:
        return "a reserved quantisation method", "2.5"
    if element == "partial_data_counter":
        return "a unit in parts, which few decoders join", "2.4"
    if element in ("topology_elem_id", "topology_elem_id_list") and value == "":
        return "a tensor without a name", "3.2.1"
    if element == "nnr_decompressed_data_format":
        return "a data format, which decoders take as a hint", "3.2"
    return None


def carriage_oddity(carriage: TraceEvent | None, n_topology_units: int) -> Iterator[Oddity]:
    """Yield an oddity if topology_carriage_flag and the number of topology units disagree."""
    if carriage is not None and bool(carriage.value) != bool(n_topology_units):
        message = (
            f"topology_carriage_flag is {carriage.value} and the stream has {n_topology_units} topology units"
        )
        yield Oddity(message, carriage.path, carriage.bit_offset, "2.5")


def unit_oddities(
    unit: DataUnitInStream,
    at: Locator,
    *,
    repeated_names: set[str],
    predecessors: Sequence[Predecessor],
    independent: bool,
) -> Iterator[Oddity]:
    """Yield oddities of a data unit's header.

    Parameters
    ----------
    unit : DataUnitInStream
    at : callable
    repeated_names : set of str
        Names of the unit that an earlier unit has, too.
    predecessors : sequence of Predecessor
        Tensors of the updated unit; empty if the unit updates none.
    independent : bool
        independently_decodable_flag.
    """
    header = unit.header
    for name in sorted(repeated_names):
        yield Oddity(f"an earlier unit carries {name!r}, too", *at("topology_elem_id"), "3.2.1")
    if header.payload_type is PayloadType.NNR_PT_INT and header.dq_flag:
        yield Oddity("dq_flag has no effect on integers", *at("dq_flag"), "5.4")
    if header.scan_order and any(min(t.rows, t.width) <= 1 for t in unit.plan if t.scanned):
        yield Oddity("a scan order for a tensor of one row or column", *at("scan_order"), "5.5")
    if header.parent is not None and header.parent.temporal_context_modeling_flag and not predecessors:
        place = at("temporal_context_modeling_flag")
        yield Oddity("a temporal context without a previous update", *place, "5.6.2")
    if predecessors and independent:
        message = "the unit updates another one and claims to be independently decodable"
        yield Oddity(message, *at("independently_decodable_flag"), "2.2")


def payload_oddities(unit: DataUnitInStream, tensors: Sequence[UnitTensor], at: Locator) -> Iterator[Oddity]:
    """Yield oddities of a data unit's decoded tensors."""
    coded_tensors = [tensor.coded for tensor in tensors if tensor.coded is not None]
    yield from _entry_point_oddities(unit, coded_tensors, at)
    payload = (unit.path, unit.payload_bit_offset)
    for tensor in tensors:
        coded, name = tensor.coded, unit.names[tensor.planned.name_index]
        if coded is None:
            continue
        if coded.row_skip_enabled and not any(coded.row_skip_flags):
            yield Oddity(f"row skipping of {name!r} is on and skips no row", *payload, "5.3.1")
        if coded.levels.size and not coded.levels.any() and not coded.row_skip_enabled:
            yield Oddity(f"all levels of {name!r} are 0", *payload, "5.6.4")
        quantization = unit.quantization
        if quantization is not None and unit.header.payload_type is not PayloadType.NNR_PT_INT:
            qp = coded.qp_value + quantization.quantization_parameter
            step = float(step_size(qp, quantization.qp_density))
            if not math.isfinite(step) or step == 0:
                yield Oddity(f"the step size of {name!r} is {step}", *payload, "4.1")


def _entry_point_oddities(
    unit: DataUnitInStream, coded_tensors: Sequence[DecodedTensor], at: Locator
) -> Iterator[Oddity]:
    """Compare the entry points with the places that decoding without them reaches."""
    points = iter(enumerate(unit.header.entry_points))
    position = 0
    for coded in coded_tensors:
        for start, following in pairwise(coded.block_row_starts):
            number, point = next(points)
            sent = (point.bit_offset - position, point.cabac_offset_value, point.dq_state)
            position = point.bit_offset
            state = following.state if unit.header.dq_flag else 0
            decoded = (following.position - start.position, following.offset, state)
            if sent != decoded:
                message = (
                    f"entry point {number} has distance, offset and state {sent}, decoding gives {decoded}"
                )
                yield Oddity(message, *at("cabac_offset_value"), "5.5.2")
