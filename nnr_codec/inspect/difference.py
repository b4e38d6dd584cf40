# SPDX-License-Identifier: Apache-2.0
"""Two streams compared: elements by path, tensors by level and value, sizes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from nnr_codec.inspect.document import jsonable
from nnr_codec.inspect.examine import PAYLOADS, StrayBytes, UnitReport
from nnr_codec.inspect.paint import Paint, plain, size_text, value_text
from nnr_codec.inspect.payload import TensorReport
from nnr_codec.inspect.survey import Survey

UnitKey = tuple[str, str, int]

_INDEX = re.compile(r"\[\d+\]")
_MOST_ENTRIES = 4  # of a list, shown one by one

#: What follows from other elements: listed only where nothing else differs.
_CONSEQUENCES = ("nnr_unit_size", "nnr_unit_size_flag", "byte_alignment")


@dataclass(frozen=True)
class ElementChange:
    """An element that differs; None where a stream lacks it."""

    unit: str
    path: str
    before: Any
    after: Any


@dataclass(frozen=True)
class TensorChange:
    """A tensor that differs.

    Attributes
    ----------
    n_levels_changed : int or None
        None where levels cannot be compared: shapes differ, or there are none.
    largest_error, mean_square_error : float or None
        Of the values, as a decoder gives them.
    bits_before, bits_after : float
    """

    name: str
    n_weights: int
    n_levels_changed: int | None
    largest_error: float | None
    mean_square_error: float | None
    bits_before: float
    bits_after: float
    note: str = ""


@dataclass
class Difference:
    """All that differs. Empty lists mean the same content."""

    size_before: int = 0
    size_after: int = 0
    units_removed: list[str] = field(default_factory=list)
    units_added: list[str] = field(default_factory=list)
    elements: list[ElementChange] = field(default_factory=list)
    tensors: list[TensorChange] = field(default_factory=list)
    payloads: list[str] = field(default_factory=list)  # same levels in other bytes
    order_changed: bool = False

    @property
    def same(self) -> bool:
        """Whether nothing differs but perhaps the sizes of fields."""
        return not (
            self.units_removed
            or self.units_added
            or self.elements
            or self.tensors
            or self.payloads
            or self.order_changed
        )


def compare(before: Survey, after: Survey) -> Difference:
    """Compare two streams. Of both, surveys that keep levels and values.

    Units belong together by type, by the names of their tensors and by how many of that kind came before.
    """
    difference = Difference(before.size_bytes, after.size_bytes)
    ours, theirs = _by_key(before), _by_key(after)
    difference.units_removed = [_title(key) for key in ours if key not in theirs]
    difference.units_added = [_title(key) for key in theirs if key not in ours]
    both = [key for key in ours if key in theirs]
    difference.order_changed = both != [key for key in theirs if key in ours]
    for key in both:
        _compare_units(_title(key), ours[key], theirs[key], difference)
    return difference


def _by_key(survey: Survey) -> dict[UnitKey, UnitReport | StrayBytes]:
    seen: Counter[tuple[str, str]] = Counter()
    found = {}
    for piece in survey:
        kind = (
            ("stray bytes", "")
            if isinstance(piece, StrayBytes)
            else (piece.type_name, ", ".join(piece.names))
        )
        found[kind[0], kind[1], seen[kind]] = piece
        seen[kind] += 1
    return found


def _title(key: UnitKey) -> str:
    kind, names, number = key
    return f"{kind} {names}".strip() + (f" ({number + 1})" if number else "")


def _compare_units(
    title: str, before: UnitReport | StrayBytes, after: UnitReport | StrayBytes, difference: Difference
) -> None:
    if isinstance(before, StrayBytes) or isinstance(after, StrayBytes):
        if before.faults != after.faults:
            difference.elements.append(ElementChange(title, "", None, None))
        return
    ours, theirs = _elements(before), _elements(after)
    changes = [
        ElementChange(title, path, ours.get(path), theirs.get(path))
        for path in dict.fromkeys((*ours, *theirs))
        if path not in ours or path not in theirs or ours[path] != theirs[path]
    ]
    grounds = [c for c in changes if c.path.rpartition(".")[2] not in (*_CONSEQUENCES, *PAYLOADS)]
    payload_changed = any(change.path in PAYLOADS for change in changes)
    tensors = _compare_tensors(before, after) if payload_changed or grounds else []
    difference.elements += grounds
    difference.tensors += tensors
    if payload_changed and not tensors:
        difference.payloads.append(title)
    elif changes and not grounds and not tensors:
        difference.elements += changes


def _elements(report: UnitReport) -> dict[str, Any]:
    root = f"{report.span.path}."
    return {
        event.path.removeprefix(root): bytes(event.value)
        if isinstance(event.value, memoryview)
        else event.value
        for event in report.events
    }


def _compare_tensors(before: UnitReport, after: UnitReport) -> list[TensorChange]:
    ours = {} if before.payload is None else {tensor.name: tensor for tensor in before.payload.tensors}
    theirs = {} if after.payload is None else {tensor.name: tensor for tensor in after.payload.tensors}
    changes = [_compare_tensor(ours[name], theirs[name]) for name in ours if name in theirs]
    return [change for change in changes if change is not None]


def _compare_tensor(before: TensorReport, after: TensorReport) -> TensorChange | None:
    changed = largest = mean_square = None
    note = ""
    if before.shape != after.shape:
        note = f"shape {'x'.join(map(str, before.shape))} became {'x'.join(map(str, after.shape))}"
    else:
        if before.level_array is not None and after.level_array is not None:
            changed = int(np.count_nonzero(before.level_array != after.level_array))
        if before.values is not None and after.values is not None:
            error = np.abs(before.values.astype(np.float64) - after.values)
            finite = error[np.isfinite(error)]
            largest = float(finite.max()) if finite.size else 0.0
            mean_square = float(np.mean(finite**2)) if finite.size else 0.0
        if changed == 0 and not largest:
            return None
        if changed is None and largest is None:
            note = "not decoded"
        if changed is None and largest == 0:
            return None
    return TensorChange(
        after.name, after.n_weights, changed, largest, mean_square, before.bits, after.bits, note
    )


def difference_record(difference: Difference) -> dict[str, Any]:
    """Return the machine-readable form."""
    record = jsonable(asdict(difference))
    return {"format": "nnr-diff", "version": 1, "same": difference.same, **record}


def difference_lines(names: tuple[str, str], difference: Difference, paint: Paint) -> Iterator[str]:
    """Yield what differs, for people."""
    change = difference.size_after - difference.size_before
    share = f" ({100 * change / difference.size_before:+.2f} %)" if difference.size_before else ""
    yield paint("bad", f"- {plain(names[0])}") + f"  {size_text(difference.size_before)}"
    yield (
        paint("good", f"+ {plain(names[1])}")
        + f"  {size_text(difference.size_after)}, {change:+,} bytes{share}"
    )
    if difference.same:
        yield "the same content"
    for unit in difference.units_removed:
        yield paint("bad", f"- unit {plain(unit)}")
    for unit in difference.units_added:
        yield paint("good", f"+ unit {plain(unit)}")
    if difference.order_changed:
        yield "the units come in another order"
    yield from _element_lines(difference.elements, paint)
    if difference.tensors:
        yield paint("title", "tensors")
    for tensor in difference.tensors:
        yield "  " + paint("name", plain(tensor.name)) + ": " + _tensor_text(tensor)
    for unit in difference.payloads:
        yield f"{paint('title', plain(unit))}: the same levels in another payload"


def _element_lines(changes: list[ElementChange], paint: Paint) -> Iterator[str]:
    title = None
    groups: dict[tuple[str, str], list[ElementChange]] = {}
    for change in changes:
        groups.setdefault((change.unit, _INDEX.sub("[]", change.path)), []).append(change)
    for (unit, name), members in groups.items():
        if unit != title:
            title = unit
            yield paint("title", plain(title))
        if len(members) > _MOST_ENTRIES:
            removed = sum(change.after is None for change in members)
            added = sum(change.before is None for change in members)
            counts = f"{len(members)} entries differ, {removed} only before, {added} only after"
            yield f"  {paint('name', plain(name))}: {counts}"
            continue
        for change in members:
            before = "absent" if change.before is None else value_text(change.before, longest=12)
            after = "absent" if change.after is None else value_text(change.after, longest=12)
            yield f"  {paint('name', plain(change.path))}: {paint('bad', before)} -> {paint('good', after)}"


def _tensor_text(tensor: TensorChange) -> str:
    facts = [tensor.note] if tensor.note else []
    if tensor.n_levels_changed is not None:
        share = 100 * tensor.n_levels_changed / tensor.n_weights if tensor.n_weights else 0.0
        facts.append(f"{tensor.n_levels_changed:,} of {tensor.n_weights:,} levels changed ({share:.1f} %)")
    if tensor.largest_error is not None:
        facts.append(f"largest error {tensor.largest_error:.4g}, mean square {tensor.mean_square_error:.4g}")
    facts.append(f"{size_text(tensor.bits_before / 8)} -> {size_text(tensor.bits_after / 8)}")
    return ", ".join(facts)
