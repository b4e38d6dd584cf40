# SPDX-License-Identifier: Apache-2.0
"""Table view of the units."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nnr_codec.inspect.read import Piece, StrayBytes, UnitReport
from nnr_codec.inspect.read.unit import PAYLOADS
from nnr_codec.inspect.views.tables.cells import count_text
from nnr_codec.inspect.views.tables.table import Column, Table

UNIT_COLUMNS = (
    Column("unit", "#", right=True),
    Column("byte_offset", "offset", count_text, right=True, place=True, style="dim"),
    Column("size_bytes", "bytes", count_text, right=True),
    Column("nnr_unit_type", "unit", style="name"),
    Column("header_bits", "header bits", count_text, right=True, rank=1),
    Column("payload_bytes", "payload", count_text, right=True),
    Column("gap_bits", "gap bits", count_text, right=True, rank=2),
    Column("status", "status"),
    Column("what", "what"),
)


def unit_table(pieces: Iterable[Piece]) -> Table:
    """Return the table of a stream's units and stray bytes."""
    return Table("unit", UNIT_COLUMNS, (_unit_row(piece) for piece in pieces))


def _unit_row(piece: Piece) -> tuple[Any, ...]:
    if isinstance(piece, StrayBytes):
        status = piece.faults[0].kind if piece.faults else "stray"
        bits = 8 * piece.size_bytes
        return None, piece.byte_offset, piece.size_bytes, "stray bytes", 0, 0, bits, status, ""
    payload = sum(event.n_bits for event in piece.events if event.element in PAYLOADS)
    gap = sum(gap.n_bits for gap in piece.gaps)
    status = piece.faults[0].kind if piece.faults else "ok"
    status += " (extent inferred)" if piece.guess else ""
    header = 8 * piece.span.size_bytes - payload - gap
    span = piece.span
    return (
        span.index,
        span.byte_offset,
        span.size_bytes,
        piece.type_name,
        header,
        payload // 8,
        gap,
        status,
        headline_of(piece),
    )


def headline_of(piece: UnitReport) -> str:
    """Return a unit's main facts in one line: profile, quantisation, payload type, shape, names."""
    words = [
        f"{name} {piece.value(element)}"
        for element, name in (
            ("general_profile_idc", "profile"),
            ("partial_data_counter", "parts that follow"),
            ("mps_quantization_parameter", "quantization_parameter"),
            ("lps_quantization_parameter", "quantization_parameter"),
            ("topology_storage_format", "storage"),
        )
        if piece.value(element) is not None
    ]
    kind = piece.event("nnr_compressed_data_unit_payload_type")
    if kind is not None:
        words.append((kind.symbol or str(kind.value)).removeprefix("NNR_PT_"))
    dimensions = [event.value for event in piece.events if event.element == "tensor_dimensions"]
    if dimensions:
        words.append("x".join(map(str, dimensions)))
    words += piece.names
    return ", ".join(words)
