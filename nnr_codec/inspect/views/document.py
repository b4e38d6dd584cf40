# SPDX-License-Identifier: Apache-2.0
"""JSON dump: one record per unit, from which `nnr_codec.inspect.rebuild` makes the same bytes, and the ledger."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from nnr_codec.inspect.read import Piece, StrayBytes, Summary, Survey, UnitReport
from nnr_codec.inspect.read.fault import required_bits, status_of
from nnr_codec.inspect.read.summary import tensor_lines
from nnr_codec.inspect.read.unit import BODIES, PAYLOADS
from nnr_codec.inspect.rebuild import UnitBuilder, jsonable
from nnr_codec.syntax import TraceEvent

FORMAT = "nnr-dump"
VERSION = 1


def unit_record(piece: Piece, view: memoryview, builder: UnitBuilder) -> dict[str, Any]:
    """Return the record of a piece; ``builder`` decides whether its syntax or its bytes are recorded."""
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
    record |= _content_of(piece, octets, builder)
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


def _content_of(piece: UnitReport, octets: memoryview, builder: UnitBuilder) -> dict[str, Any]:
    """Return the unit's syntax if that builds the same bytes, else the bytes."""
    if piece.tree is not None:
        trailing = sum(gap.n_bits for gap in piece.gaps) >> 3
        content = {"syntax": jsonable(piece.tree)}
        if trailing:
            content["trailing"] = bytes(octets[len(octets) - trailing :]).hex()
        if builder.would_build(piece.tree, octets[: len(octets) - trailing]):
            builder.advance(octets)
            return content
    builder.advance(octets)
    return {"octets": bytes(octets).hex()}


def element_record(event: TraceEvent) -> dict[str, Any]:
    """Return the record of one element; payloads and bodies are replaced by their size and digest."""
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
        record["required_bits"], record["required_at_least"] = required_bits(event)
    return record


def _tensor_record(piece: UnitReport, index: int) -> dict[str, Any]:
    line = tensor_lines(piece)[index]
    record = {key: jsonable(value) for key, value in asdict(line).items() if key != "unit"}
    if piece.payload is not None and piece.payload.tensors:
        tensor = piece.payload.tensors[index]
        record["elements"] = {name: price._asdict() for name, price in tensor.elements.items()}
    return record


def ledger_record(summary: Summary, size_bytes: int) -> dict[str, Any]:
    """Return the record of the ledger."""
    ledger = summary.ledger
    return {
        "record": "ledger",
        "file_bits": 8 * size_bytes,
        "exact": ledger.is_exact(size_bytes),
        "classes": ledger.classes,
        "headers": dict(ledger.headers.most_common()),
        "payload": {name: asdict(spent) for name, spent in ledger.payload.items()},
        "decoded_payload_bits": ledger.decoded_payload_bits,
        "discrepancy_bits": ledger.discrepancy_bits,
        "n_weights": summary.n_weights,
        "n_levels": ledger.n_levels,
        "level_bits": ledger.level_bits,
        "entropy_bits": ledger.entropy_bits,
        "n_faults": len(summary.faults),
    }


def dump_json(name: str, survey: Survey, summary: Summary) -> Iterator[str]:
    """Yield the dump as one JSON document, one line per unit; the walk also fills ``summary``."""
    stream = {"name": name, "size_bytes": survey.size_bytes}
    yield json.dumps({"format": FORMAT, "version": VERSION, "stream": stream})[:-1] + ', "units": ['
    builder = UnitBuilder()
    separator = ""
    for piece in survey:
        summary.add(piece)
        yield separator + json.dumps(unit_record(piece, survey.view, builder))
        separator = ","
    yield '], "ledger": ' + json.dumps(ledger_record(summary, survey.size_bytes)) + "}"


def dump_json_lines(name: str, survey: Survey, summary: Summary) -> Iterator[str]:
    """Yield the dump as JSON lines: the stream, its units, the ledger; the walk also fills ``summary``."""
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
        summary.add(piece)
        yield json.dumps(unit_record(piece, survey.view, builder))
    yield json.dumps(ledger_record(summary, survey.size_bytes))
