# SPDX-License-Identifier: Apache-2.0
"""Comparison of two streams: elements by path, tensors by levels and values, sizes."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from nnr_codec.inspect.read import Piece, StrayBytes, Survey, TensorAccount, UnitReport
from nnr_codec.inspect.read.unit import PAYLOADS
from nnr_codec.inspect.rebuild import jsonable

#: Unit type, names of the tensors, number of earlier units with the same type and names.
UnitKey = tuple[str, str, int]

#: Elements that follow from others: listed only if nothing else differs.
_CONSEQUENCES = ("nnr_unit_size", "nnr_unit_size_flag", "byte_alignment")


@dataclass(frozen=True)
class ElementChange:
    """One differing element; None in the stream that lacks it."""

    unit: str
    path: str
    before: Any
    after: Any


@dataclass(frozen=True)
class TensorChange:
    """One differing tensor.

    Attributes
    ----------
    n_levels_changed : int or None
        None if the levels cannot be compared: the shapes differ, or a tensor has no levels.
    largest_error, mean_square_error : float or None
        Of the decoded values.
    bits_before, bits_after : float
    note : str
        Reason why the tensors were not compared.
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
    """Differences of two streams. Empty lists mean the same content."""

    size_before: int = 0
    size_after: int = 0
    units_removed: list[str] = field(default_factory=list)
    units_added: list[str] = field(default_factory=list)
    elements: list[ElementChange] = field(default_factory=list)
    tensors: list[TensorChange] = field(default_factory=list)
    payloads: list[str] = field(default_factory=list)  # units with the same levels in different bytes
    order_changed: bool = False

    @property
    def same(self) -> bool:
        """True if the content is the same; sizes may differ."""
        return not (
            self.units_removed
            or self.units_added
            or self.elements
            or self.tensors
            or self.payloads
            or self.order_changed
        )


def compare(before: Survey, after: Survey) -> Difference:
    """Compare two streams.

    Units are matched by type, by the names of their tensors, and by their number among the units of that kind.

    Parameters
    ----------
    before, after : Survey
        With ``keep=True``, so that levels and values are compared.
    """
    difference = Difference(before.size_bytes, after.size_bytes)
    units_before, units_after = _by_key(before), _by_key(after)
    difference.units_removed = [_title(key) for key in units_before if key not in units_after]
    difference.units_added = [_title(key) for key in units_after if key not in units_before]
    both = [key for key in units_before if key in units_after]
    difference.order_changed = both != [key for key in units_after if key in units_before]
    for key in both:
        _compare_units(_title(key), units_before[key], units_after[key], difference)
    return difference


def _by_key(survey: Survey) -> dict[UnitKey, Piece]:
    n_earlier: Counter[tuple[str, str]] = Counter()
    by_key = {}
    for piece in survey:
        kind = (
            ("stray bytes", "")
            if isinstance(piece, StrayBytes)
            else (piece.type_name, ", ".join(piece.names))
        )
        by_key[kind[0], kind[1], n_earlier[kind]] = piece
        n_earlier[kind] += 1
    return by_key


def _title(key: UnitKey) -> str:
    kind, names, number = key
    return f"{kind} {names}".strip() + (f" ({number + 1})" if number else "")


def _compare_units(title: str, before: Piece, after: Piece, difference: Difference) -> None:
    if isinstance(before, StrayBytes) or isinstance(after, StrayBytes):
        if before.faults != after.faults:
            difference.elements.append(ElementChange(title, "", None, None))
        return
    values_before, values_after = _elements(before), _elements(after)
    missing = object()
    changes = [
        ElementChange(title, path, values_before.get(path), values_after.get(path))
        for path in dict.fromkeys((*values_before, *values_after))
        if values_before.get(path, missing) != values_after.get(path, missing)
    ]
    causes = [c for c in changes if c.path.rpartition(".")[2] not in (*_CONSEQUENCES, *PAYLOADS)]
    payload_changed = any(change.path in PAYLOADS for change in changes)
    tensors = _compare_tensors(before, after) if payload_changed or causes else []
    difference.elements += causes
    difference.tensors += tensors
    if payload_changed and not tensors:
        difference.payloads.append(title)
    elif changes and not causes and not tensors:
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
    tensors_before, tensors_after = _tensors(before), _tensors(after)
    both = [name for name in tensors_before if name in tensors_after]
    changes = [_compare_tensor(tensors_before[name], tensors_after[name]) for name in both]
    return [change for change in changes if change is not None]


def _tensors(report: UnitReport) -> dict[str, TensorAccount]:
    return {} if report.payload is None else {tensor.name: tensor for tensor in report.payload.tensors}


def _compare_tensor(before: TensorAccount, after: TensorAccount) -> TensorChange | None:
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
    """Return the differences in JSON's types."""
    record = jsonable(asdict(difference))
    return {"format": "nnr-diff", "version": 1, "same": difference.same, **record}
