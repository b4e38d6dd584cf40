# SPDX-License-Identifier: Apache-2.0
"""Tree view: units, syntax tables and elements, with faults and gaps in place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from nnr_codec.inspect.read import Piece, StrayBytes, TensorAccount, UnitReport
from nnr_codec.inspect.views.paint import Paint, plain, size_text, value_text
from nnr_codec.inspect.views.tables import headline_of
from nnr_codec.inspect.views.verdict import fault_lines
from nnr_codec.syntax import TraceEvent

_OFFSET_COLUMNS = 12
_MOST_ENTRIES = 16  # shown entries of a list, unless --whole


class TreeView:
    """Writer of the tree.

    Parameters
    ----------
    paint : Paint
    places : bool
        Show offsets and sizes; False makes trees that differ only in content.
    whole : bool
        Show long lists to the end.
    """

    def __init__(self, paint: Paint, *, places: bool = True, whole: bool = False) -> None:
        self._paint = paint
        self._whole = whole
        self._places = places

    def lines(self, piece: Piece) -> Iterator[str]:
        """Yield the tree of one piece."""
        if isinstance(piece, StrayBytes):
            yield self._line(
                8 * piece.byte_offset, self._paint("bad", f"stray bytes: {piece.size_bytes:,} bytes")
            )
        else:
            yield from self._unit(piece)
        for fault in piece.faults:
            if self._places:
                yield from fault_lines(fault, self._paint, " " * _OFFSET_COLUMNS + "  ")
            else:
                yield f"  fault: {fault.kind} {plain(fault.message)} [{fault.clause}]"

    def _unit(self, report: UnitReport) -> Iterator[str]:
        paint = self._paint
        size = f"{report.span.size_bytes:,} bytes" if self._places else ""
        title = paint("title", f"{report.span.path} {report.type_name}")
        headline = plain(headline_of(report))
        yield self._line(8 * report.span.byte_offset, f"{title} {size}  {paint('dim', headline)}".rstrip())
        if report.guess:
            yield self._line(None, paint("guess", "  extent inferred by the inspector"))
        open_tables: list[str] = []
        for event, n_hidden in self._shortened(report.events):
            if n_hidden:
                depth = "  " * (1 + event.path.removeprefix(report.span.path).count("."))
                yield self._line(
                    None, paint("dim", f"{depth[2:]}… {n_hidden} more entries (--whole shows them)")
                )
                continue
            relative = event.path.removeprefix(report.span.path).lstrip(".")
            *levels, name = relative.split(".")
            shared = 0
            while shared < min(len(levels), len(open_tables)) and levels[shared] == open_tables[shared]:
                shared += 1
            for level in range(shared, len(levels)):
                yield self._line(event.bit_offset, "  " * (level + 1) + paint("bold", levels[level]))
            open_tables = levels
            yield self._element(event, name, len(levels) + 1)
        for gap in report.gaps:
            message = f"gap: {gap.n_bits} bits that belong to no element"
            yield self._line(gap.bit_offset, "  " + paint("bad", message))
        if report.payload is not None:
            for tensor in report.payload.tensors:
                yield self._line(None, self._tensor(tensor))

    def _shortened(self, events: list[TraceEvent]) -> Iterator[tuple[TraceEvent, int]]:
        """Yield events with 0; for hidden list entries, yield the last of them with their number instead."""
        hidden = 0
        for number, event in enumerate(events):
            _, bracket, index = event.path.rpartition("[")
            inner = bool(bracket) and index[:-1].isdigit() and int(index[:-1]) >= _MOST_ENTRIES
            if self._whole or not inner or event.fault is not None:
                if hidden:
                    yield events[number - 1], hidden
                hidden = 0
                yield event, 0
            else:
                hidden += 1
        if hidden:
            yield events[-1], hidden

    def _element(self, event: TraceEvent, name: str, depth: int) -> str:
        paint = self._paint
        indent = "  " * depth
        value = event.value
        if not self._places and isinstance(value, bytes | memoryview):
            digest = hashlib.sha256(value).hexdigest()[:16]
            shown = f"{len(value)} bytes, sha256 {digest}"
        elif event.element == "byte_alignment" and event.n_bits:
            shown = f"{event.raw:0{event.n_bits}b}"
        else:
            shown = value_text(value, event.symbol, longest=12)
        if event.fault is not None and value is None:
            shown = "? " + paint("bad", f"{event.n_bits} bits")
        head = f"{indent}{paint('name', name)} "
        plain_length = len(indent) + len(name) + 1 + (_OFFSET_COLUMNS + 2 if self._places else 0)
        tail = paint("dim", f"  {event.descriptor}") if self._places else ""
        mark = paint("bad", " ✗" if paint.unicode else " x") if event.fault is not None else ""
        text = (
            head + paint("value", paint.clip(shown, plain_length + len(event.descriptor) + 4)) + mark + tail
        )
        return self._line(event.bit_offset, text)

    def _tensor(self, tensor: TensorAccount) -> str:
        paint = self._paint
        shape = "x".join(map(str, tensor.shape)) or "scalar"
        name = f"    {paint('name', plain(tensor.name))} {tensor.role} {shape}"
        facts = [f"{tensor.bits_per_weight:.3f} bits per weight ({size_text(tensor.bits / 8)})"]
        if tensor.qp is not None:
            facts.append(f"QP {tensor.qp}, step {tensor.step_size:.6g}")
        if tensor.levels is not None:
            levels = tensor.levels
            facts.append(
                f"levels {levels.minimum}..{levels.maximum}, "
                f"{levels.n_nonzero:,} of {levels.count:,} non-zero, entropy {levels.entropy:.3f}"
            )
        return name + paint("dim", ": " + "; ".join(facts))

    def _line(self, bit_offset: int | None, text: str) -> str:
        if not self._places:
            return text
        place = "" if bit_offset is None else f"{bit_offset >> 3:#x}.{bit_offset & 7}"
        return self._paint("dim", place.rjust(_OFFSET_COLUMNS)) + "  " + text
