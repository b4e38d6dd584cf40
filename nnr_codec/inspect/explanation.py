# SPDX-License-Identifier: Apache-2.0
"""What ``nnr explain`` says of a syntax element."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from nnr_codec.inspect.declarations import Declaration, declarations
from nnr_codec.inspect.meanings import CODED, MEANINGS
from nnr_codec.inspect.paint import Paint


def known_elements() -> list[str]:
    """Return every element that can be explained, in the order of the syntax tables."""
    return [*declarations(), *CODED]


def similar_elements(name: str) -> list[str]:
    """Return elements with a name like this one."""
    inside = [element for element in known_elements() if name and name in element]
    return inside[:8] or difflib.get_close_matches(name, known_elements(), 5, 0.5)


def explanation_record(element: str) -> dict[str, Any]:
    """Return all that is known of an element.

    Raises
    ------
    KeyError
        No element has that name.
    """
    head = {"format": "nnr-explain", "version": 1, "element": element}
    if element in CODED:
        descriptor, condition, clause, meaning = CODED[element]
        place = {
            "descriptor": descriptor,
            "table": "tensor data",
            "clause": clause,
            "conditions": [condition],
        }
        return {**head, "meaning": meaning, "places": [place]}
    places = declarations()[element]
    return {**head, "meaning": MEANINGS.get(element), "places": [_place_record(place) for place in places]}


def _place_record(place: Declaration) -> dict[str, Any]:
    record = asdict(place)
    del record["element"]
    record["conditions"] = list(place.conditions)
    record["symbols"] = {str(number): name for number, name in place.symbols.items()}
    return record


def explanation_lines(element: str, paint: Paint) -> Iterator[str]:
    """Yield the same for people."""
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
    """Yield a line for each element."""
    width = max(map(len, known_elements()))
    for element in known_elements():
        record = explanation_record(element)
        descriptor = record["places"][0]["descriptor"]
        meaning = paint.clip(record["meaning"] or "", width + 22)
        yield f"{paint('name', element.ljust(width))}  {paint('dim', descriptor.ljust(18))}  {meaning}"
