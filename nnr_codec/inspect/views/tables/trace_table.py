# SPDX-License-Identifier: Apache-2.0
"""Table view of the trace: one row per element, gap and stretch of stray bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from nnr_codec.inspect.read import Gap, Piece, StrayBytes
from nnr_codec.inspect.read.fault import status_of
from nnr_codec.inspect.views.paint import value_text
from nnr_codec.inspect.views.tables.cells import element_text
from nnr_codec.inspect.views.tables.table import Column, Table
from nnr_codec.syntax import TraceEvent

TRACE_COLUMNS = (
    Column("bit_offset", "bit", right=True, place=True, style="dim"),
    Column("n_bits", "bits", right=True),
    Column("descriptor", "type", style="dim", rank=1),
    Column("path", "element", style="name"),
    Column("raw", "raw", right=False, place=True, style="dim", rank=2),
    Column("value", "value", element_text, style="value"),
    Column("symbol", "symbol", rank=3),
    Column("clause", "clause", style="dim", rank=4),
    Column("status", "status", lambda status: "" if status == "ok" else str(status), style="bad"),
)


def trace_table(pieces: Iterable[Piece]) -> Table:
    """Return the trace as a table, in stream order."""
    return Table("element", TRACE_COLUMNS, _trace_rows(pieces))


def _trace_rows(pieces: Iterable[Piece]) -> Iterator[tuple[Any, ...]]:
    for piece in pieces:
        if isinstance(piece, StrayBytes):
            yield gap_row(Gap(8 * piece.byte_offset, 8 * piece.size_bytes), "stray bytes")
            continue
        for event in piece.events:
            yield event_row(event)
        for gap in piece.gaps:
            yield gap_row(gap, f"{piece.span.path}.gap")


def event_row(event: TraceEvent) -> tuple[Any, ...]:
    """Return the row of an element."""
    return (
        event.bit_offset,
        event.n_bits,
        event.descriptor,
        event.path,
        raw_text(event),
        event.value,
        event.symbol,
        event.clause,
        status_of(event),
    )


def gap_row(gap: Gap, name: str) -> tuple[Any, ...]:
    """Return the row of a gap."""
    return gap.bit_offset, gap.n_bits, "", name, None, None, None, "", "gap"


def raw_text(event: TraceEvent, longest: int = 8) -> str:
    """Return an element's bits: short ones in binary, longer ones in hexadecimal."""
    if isinstance(event.raw, bytes | memoryview):
        return value_text(event.raw, longest=longest)
    if event.n_bits <= 8:
        return f"{event.raw:0{event.n_bits}b}" if event.n_bits else ""
    text = f"{event.raw:0{(event.n_bits + 3) // 4}x}"
    return f"0x{text}" if len(text) <= 3 * longest else f"0x{text[: 3 * longest]}…"
