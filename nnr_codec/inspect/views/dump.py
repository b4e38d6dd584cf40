# SPDX-License-Identifier: Apache-2.0
"""Output of ``nnr dump``: a view of a survey in a format."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from nnr_codec.inspect.read import Piece, Summary, Survey, UnitReport, summarize
from nnr_codec.inspect.views.document import FORMAT, VERSION, dump_json, dump_json_lines, ledger_record
from nnr_codec.inspect.views.fields import FieldView
from nnr_codec.inspect.views.hexdump import HexView
from nnr_codec.inspect.views.html import page_lines
from nnr_codec.inspect.views.paint import Paint, plain
from nnr_codec.inspect.views.summary import summary_lines
from nnr_codec.inspect.views.tables import (
    Table,
    context_table,
    stat_table,
    tensor_lines_table,
    tensor_table,
    trace_table,
    unit_table,
)
from nnr_codec.inspect.views.tree import TreeView
from nnr_codec.inspect.views.verdict import verdict_lines

_TABLES = ("trace", "units", "tensors", "stats", "contexts")


class Dump:
    """Dump of one survey.

    Parameters
    ----------
    survey : Survey
    name : str
        File name, for titles.
    paint : Paint
    for_diff : bool
        Omit offsets and sizes, so that two dumps differ only in content.
    whole : bool
        Show payloads and long lists to the end.

    Attributes
    ----------
    malformed : bool
        A fault was met; complete once all lines were read.
    not_found : str or None
        Message about a requested bit or path that the stream does not have.
    """

    def __init__(
        self, survey: Survey, name: str, paint: Paint, *, for_diff: bool = False, whole: bool = False
    ) -> None:
        self._survey = survey
        self._name = name
        self._paint = paint
        self._for_diff = for_diff
        self._whole = whole
        self._totals = Summary()
        self.not_found: str | None = None

    @property
    def malformed(self) -> bool:
        """True if the walk has met a fault so far."""
        return bool(self._totals.faults)

    def lines(self, view: str | None, form: str | None) -> Iterator[str]:
        """Return the lines of a view in a format.

        Raises
        ------
        ValueError
            The view does not have that format.
        """
        lines = self._lines(view, form or "text")
        return lines if view == "html" else map(self._paint.fit, lines)

    def _lines(self, view: str | None, form: str) -> Iterator[str]:
        if view is None:
            view = {"text": "summary", "csv": "trace", "markdown": "summary"}.get(form, "tree")
        if view in _TABLES:
            return self._table_lines(view, form)
        if form == "csv" or (view in ("hex", "html") and form != "text"):
            raise ValueError(f"the view {view} has no format {form}; {form} is for {', '.join(_TABLES)}")
        if form == "json":
            return self._summary_json() if view == "summary" else self._full_json()
        if form == "jsonl":
            return dump_json_lines(self._name, self._survey, self._totals)
        if form == "markdown":
            return self._markdown(view)
        if view == "html":
            return page_lines(self._name, self._survey, self._totals)
        return {"summary": self._summary, "tree": self._tree, "hex": self._hex}[view]()

    def _pieces(self) -> Iterator[Piece]:
        for piece in self._survey:
            self._totals.add(piece)
            yield piece

    def _gather(self) -> Summary:
        self._totals = summarize(self._survey)
        return self._totals

    def _summary(self) -> Iterator[str]:
        summary = self._gather()
        yield from summary_lines(self._name, self._survey.size_bytes, summary, self._paint)

    def _tree(self) -> Iterator[str]:
        view = TreeView(self._paint, places=not self._for_diff, whole=self._whole or self._for_diff)
        for piece in self._pieces():
            yield from view.lines(piece)
        if not self._for_diff:
            yield from verdict_lines(self._survey.size_bytes, self._totals, self._paint)

    def _hex(self) -> Iterator[str]:
        view = HexView(self._survey.view, self._paint, whole=self._whole)
        for piece in self._pieces():
            yield from view.lines(piece)

    def _full_json(self) -> Iterator[str]:
        return dump_json(self._name, self._survey, self._totals)

    def _summary_json(self) -> Iterator[str]:
        summary = self._gather()
        document = {
            "format": "nnr-summary",
            "version": VERSION,
            "stream": {"name": self._name, "size_bytes": self._survey.size_bytes},
            "profile": summary.profile,
            "units": dict(summary.unit_counts),
            "tensors": list(tensor_lines_table(summary.tensors).records()),
            "faults": [vars(fault) for fault in summary.faults],
            "notes": summary.notes,
            "ledger": ledger_record(summary, self._survey.size_bytes),
        }
        yield json.dumps(document, indent=1)

    def _markdown(self, view: str) -> Iterator[str]:
        if view == "tree":
            yield from self._table_lines("trace", "markdown")
            return
        summary = self._gather()
        size = self._survey.size_bytes
        yield f"# {plain(self._name)}"
        yield ""
        yield f"{size:,} bytes, {len(summary.tensors):,} tensors, {summary.n_weights:,} weights"
        yield ""
        yield from stat_table(summary, size).markdown()
        yield ""
        yield from tensor_lines_table(summary.tensors).markdown()
        yield ""
        yield from (f"- {line}" for line in verdict_lines(size, summary, Paint()))

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
        """Yield the field at a bit and the elements at some paths, each with its bits."""
        view = FieldView(self._survey.view, self._paint)
        missing = set(paths)
        if at is not None and at >= 8 * self._survey.size_bytes:
            self.not_found = f"the stream ends at bit {8 * self._survey.size_bytes}"
            at = None
        for piece in self._pieces():
            if at is not None:
                yield from view.field_at(piece, at)
            if not isinstance(piece, UnitReport):
                continue
            for event in piece.events:
                matches = [path for path in paths if _is_at(event.path, path)]
                if matches:
                    missing.difference_update(matches)
                    yield from view.element(event)
        if missing:
            self.not_found = f"no element at {', '.join(plain(path) for path in sorted(missing))}"


def _is_at(path: str, requested: str) -> bool:
    """Return whether a path is the requested one or lies inside it."""
    return path == requested or path.startswith((f"{requested}.", f"{requested}["))
