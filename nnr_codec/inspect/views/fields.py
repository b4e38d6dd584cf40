# SPDX-License-Identifier: Apache-2.0
"""Field view: single elements, gaps and bins, with their bits marked."""

from __future__ import annotations

from collections.abc import Iterator

from nnr_codec.inspect.read import Piece, StrayBytes, UnitReport
from nnr_codec.inspect.read.contexts import condition_of_context, element_of_context
from nnr_codec.inspect.views.paint import Paint, plain, value_text
from nnr_codec.syntax import TraceEvent

_ROW = 8  # bytes per line in binary
_MOST_BYTES = 64  # of one element
_LONG_BITS = 512  # a longer payload is shown around the requested bit only


class FieldView:
    """Writer of single fields.

    Parameters
    ----------
    view : memoryview
        The whole stream.
    paint : Paint
    """

    def __init__(self, view: memoryview, paint: Paint) -> None:
        self._view = view
        self._paint = paint

    def field_at(self, piece: Piece, bit: int) -> Iterator[str]:
        """Yield the element, gap or bin of a piece at an absolute bit; nothing if the bit lies elsewhere."""
        if isinstance(piece, StrayBytes):
            end = piece.byte_offset + piece.size_bytes
            if 8 * piece.byte_offset <= bit < 8 * end:
                yield from self._unclaimed("stray bytes", piece.byte_offset, end, bit)
            return
        for event in piece.events:
            if event.bit_offset <= bit < event.bit_offset + event.n_bits:
                yield from self._element_around(event, bit)
                yield from self._bin(piece)
                return
        for gap in piece.gaps:
            if gap.bit_offset <= bit < gap.bit_offset + gap.n_bits:
                end = (gap.bit_offset + gap.n_bits + 7) >> 3
                yield from self._unclaimed(f"a gap in {piece.span.path}", gap.bit_offset >> 3, end, bit)

    def element(self, event: TraceEvent) -> Iterator[str]:
        """Yield path, descriptor, place, value, fault and bits of one element."""
        paint, start, end = self._paint, event.bit_offset, event.bit_offset + event.n_bits
        yield paint("title", plain(event.path))
        place = f"bit {start}" if event.n_bits == 1 else f"bits {start}..{end - 1} ({event.n_bits} bits)"
        yield f"  {event.descriptor}, {place}, byte {start >> 3:#x}"
        yield f"  value {paint('value', value_text(event.value, event.symbol))}   [{event.clause}]"
        if event.fault is not None:
            yield "  " + paint("bad", plain(f"{type(event.fault).__name__}: {event.fault.message}"))
        start_byte, end_byte = start >> 3, (max(end, start + 1) + 7) >> 3
        n_hidden = end_byte - start_byte - _MOST_BYTES
        yield from self._binary(start_byte, min(end_byte, start_byte + _MOST_BYTES), start, end)
        if n_hidden > 0:
            yield paint("dim", f"{'':10}… {n_hidden:,} more bytes")

    def _element_around(self, event: TraceEvent, bit: int) -> Iterator[str]:
        if not isinstance(event.value, memoryview) or event.n_bits <= _LONG_BITS:
            yield from self.element(event)
            return
        yield self._paint("title", plain(event.path))
        yield f"  {event.descriptor}, bits {event.bit_offset}..{event.bit_offset + event.n_bits - 1}"
        yield from self._binary(bit >> 3, min((bit >> 3) + _ROW, len(self._view)), bit, bit + 1)

    def _unclaimed(self, name: str, start_byte: int, end_byte: int, bit: int) -> Iterator[str]:
        place = f"bytes {start_byte:#x}..{end_byte - 1:#x} belong to no element"
        yield self._paint("bad", name) + f": {place}"
        yield from self._binary(bit >> 3, min((bit >> 3) + _ROW, end_byte), bit, bit + 1)

    def _bin(self, piece: UnitReport) -> Iterator[str]:
        payload = piece.payload
        if payload is None or payload.watched is None:
            return
        watched = payload.watched
        tensor = payload.tensors[watched.tensor]
        name = watched.element
        if watched.context >= 0:
            unary = tensor.unary_length
            condition = condition_of_context(watched.context, unary)
            name = f"{element_of_context(watched.context, unary)} ({condition})"
        level = f", coded level {watched.level - 1:,}" if watched.level else ""
        tensor_name = self._paint("name", plain(tensor.name))
        yield f"  first read for {tensor_name}{level}: {self._paint('value', name)}"
        note = "  (the arithmetic decoder reads up to nine bits ahead of the bin that it decodes)"
        yield self._paint("dim", note)

    def _binary(self, start_byte: int, end_byte: int, start: int, end: int) -> Iterator[str]:
        """Yield bytes in binary, with the bits ``start`` to ``end - 1`` marked."""
        for row in range(start_byte, end_byte, _ROW):
            cells = []
            for place in range(row, min(row + _ROW, end_byte)):
                bits = f"{self._view[place]:08b}"
                begin = min(8, max(0, start - 8 * place))
                stop = min(8, max(0, end - 8 * place))
                marked = bits[begin:stop]
                if marked:
                    marked = self._paint("mark", marked) if self._paint.color else f"[{marked}]"
                cells.append(bits[:begin] + marked + bits[stop:])
            yield self._paint("dim", f"{row:08x}") + "  " + " ".join(cells)
