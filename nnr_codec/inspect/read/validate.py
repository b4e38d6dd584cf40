# SPDX-License-Identifier: Apache-2.0
"""What can be said about a stream of another encoder: faults, and choices that look like faults."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from itertools import pairwise
from typing import Any

from nnr_codec.codec.decoder import Decoder
from nnr_codec.codec.stream_reader import DataUnitInStream, StreamReader
from nnr_codec.codec.unit_decoder import UnitContext, UnitTensor, decode_unit
from nnr_codec.codec.update_tree import UpdateTree
from nnr_codec.errors import BitstreamError, LimitExceeded, UnsupportedBitstream
from nnr_codec.model import Limits, NnrUnitType, PayloadType
from nnr_codec.quant import step_size
from nnr_codec.syntax import SyntaxState, Trace, TraceEvent, iter_unit_spans, parse_tree, parse_unit

_LONG_FIELD_BYTES = 4
_SHORT_UNIT_BYTES = 1 << 15
_DEFAULT_UNARY_MINUS1 = 9


class Severity(Enum):
    """An error makes the stream invalid, a warning does not; unchecked is where nothing more could be said."""

    ERROR = "error"
    WARNING = "warning"
    UNCHECKED = "unchecked"


@dataclass(frozen=True)
class Finding:
    """One thing to say about a stream.

    Attributes
    ----------
    path : str
        ``nnr_unit[3].scan_order``.
    bit_offset : int or None
        Absolute in its stream.
    clause : str
        Of the specification in ``spec/``.
    stream : int
        Which stream of a sequence.
    """

    severity: Severity
    message: str
    path: str
    bit_offset: int | None
    clause: str
    stream: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**asdict(self), "severity": self.severity.value}


def validate(streams: Sequence[bytes], *, limits: Limits | None = None) -> list[Finding]:
    """Check a stream, or a sequence of updates.

    Parameters
    ----------
    streams : sequence of bytes
        In the order of decoding.
    limits : Limits, optional

    Returns
    -------
    list of Finding
        Errors end the check: what is behind the first is not looked at. So does what is beyond the limits or what
        the specification does not describe; the stream may be valid. Warnings come in stream order.

    Clause: format 2 to 5
    """
    limits = limits or Limits()
    findings: list[Finding] = []
    decoder, updates = Decoder(limits=limits), UpdateTree(limits)
    for number, stream in enumerate(streams):
        try:
            decoder.decode(stream, dequantize=False)
        except BitstreamError as error:
            beyond = isinstance(error, LimitExceeded | UnsupportedBitstream)
            findings.append(
                Finding(
                    Severity.UNCHECKED if beyond else Severity.ERROR,
                    f"{type(error).__name__}: {error.message}", error.path or "nnr_bitstream", error.bit_offset,
                    (error.clause or "").removeprefix("format "), number,
                )
            )  # fmt: skip
            return findings
        found = [*_warn_of_units(stream, limits), *_warn_of_payloads(stream, limits, updates)]
        findings += (
            Finding(Severity.WARNING, message, path, bit, clause, number)
            for message, path, bit, clause in sorted(found, key=lambda entry: entry[2])
        )
    return findings


_Warning = tuple[str, str, int, str]


def _warn_of_units(stream: bytes, limits: Limits) -> Iterator[_Warning]:
    """Look at the syntax elements alone."""
    state = SyntaxState()
    n_topologies = 0
    carriage: TraceEvent | None = None
    for span in iter_unit_spans(stream, limits):
        start = 8 * span.byte_offset
        if span.header_offset == _LONG_FIELD_BYTES and span.size_bytes < _SHORT_UNIT_BYTES:
            yield "a small unit with a size of 31 bits", f"{span.path}.nnr_unit_size_flag", start, "2.2"
        if span.nnr_unit_type > max(NnrUnitType):
            yield (
                f"a unit of type {span.nnr_unit_type}, which decoders pass over",
                f"{span.path}.nnr_unit_type",
                start,
                "2.11",
            )
        n_topologies += span.nnr_unit_type == NnrUnitType.NNR_TPL
        trace = Trace()
        parse_tree(stream, span, state, limits=limits, trace=trace)
        for event in trace:
            message = _odd_value(event)
            if message is not None:
                yield message[0], event.path, event.bit_offset, message[1]
            if event.element == "topology_carriage_flag":
                carriage = event
        state = state.after(parse_unit(stream, span, state, limits=limits))
    if carriage is not None and bool(carriage.value) != bool(n_topologies):
        yield (
            f"topology_carriage_flag is {carriage.value} and there are {n_topologies} topology units",
            carriage.path,
            carriage.bit_offset,
            "2.5",
        )


def _odd_value(event: TraceEvent) -> tuple[str, str] | None:
    value = event.value
    if event.element == "cabac_unary_length_minus1" and value == _DEFAULT_UNARY_MINUS1:
        return "the default unary length is sent", "3.3"
    if event.element == "first_tensor_dimension_shift" and value:
        return "a shift of the first dimension, which decoders ignore", "3.2"
    if event.element == "mps_quantization_method_flags" and value & 4:
        return "a reserved quantisation method", "2.5"
    if event.element == "partial_data_counter":
        return "a unit in parts, which few decoders join", "2.4"
    if event.element in ("topology_elem_id", "topology_elem_id_list") and value == "":
        return "a tensor without a name", "3.2.1"
    if event.element == "nnr_decompressed_data_format":
        return "a data format is named, which decoders take for a hint", "3.2"
    return None


def _warn_of_payloads(stream: bytes, limits: Limits, updates: UpdateTree) -> Iterator[_Warning]:
    """Decode, and hold what is decoded against what headers say of it."""
    reader = StreamReader(memoryview(stream), limits, {})
    places = _places(stream, limits)
    names: set[str] = set()
    for unit in reader.data_units():
        place = places.get(unit.path, {})

        def at(
            element: str, unit: DataUnitInStream = unit, place: dict[str, TraceEvent] = place
        ) -> tuple[str, int]:
            event = place.get(element)
            return (
                (event.path, event.bit_offset) if event is not None else (unit.path, unit.payload_bit_offset)
            )

        for name in names & set(unit.names):
            yield f"another unit carries {name!r}, too", *at("topology_elem_id"), "3.2.1"
        names |= set(unit.names)
        header = unit.header
        if header.payload_type is PayloadType.NNR_PT_INT and header.dq_flag:
            yield "dq_flag does nothing to integers", *at("dq_flag"), "5.4"
        if header.scan_order and any(min(t.rows, t.width) <= 1 for t in unit.plan if t.scanned):
            yield "a scan order for a tensor of one row or column", *at("scan_order"), "5.5"
        before = updates.predecessors(header) or ()
        if header.parent is not None and header.parent.temporal_context_modeling_flag and not before:
            yield (
                "a temporal context without a previous update",
                *at("temporal_context_modeling_flag"),
                "5.6.2",
            )
        if (
            before
            and place.get("independently_decodable_flag")
            and place["independently_decodable_flag"].value
        ):
            yield (
                "the unit builds on another and says that it does not",
                *at("independently_decodable_flag"),
                "2.2",
            )
        context = UnitContext(unit.general_profile_idc, unit.quantization, before)
        tensors = decode_unit(
            header, unit.plan, unit.payload, context, bit_offset=unit.payload_bit_offset, path=unit.path
        )
        yield from _warn_of_tensors(unit, tensors, at)
        coded = [t.coded.levels for t in tensors if t.coded is not None]
        if reader.parent_signalling and coded:
            updates.remember(header, unit.payload, coded, [t.shape for t in unit.plan])


def _places(stream: bytes, limits: Limits) -> dict[str, dict[str, TraceEvent]]:
    """Return each unit's elements by name, the first where one repeats."""
    state, found = SyntaxState(), {}
    for span in iter_unit_spans(stream, limits):
        trace = Trace()
        state = state.after(parse_unit(stream, span, state, trace, limits=limits))
        found[span.path] = {event.element: event for event in reversed(trace)}
    return found


def _warn_of_tensors(unit: DataUnitInStream, tensors: Sequence[UnitTensor], at: Any) -> Iterator[_Warning]:
    points = unit.header.entry_points
    distances: list[int] = []
    position = 0
    for point in points:
        distances.append(point.bit_offset - position)
        position = point.bit_offset
    used = 0
    payload = (unit.path, unit.payload_bit_offset)
    for tensor in tensors:
        if tensor.coded is None:
            continue
        coded = tensor.coded
        for first, second in pairwise(coded.block_row_starts):
            told = (distances[used], points[used].cabac_offset_value, points[used].dq_state)
            state = second.state if unit.header.dq_flag else 0
            if told != (second.position - first.position, second.offset, state):
                yield (
                    f"entry point {used} says {told} for distance, offset and state, "
                    f"and decoding straight gives {(second.position - first.position, second.offset, state)}",
                    *at("cabac_offset_value"),
                    "5.5.2",
                )
            used += 1
        if coded.row_skip_enabled and not any(coded.row_skip_flags):
            yield "row skipping is on and skips no row", *payload, "5.3.1"
        if coded.levels.size and not coded.levels.any() and not coded.row_skip_enabled:
            yield "all levels are 0", *payload, "5.6.4"
        quantization = unit.quantization
        if quantization is not None and unit.header.payload_type is not PayloadType.NNR_PT_INT:
            step = float(
                step_size(coded.qp_value + quantization.quantization_parameter, quantization.qp_density)
            )
            if not math.isfinite(step) or step == 0:
                yield f"the step size is {step}", *payload, "4.1"
