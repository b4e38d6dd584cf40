# SPDX-License-Identifier: Apache-2.0
"""Tables, and their output as text, CSV, Markdown, JSON and JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from nnr_codec.inspect.views.paint import Paint, plain

#: Rows that decide the column widths. A wider cell further down shifts the rest of its line.
_MEASURED_ROWS = 2000
_LEAST_WIDTH = 10  # of the last column, and of columns that are narrowed


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    key : str
        Name in CSV and JSON.
    title : str
        Name in text and Markdown.
    show : callable
        Text of a value other than None; None is an empty cell.
    right : bool
        Align to the right.
    place : bool
        The column holds a position or size; ``--for-diff`` omits it.
    style : str or None
        Style of `Paint`.
    rank : int
        On narrow lines the columns of the highest rank are omitted; rank 0 stays.
    """

    key: str
    title: str
    show: Callable[[Any], str] = str
    right: bool = False
    place: bool = False
    style: str | None = None
    rank: int = 0

    def cell(self, value: Any) -> str:
        """Return a value as text."""
        return "" if value is None else plain(self.show(value))


@dataclass(frozen=True)
class Table:
    """Columns, and rows of values, which may be computed while they are read."""

    name: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[Any]]

    def without_places(self) -> Table:
        """Return the table without its place columns."""
        kept = [index for index, column in enumerate(self.columns) if not column.place]
        rows = ([row[index] for index in kept] for row in self.rows)
        return Table(self.name, [self.columns[index] for index in kept], rows)

    def text(self, paint: Paint) -> Iterator[str]:
        """Yield the table as text; lines that are too narrow omit the columns of the highest rank."""
        rows = iter(self.rows)
        head = [self._cells(row) for row in islice(rows, _MEASURED_ROWS)]
        titles = [column.title for column in self.columns]
        widths = [max(map(len, cells)) for cells in zip(titles, *head, strict=True)]
        kept = self._fitting(widths, paint.width)
        yield paint("bold", self._line(titles, widths, kept, None).rstrip())
        for cells in chain(head, map(self._cells, rows)):
            yield self._line(cells, widths, kept, paint).rstrip()

    def _fitting(self, widths: list[int], room: int | None) -> list[int]:
        kept = list(range(len(self.columns)))
        while room is not None and self._needed(widths, kept) > room:
            highest_rank = max(self.columns[i].rank for i in kept)
            if highest_rank == 0:
                break
            kept.remove(next(i for i in reversed(kept) if self.columns[i].rank == highest_rank))
        while room is not None and self._needed(widths, kept) > room:
            widest = max(kept[:-1], key=widths.__getitem__)
            if widths[widest] <= _LEAST_WIDTH:
                break
            widths[widest] -= 1
        return kept

    def _needed(self, widths: list[int], kept: list[int]) -> int:
        *others, last = kept
        least = widths[last] if self.columns[last].right else _LEAST_WIDTH
        return sum(widths[i] + 2 for i in others) + least

    def _cells(self, row: Sequence[Any]) -> list[str]:
        return [column.cell(value) for column, value in zip(self.columns, row, strict=True)]

    def _line(self, cells: list[str], widths: list[int], kept: list[int], paint: Paint | None) -> str:
        parts = []
        for place in kept:
            column, cell = self.columns[place], cells[place]
            text = cell.rjust(widths[place]) if column.right else cell
            if paint is not None and paint.width is not None and place != kept[-1]:
                text = paint.shortened(text, widths[place])
            padding = "" if place == kept[-1] else " " * (widths[place] - len(text))
            if paint is not None and column.style is not None:
                text = paint(column.style, text)
            parts.append(text + padding)
        return "  ".join(parts)

    def csv(self) -> Iterator[str]:
        """Yield the table as CSV (RFC 4180) with a header line; None is an empty cell."""
        yield _csv_line([column.key for column in self.columns])
        for row in self.rows:
            yield _csv_line(["" if value is None else _csv_cell(value) for value in row])

    def markdown(self) -> Iterator[str]:
        """Yield the table as Markdown."""
        yield "| " + " | ".join(column.title for column in self.columns) + " |"
        yield "|" + "|".join("---:" if column.right else "---" for column in self.columns) + "|"
        for row in self.rows:
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in self._cells(row)) + " |"

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the rows as JSON-ready objects."""
        keys = [column.key for column in self.columns]
        for row in self.rows:
            yield {key: machine_value(value) for key, value in zip(keys, row, strict=True)}

    def json_lines(self) -> Iterator[str]:
        """Yield the rows as JSON lines."""
        for record in self.records():
            yield json.dumps({"record": self.name, **record})

    def json(self, head: dict[str, Any]) -> Iterator[str]:
        """Yield one JSON document: the members of ``head``, and all rows."""
        yield json.dumps(head)[:-1] + ', "rows": ['
        separator = ""
        for record in self.records():
            yield f"{separator}{json.dumps(record)}"
            separator = ","
        yield "]}"


def machine_value(value: Any) -> Any:
    """Return a value in JSON's types: bytes as hexadecimal, large integers as text."""
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, int) and value.bit_length() > 53:
        return str(value)
    return value


def _csv_cell(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    # Surrogates stand for bytes that are not UTF-8, and no encoding writes them.
    return plain(str(machine_value(value)))


def _csv_line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
