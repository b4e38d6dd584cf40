# SPDX-License-Identifier: Apache-2.0
"""Views and formats: one survey in, lines out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from nnr_codec.inspect.contexts import describe_context, element_of_context
from nnr_codec.inspect.document import FORMAT, VERSION, dump_json, dump_json_lines, ledger_record
from nnr_codec.inspect.examine import StrayBytes, UnitReport
from nnr_codec.inspect.hexview import HexView, field_lines
from nnr_codec.inspect.overview import Overview, overview_of
from nnr_codec.inspect.page import page_lines
from nnr_codec.inspect.paint import Paint, plain
from nnr_codec.inspect.payload import TensorReport
from nnr_codec.inspect.summary import summary_text, verdict_lines
from nnr_codec.inspect.survey import Survey
from nnr_codec.inspect.table import Table
from nnr_codec.inspect.tables import (
    context_table,
    stat_table,
    tensor_lines_table,
    tensor_table,
    trace_table,
    unit_table,
)
from nnr_codec.inspect.treeview import TreeView

_TABLES = ("trace", "units", "tensors", "stats", "contexts")


class Dump:
    """What ``nnr dump`` writes.

    Parameters
    ----------
    survey : Survey
    name : str
        Of the file, for titles.
    paint : Paint
    for_diff : bool
        Leave out where things are, so that two dumps differ only where the streams' contents do.
    whole : bool
        Show payloads to the last byte.

    Attributes
    ----------
    malformed : bool
        Whether a fault was met, once the lines were taken.
    not_found : str or None
        What was asked for and is not there.
    """

    def __init__(
        self, survey: Survey, name: str, paint: Paint, *, for_diff: bool = False, whole: bool = False
    ) -> None:
        self._survey = survey
        self._name = name
        self._paint = paint
        self._for_diff = for_diff
        self._whole = whole
        self._overview = Overview()
        self.not_found: str | None = None

    @property
    def malformed(self) -> bool:
        """Whether a fault was met so far."""
        return bool(self._overview.faults)

    def lines(self, view: str | None, form: str | None) -> Iterator[str]:
        """Return the lines of a view in a format.

        Raises
        ------
        ValueError
            The view cannot be had in that format.
        """
        lines = self._lines(view, form or "text")
        return lines if view == "html" else map(self._paint.fit, lines)

    def _lines(self, view: str | None, form: str) -> Iterator[str]:
        if view is None:
            view = {"text": "summary", "csv": "trace", "markdown": "summary"}.get(form, "tree")
        if view in _TABLES:
            return self._table_lines(view, form)
        if form == "csv" or (view in ("hex", "html") and form != "text"):
            raise ValueError(f"{view} cannot be had as {form}; {form} is for {', '.join(_TABLES)}")
        if form == "json":
            return self._summary_json() if view == "summary" else self._whole_json()
        if form == "jsonl":
            return dump_json_lines(self._name, self._survey, self._overview)
        if form == "markdown":
            return self._markdown(view)
        if view == "html":
            return page_lines(self._name, self._survey, self._overview)
        return {"summary": self._summary, "tree": self._tree, "hex": self._hex}[view]()

    def _pieces(self) -> Iterator[UnitReport | StrayBytes]:
        for piece in self._survey:
            self._overview.add(piece)
            yield piece

    def _gather(self) -> Overview:
        self._overview = overview_of(self._survey)
        return self._overview

    def _summary(self) -> Iterator[str]:
        overview = self._gather()
        yield from summary_text(self._name, self._survey.size_bytes, overview, self._paint)

    def _tree(self) -> Iterator[str]:
        view = TreeView(self._paint, places=not self._for_diff, whole=self._whole or self._for_diff)
        for piece in self._pieces():
            yield from view.lines(piece)
        if not self._for_diff:
            yield from verdict_lines(self._survey.size_bytes, self._overview, self._paint)

    def _hex(self) -> Iterator[str]:
        view = HexView(self._survey.view, self._paint, whole=self._whole)
        for piece in self._pieces():
            yield from view.lines(piece)

    def _whole_json(self) -> Iterator[str]:
        return dump_json(self._name, self._survey, self._overview)

    def _summary_json(self) -> Iterator[str]:
        overview = self._gather()
        document = {
            "format": "nnr-summary",
            "version": VERSION,
            "stream": {"name": self._name, "size_bytes": self._survey.size_bytes},
            "profile": overview.profile,
            "units": dict(overview.unit_counts),
            "tensors": list(tensor_lines_table(overview.tensors).records()),
            "faults": [vars(fault) for fault in overview.faults],
            "notes": overview.notes,
            "ledger": ledger_record(overview, self._survey.size_bytes),
        }
        yield json.dumps(document, indent=1)

    def _markdown(self, view: str) -> Iterator[str]:
        if view == "tree":
            yield from self._table_lines("trace", "markdown")
            return
        overview = self._gather()
        size = self._survey.size_bytes
        yield f"# {plain(self._name)}"
        yield ""
        yield f"{size:,} bytes, {len(overview.tensors):,} tensors, {overview.n_weights:,} weights"
        yield ""
        yield from stat_table(overview, size).markdown()
        yield ""
        yield from tensor_lines_table(overview.tensors).markdown()
        yield ""
        yield from (f"- {line}" for line in verdict_lines(size, overview, Paint()))

    def _table(self, view: str) -> Table:
        if view == "stats":
            table = stat_table(self._gather(), self._survey.size_bytes)
        elif view == "contexts":
            table = context_table(self._gather())
        else:
            table = {"trace": trace_table, "units": unit_table, "tensors": tensor_table}[view](self._pieces())
        return table.without_places() if self._for_diff else table

    def _table_lines(self, view: str, form: str) -> Iterator[str]:
        table = self._table(view)
        if form == "csv":
            return table.csv()
        if form == "jsonl":
            return table.json_lines()
        if form == "markdown":
            return table.markdown()
        if form == "json":
            stream = {"name": self._name, "size_bytes": self._survey.size_bytes}
            return table.json({"format": f"{FORMAT}-{view}", "version": VERSION, "stream": stream})
        return table.text(self._paint)

    # Single fields.

    def fields(self, at: int | None, paths: Sequence[str]) -> Iterator[str]:
        """Yield what is known of the field at a bit and of the elements at some paths, with their bits."""
        hexview = HexView(self._survey.view, self._paint, whole=self._whole)
        missing = set(paths)
        if at is not None and at >= 8 * self._survey.size_bytes:
            self.not_found = f"the stream ends at bit {8 * self._survey.size_bytes}"
            at = None
        for piece in self._pieces():
            if at is not None:
                yield from self._at(piece, at, hexview)
            if not isinstance(piece, UnitReport):
                continue
            for event in piece.events:
                matches = [path for path in paths if _is_at(event.path, path)]
                if matches:
                    missing.difference_update(matches)
                    yield from field_lines(event, hexview, self._paint)
        if missing:
            self.not_found = f"no element at {', '.join(plain(path) for path in sorted(missing))}"

    def _at(self, piece: UnitReport | StrayBytes, at: int, hexview: HexView) -> Iterator[str]:
        if isinstance(piece, StrayBytes):
            if 8 * piece.byte_offset <= at < 8 * (piece.byte_offset + piece.size_bytes):
                yield from self._nothing(
                    piece.byte_offset, piece.byte_offset + piece.size_bytes, at, "stray bytes", hexview
                )
            return
        for event in piece.events:
            if event.bit_offset <= at < event.bit_offset + event.n_bits:
                if isinstance(event.value, memoryview) and event.n_bits > 512:
                    yield self._paint("title", plain(event.path))
                    last = event.bit_offset + event.n_bits - 1
                    yield f"  {event.descriptor}, bits {event.bit_offset}..{last}"
                    first = at >> 3
                    yield from hexview.marked_bits(first, min(first + 8, self._survey.size_bytes), at, at + 1)
                else:
                    yield from field_lines(event, hexview, self._paint)
                yield from self._bin(piece)
                return
        for gap in piece.gaps:
            if gap.bit_offset <= at < gap.bit_offset + gap.n_bits:
                first, last = gap.bit_offset >> 3, (gap.bit_offset + gap.n_bits + 7) >> 3
                yield from self._nothing(first, last, at, f"a gap in {piece.span.path}", hexview)

    def _nothing(self, first: int, last: int, at: int, what: str, hexview: HexView) -> Iterator[str]:
        yield self._paint("bad", what) + f": no element claims bytes {first:#x}..{last - 1:#x}"
        yield from hexview.marked_bits(at >> 3, min((at >> 3) + 8, last), at, at + 1)

    def _bin(self, piece: UnitReport) -> Iterator[str]:
        payload = piece.payload
        if payload is None or payload.watched is None:
            return
        watched = payload.watched
        tensor: TensorReport = payload.tensors[watched.tensor]
        what = watched.element
        if watched.context >= 0:
            unary = tensor.unary_length
            what = (
                f"{element_of_context(watched.context, unary)} ({describe_context(watched.context, unary)})"
            )
        level = f", coded level {watched.level - 1:,}" if watched.level else ""
        yield f"  read for {self._paint('name', plain(tensor.name))}{level}: {self._paint('value', what)}"
        yield self._paint(
            "dim", "  (an arithmetic decoder reads up to nine bits ahead of the bin it decides)"
        )


def _is_at(path: str, wanted: str) -> bool:
    """Tell whether a path is the wanted one or inside it."""
    return path == wanted or path.startswith((f"{wanted}.", f"{wanted}["))
