# SPDX-License-Identifier: Apache-2.0
"""The machine-readable dump: records of units that build the same bytes, with all that is known beside."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from nnr_codec.inspect.examine import BODIES, PAYLOADS, StrayBytes, UnitReport
from nnr_codec.inspect.fault import wanted_bits
from nnr_codec.inspect.overview import Overview, tensor_lines
from nnr_codec.inspect.survey import Survey
from nnr_codec.inspect.tables import status_of
from nnr_codec.inspect.unit_builder import UnitBuilder
from nnr_codec.syntax import TraceEvent

FORMAT = "nnr-dump"
VERSION = 1
_EXACT_INTEGER_BITS = 53  # what every reader of JSON keeps


def jsonable(value: Any) -> Any:
    """Return a syntax tree or value as JSON can hold it.

    Bytes are ``{"hex": ...}``; floats without a JSON number ``{"flt": ...}``, four bytes as in the stream;
    integers that readers of JSON may round ``{"integer": ...}``; text that is not UTF-8 ``{"octets": ...}``.
    """
    if isinstance(value, dict):
        return {key: jsonable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(entry) for entry in value]
    if isinstance(value, bytes | memoryview):
        return {"hex": bytes(value).hex()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"flt": struct.pack("<f", value).hex()}
    if isinstance(value, int) and value.bit_length() > _EXACT_INTEGER_BITS:
        return {"integer": str(value)}
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        return {"octets": value.encode("utf-8", "surrogateescape").hex()}
    return value


def unit_record(piece: UnitReport | StrayBytes, view: memoryview, builder: UnitBuilder) -> dict[str, Any]:
    """Return the record of a unit or of stray bytes; ``builder`` checks that it builds the same bytes."""
    if isinstance(piece, StrayBytes):
        octets = view[piece.byte_offset : piece.byte_offset + piece.size_bytes]
        return {
            "record": "stray bytes",
            "byte_offset": piece.byte_offset,
            "size_bytes": piece.size_bytes,
            "octets": bytes(octets).hex(),
            "faults": [asdict(fault) for fault in piece.faults],
        }
    span = piece.span
    octets = view[span.byte_offset : span.byte_offset + span.size_bytes]
    record: dict[str, Any] = {
        "record": "unit",
        "index": span.index,
        "byte_offset": span.byte_offset,
        "size_bytes": span.size_bytes,
        "nnr_unit_type": span.nnr_unit_type,
        "name": piece.type_name,
        "guess": piece.guess,
    }
    record |= _source_of(piece, octets, builder)
    record["elements"] = [element_record(event) for event in piece.events]
    record["gaps"] = [asdict(gap) for gap in piece.gaps]
    record["faults"] = [asdict(fault) for fault in piece.faults]
    if piece.payload is not None:
        record["payload"] = {
            "n_bits": piece.payload.n_bits,
            "termination_bits": piece.payload.termination_bits,
            "unread_bits": piece.payload.unread_bits,
            "note": piece.payload.note,
        }
    record["tensors"] = [_tensor_record(piece, index) for index in range(len(tensor_lines(piece)))]
    return record


def _source_of(piece: UnitReport, octets: memoryview, builder: UnitBuilder) -> dict[str, Any]:
    """Return what the unit is built from: its syntax where that gives these very bytes, else the bytes."""
    source: dict[str, Any] = {"octets": None}
    if piece.tree is not None:
        trailing = sum(gap.n_bits for gap in piece.gaps) >> 3
        source = {"syntax": jsonable(piece.tree)}
        if trailing:
            source["trailing"] = bytes(octets[len(octets) - trailing :]).hex()
        if builder.would_build(piece.tree, octets[: len(octets) - trailing]):
            builder.advance(octets)
            return source
    builder.advance(octets)
    return {"octets": bytes(octets).hex()}


def element_record(event: TraceEvent) -> dict[str, Any]:
    """Return one element's record; of payloads and bodies the size and digest stand for the bytes."""
    if event.element in (*PAYLOADS, *BODIES) and isinstance(event.value, memoryview | bytes):
        value: Any = {"n_bytes": len(event.value), "sha256": hashlib.sha256(event.value).hexdigest()}
        raw: Any = None
    else:
        value = jsonable(event.value)
        raw = jsonable(event.raw)
    record = {
        "path": event.path,
        "element": event.element,
        "descriptor": event.descriptor,
        "bit_offset": event.bit_offset,
        "n_bits": event.n_bits,
        "raw": raw,
        "value": value,
        "symbol": event.symbol,
        "clause": event.clause,
        "status": status_of(event),
    }
    if event.fault is not None and event.value is None:
        record["wanted_bits"], record["wants_at_least"] = wanted_bits(event)
    return record


def _tensor_record(piece: UnitReport, index: int) -> dict[str, Any]:
    line = tensor_lines(piece)[index]
    record = {key: jsonable(value) for key, value in asdict(line).items() if key != "unit"}
    if piece.payload is not None and piece.payload.tensors:
        tensor = piece.payload.tensors[index]
        record["elements"] = {name: price._asdict() for name, price in tensor.elements.items()}
    return record


def ledger_record(overview: Overview, size_bytes: int) -> dict[str, Any]:
    """Return the accounts of the whole stream."""
    ledger = overview.ledger
    return {
        "record": "ledger",
        "file_bits": 8 * size_bytes,
        "exact": ledger.is_exact(size_bytes),
        "classes": ledger.classes,
        "headers": dict(ledger.headers.most_common()),
        "payload": {name: asdict(spent) for name, spent in ledger.payload.items()},
        "decoded_payload_bits": ledger.decoded_payload_bits,
        "discrepancy_bits": ledger.discrepancy_bits,
        "n_weights": overview.n_weights,
        "n_levels": ledger.n_levels,
        "level_bits": ledger.level_bits,
        "entropy_bits": ledger.entropy_bits,
        "n_faults": len(overview.faults),
    }


def dump_json(name: str, survey: Survey, overview: Overview) -> Iterator[str]:
    """Yield the document, a line per unit; ``overview`` gathers what the walk finds."""
    stream = {"name": name, "size_bytes": survey.size_bytes}
    yield json.dumps({"format": FORMAT, "version": VERSION, "stream": stream})[:-1] + ', "units": ['
    builder = UnitBuilder()
    separator = ""
    for piece in survey:
        overview.add(piece)
        yield separator + json.dumps(unit_record(piece, survey.view, builder))
        separator = ","
    yield '], "ledger": ' + json.dumps(ledger_record(overview, survey.size_bytes)) + "}"


def dump_json_lines(name: str, survey: Survey, overview: Overview) -> Iterator[str]:
    """Yield the same as `dump_json`, an object per line: the stream, then each unit, then the ledger."""
    yield json.dumps(
        {
            "record": "stream",
            "format": FORMAT,
            "version": VERSION,
            "name": name,
            "size_bytes": survey.size_bytes,
        }
    )
    builder = UnitBuilder()
    for piece in survey:
        overview.add(piece)
        yield json.dumps(unit_record(piece, survey.view, builder))
    yield json.dumps(ledger_record(overview, survey.size_bytes))
