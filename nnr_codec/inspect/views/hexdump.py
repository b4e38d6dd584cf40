# SPDX-License-Identifier: Apache-2.0
"""Hex view: rows of bytes with the fields that start in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nnr_codec.inspect.read import Piece, StrayBytes
from nnr_codec.inspect.read.unit import BODIES, PAYLOADS
from nnr_codec.inspect.views.paint import Paint, value_text
from nnr_codec.syntax import TraceEvent

_ROW = 16
#: Rows shown at the start and at the end of a payload, unless --whole.
_PAYLOAD_ROWS = 4


class HexView:
    """Writer of bytes with their fields.

    Parameters
    ----------
    view : memoryview
        The whole stream.
    paint : Paint
    whole : bool
        Show payloads to the end.
    """

    def __init__(self, view: memoryview, paint: Paint, *, whole: bool = False) -> None:
        self._view = view
        self._paint = paint
        self._whole = whole

    def lines(self, piece: Piece) -> Iterator[str]:
        """Yield the hex dump of one piece."""
        if isinstance(piece, StrayBytes):
            yield self._paint("bad", f"stray bytes: {piece.size_bytes:,} bytes")
            yield from self._rows(piece.byte_offset, piece.byte_offset + piece.size_bytes, ())
            return
        span = piece.span
        yield self._paint("title", f"{span.path} {piece.type_name}") + f" {span.size_bytes:,} bytes"
        end = span.byte_offset + span.size_bytes
        content = [event for event in piece.events if event.element in (*PAYLOADS, *BODIES)]
        header_end = content[0].bit_offset >> 3 if content else end
        yield from self._rows(span.byte_offset, header_end, piece.events)
        if header_end < end:
            yield self._paint("dim", f"{'':10}{content[0].element}")
            yield from self._rows(header_end, end, ())
        yield ""

    def _rows(self, start: int, end: int, events: Sequence[TraceEvent]) -> Iterator[str]:
        rows = range(start - start % _ROW, end, _ROW)
        skipped = 0
        for number, row in enumerate(rows):
            if not events and not self._whole and _PAYLOAD_ROWS <= number < len(rows) - _PAYLOAD_ROWS:
                skipped += 1
                continue
            if skipped:
                yield self._paint("dim", f"{'':10}… {skipped * _ROW:,} bytes (--whole shows them)")
                skipped = 0
            yield self._row(row, start, end, events)

    def _row(self, row: int, start: int, end: int, events: Sequence[TraceEvent]) -> str:
        cells, text = [], ""
        for place in range(row, row + _ROW):
            inside = start <= place < end
            octet = self._view[place] if inside else 0
            cells.append(f"{octet:02x}" if inside else "  ")
            text += chr(octet) if inside and 32 <= octet < 127 else "." if inside else " "
        halves = "  ".join([" ".join(cells[:8]), " ".join(cells[8:])])
        line = self._paint("dim", f"{row:08x}") + f"  {halves}  "
        fields = [
            f"{event.element}={value_text(event.value, longest=4)}"
            for event in events
            if row <= event.bit_offset >> 3 < row + _ROW
        ]
        return line + self._paint("dim", text) + "  " + self._paint.clip(" ".join(fields), 78)
