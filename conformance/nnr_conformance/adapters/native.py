# SPDX-License-Identifier: Apache-2.0
"""Adapter of this repository's codec; the checker imports the codec only here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nnr_codec import errors
from nnr_codec._version import __version__
from nnr_codec.codec.decode.decoder import Decoder
from nnr_codec.codec.decode.quantized_tensor import QuantizedTensor
from nnr_codec.model import AnyUnit, NnrUnitType, TopologyUnit
from nnr_codec.syntax import SyntaxState, Trace, UnitSpan, build_unit, iter_unit_spans, parse_unit
from nnr_codec.syntax.parts import PartJoiner, is_part
from nnr_conformance.answer import REPORT_FORMAT, Answer, BytesDigest, Rejected, Report, Unsupported
from nnr_conformance.arrays import Array
from nnr_conformance.trace_line import PAYLOADS, trace_line

CLAIMS = {"name": "nnr_codec", "version": __version__}


def decode(streams: Sequence[bytes], dimensions: Mapping[str, tuple[int, ...]] | None = None) -> list[Answer]:
    """Decode the streams of a vector with one `Decoder`, so that updates find their predecessors."""
    decoder = Decoder(dimensions=dimensions)
    answers = []
    for number, stream in enumerate(streams):
        try:
            answers.append(_decode_stream(decoder, stream))
            if len(streams) == 1 and len(answers[-1].values) > 1:
                answers[-1].recompositions = _recompositions(stream, dimensions)
        except errors.TruncatedBitstream as error:
            raise Rejected(
                str(error), error_class="truncated", bit_offset=error.bit_offset, stream=number
            ) from error
        except errors.MalformedBitstream as error:
            raise Rejected(
                str(error), error_class="malformed", bit_offset=error.bit_offset, stream=number
            ) from error
        except errors.LimitExceeded as error:
            raise Rejected(
                str(error), error_class="limit", bit_offset=error.bit_offset, stream=number
            ) from error
        except errors.UnsupportedBitstream as error:
            raise Unsupported(str(error)) from error
    return answers


def _decode_stream(decoder: Decoder, stream: bytes) -> Answer:
    values: dict[str, Array] = {}
    levels: dict[str, Array] = {}
    for name, tensor in decoder.decode(stream, dequantize=False).items():
        if isinstance(tensor, QuantizedTensor):
            levels[name] = tensor.levels
            values[name] = np.asarray(tensor.dequantize())
        else:
            values[name] = np.asarray(tensor)
    report, trace = _walk(stream)
    return Answer(values=values, levels=levels, report=report, trace=trace)


def _recompositions(stream: bytes, dimensions: Mapping[str, tuple[int, ...]] | None) -> dict[str, Array]:
    """Recompose weights; nothing for a stream whose values do not fit the data types of its source."""
    try:
        tensors = Decoder(dimensions=dimensions).decode(stream, recompose=True)
    except errors.NnrError:
        return {}
    return {name: np.asarray(array) for name, array in tensors.items()}


def _walk(stream: bytes) -> tuple[Report, str]:
    """Report units, topology and the rebuilt stream, and write the syntax trace."""
    state, trace = SyntaxState(), Trace()
    units, topology, rebuilt = [], [], []
    joiner: PartJoiner | None = None
    for span in iter_unit_spans(stream):
        units.append(
            {
                "nnr_unit_type": span.nnr_unit_type,
                "byte_offset": span.byte_offset,
                "nnr_unit_size": span.size_bytes,
            }
        )
        if is_part(stream, span) and span.nnr_unit_type < NnrUnitType.NNR_AGG:
            joiner = joiner or PartJoiner(stream)
            rebuilt.append(stream[span.byte_offset : span.byte_offset + span.size_bytes])
            if not joiner.add(span, state, trace):
                continue
            unit = _parse_joined(joiner, state, trace)
            joiner = None
        else:
            unit = parse_unit(stream, span, state, trace)
            rebuilt.append(_build(unit, state, stream, span.byte_offset, span.size_bytes))
        if isinstance(unit, TopologyUnit):
            content = bytes(unit.topology_data)
            topology.append(BytesDigest(size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()))
        state = state.after(unit)
    rebuilt_stream = b"".join(rebuilt)
    report = Report(
        format=REPORT_FORMAT,
        units=tuple(units),
        topology=tuple(topology),
        reencode=BytesDigest(
            size_bytes=len(rebuilt_stream), sha256=hashlib.sha256(rebuilt_stream).hexdigest()
        ),
    )
    lines = [
        trace_line(event.bit_offset, event.n_bits, event.element, event.value)
        for event in trace
        if event.element not in PAYLOADS
    ]
    return report, "".join(lines)


def _parse_joined(joiner: PartJoiner, state: SyntaxState, trace: Trace) -> AnyUnit:
    """Parse a joined unit and trace its payload, with the positions that its bits have in the parts."""
    octets, places = joiner.join()
    span = UnitSpan(
        joiner.first.index, 0, len(octets), joiner.first.nnr_unit_type, 4 if octets[0] & 0x80 else 2
    )
    joined = Trace()
    unit = parse_unit(octets, span, state, joined)
    # Pieces of a joined unit: size, type, header, then the payload of each part.
    payload_start = 8 * places.pieces[3][0]
    for event in joined:
        if event.bit_offset >= payload_start:
            trace.append(replace(event, bit_offset=places.absolute(event.bit_offset)))
    return unit


def _build(unit: Any, state: SyntaxState, stream: bytes, byte_offset: int, size_bytes: int) -> bytes:
    try:
        return build_unit(unit, state)
    except errors.NotEncodable:
        # Partial units and the like can be parsed but not built; copy their bytes.
        return stream[byte_offset : byte_offset + size_bytes]
