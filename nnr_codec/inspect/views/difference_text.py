# SPDX-License-Identifier: Apache-2.0
"""Text of ``nnr diff``: units and elements as lines, tensors as a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from nnr_codec.inspect.views.difference import Difference, ElementChange, TensorChange
from nnr_codec.inspect.views.paint import Paint, plain, size_text, value_text
from nnr_codec.inspect.views.tables import Column, Table
from nnr_codec.inspect.views.tables.cells import count_text, share_text

_INDEX = re.compile(r"\[\d+\]")
_MOST_ENTRIES = 4  # shown entries of a list that differs
_MOST_UNITS = 3  # units that list the same change separately; more units share one line
_NAMED_UNITS = 6  # units that a shared line names


def _error_text(value: float) -> str:
    return f"{value:.3g}"


def _size_of_bits(bits: float) -> str:
    return size_text(bits / 8)


_TENSOR_COLUMNS = (
    Column("name", "tensor", style="name"),
    Column("n_levels_changed", "levels changed", count_text, right=True),
    Column("n_weights", "of", count_text, right=True, rank=2),
    Column("share", "share", share_text, right=True, rank=3),
    Column("largest_error", "largest error", _error_text, right=True),
    Column("mean_square_error", "mean square", _error_text, right=True, rank=1),
    Column("bits_before", "before", _size_of_bits, right=True),
    Column("bits_after", "after", _size_of_bits, right=True),
    Column("note", "", rank=4),
)


def difference_lines(names: tuple[str, str], difference: Difference, paint: Paint) -> Iterator[str]:
    """Yield the differences as text.

    Parameters
    ----------
    names : (str, str)
        File names before and after.
    difference : Difference
    paint : Paint
    """
    change = difference.size_after - difference.size_before
    share = f" ({100 * change / difference.size_before:+.2f} %)" if difference.size_before else ""
    before, after = size_text(difference.size_before), size_text(difference.size_after)
    yield paint("bad", f"- {plain(names[0])}") + f"  {before}"
    yield paint("good", f"+ {plain(names[1])}") + f"  {after}, {change:+,} bytes{share}"
    if difference.same:
        yield "same content"
    for unit in difference.units_removed:
        yield paint("bad", f"- unit {plain(unit)}")
    for unit in difference.units_added:
        yield paint("good", f"+ unit {plain(unit)}")
    if difference.order_changed:
        yield "the order of the units differs"
    yield from _element_lines(difference.elements, paint)
    if difference.tensors:
        yield from Table("tensor", _TENSOR_COLUMNS, map(_tensor_row, difference.tensors)).text(paint)
    if difference.payloads:
        yield f"same levels, different payload bytes: {_units_text(difference.payloads)}"


def _element_lines(changes: list[ElementChange], paint: Paint) -> Iterator[str]:
    """Yield changes that many units share, then the others by unit."""
    by_change: dict[tuple[str, str, str], list[str]] = {}
    for change in changes:
        by_change.setdefault((change.path, *_values(change)), []).append(change.unit)
    shared = {key for key, units in by_change.items() if len(units) > _MOST_UNITS}
    for path, before, after in by_change:
        units = by_change[path, before, after]
        if (path, before, after) in shared:
            yield f"{_change_text(path, before, after, paint)} in {_units_text(units)}"
    title = None
    lists: dict[tuple[str, str], list[ElementChange]] = {}
    for change in changes:
        if (change.path, *_values(change)) not in shared:
            lists.setdefault((change.unit, _INDEX.sub("[]", change.path)), []).append(change)
    for (unit, name), entries in lists.items():
        if unit != title:
            title = unit
            yield paint("title", plain(unit))
        if len(entries) > _MOST_ENTRIES:
            n_removed = sum(change.after is None for change in entries)
            n_added = sum(change.before is None for change in entries)
            counts = f"{len(entries)} entries differ, {n_removed} only before, {n_added} only after"
            yield f"  {paint('name', plain(name))}: {counts}"
            continue
        for change in entries:
            yield "  " + _change_text(change.path, *_values(change), paint)


def _values(change: ElementChange) -> tuple[str, str]:
    before = "absent" if change.before is None else value_text(change.before, longest=12)
    after = "absent" if change.after is None else value_text(change.after, longest=12)
    return before, after


def _change_text(path: str, before: str, after: str, paint: Paint) -> str:
    return f"{paint('name', plain(path))}: {paint('bad', before)} -> {paint('good', after)}"


def _units_text(units: Sequence[str]) -> str:
    named = ", ".join(plain(unit) for unit in units[:_NAMED_UNITS])
    n_more = len(units) - _NAMED_UNITS
    count = "1 unit" if len(units) == 1 else f"{len(units)} units"
    return f"{count}: {named}{f' and {n_more} more' if n_more > 0 else ''}"


def _tensor_row(tensor: TensorChange) -> tuple[Any, ...]:
    share = None
    if tensor.n_levels_changed is not None and tensor.n_weights:
        share = tensor.n_levels_changed / tensor.n_weights
    return (
        tensor.name,
        tensor.n_levels_changed,
        tensor.n_weights,
        share,
        tensor.largest_error,
        tensor.mean_square_error,
        tensor.bits_before,
        tensor.bits_after,
        tensor.note,
    )
