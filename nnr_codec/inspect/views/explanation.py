# SPDX-License-Identifier: Apache-2.0
"""Text of ``nnr explain``: one element, the list of all elements, and an element's values in a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnr_codec.inspect.explain import CODED_ELEMENTS, explanation_record, known_elements
from nnr_codec.inspect.read import Survey, UnitReport
from nnr_codec.inspect.views.paint import Paint, value_text
from nnr_codec.model import Limits

_MOST_VALUES = 8
_DESCRIPTOR_COLUMNS = 18


def explanation_lines(element: str, paint: Paint) -> Iterator[str]:
    """Yield the explanation of one element as text."""
    record = explanation_record(element)
    yield paint("title", element)
    if record["meaning"]:
        yield f"  {record['meaning']}"
    for place in record["places"]:
        yield ""
        yield from _place_lines(place, paint)


def _place_lines(place: dict[str, Any], paint: Paint) -> Iterator[str]:
    facts = [
        ("table", place["table"]),
        ("descriptor", place["descriptor"]),
        ("present if", "\n".join(place["conditions"]) or "always"),
        ("repeated", place.get("count")),
        ("values", place.get("values")),
        ("if absent", place.get("inferred")),
        ("limit", place.get("limit")),
        ("clause", place["clause"]),
    ]
    for name, value in facts:
        if value is None or value == "":
            continue
        for number, line in enumerate(str(value).split("\n")):
            label = name if number == 0 else "and"
            yield "  " + paint("dim", f"{label:>10}") + f"  {line}"


def element_list_lines(paint: Paint) -> Iterator[str]:
    """Yield one line for each element: name, descriptor, meaning."""
    width = max(map(len, known_elements()))
    for element in known_elements():
        record = explanation_record(element)
        descriptor = record["places"][0]["descriptor"].ljust(_DESCRIPTOR_COLUMNS)
        meaning = paint.clip(record["meaning"] or "", width + _DESCRIPTOR_COLUMNS + 4)
        yield f"{paint('name', element.ljust(width))}  {paint('dim', descriptor)}  {meaning}"


def values_of_element(buffer: Any, element: str, limits: Limits | None = None) -> list[str]:
    """Return the distinct values of an element in a stream, in order of appearance, as text.

    For an element inside codewords, return its number of bins instead.
    """
    coded = element in CODED_ELEMENTS
    distinct: dict[str, None] = {}
    n_bins = 0
    for piece in Survey(buffer, payloads=coded, limits=limits):
        if not isinstance(piece, UnitReport):
            continue
        for event in piece.events:
            if event.element == element:
                distinct[value_text(event.value, event.symbol, longest=4)] = None
        if coded and piece.payload is not None:
            for tensor in piece.payload.tensors:
                n_bins += tensor.elements[element].n_bins if element in tensor.elements else 0
    if coded and n_bins:
        return [f"{n_bins:,} bins"]
    values = list(distinct)
    if len(values) <= _MOST_VALUES:
        return values
    return [*values[:_MOST_VALUES], f"{len(values) - _MOST_VALUES} more"]
