# SPDX-License-Identifier: Apache-2.0
"""Explanations of syntax elements as JSON-ready records."""

from __future__ import annotations

import difflib
from dataclasses import asdict
from typing import Any

from nnr_codec.inspect.explain.declarations import Declaration, declarations
from nnr_codec.inspect.explain.meanings import CODED_ELEMENTS, MEANINGS

_MOST_SUGGESTIONS = 8


def known_elements() -> list[str]:
    """Return every element that can be explained, in the order of the syntax tables."""
    return [*declarations(), *CODED_ELEMENTS]


def similar_elements(name: str) -> list[str]:
    """Return elements with a similar name: those that contain it, else close matches."""
    containing = [element for element in known_elements() if name and name in element]
    return containing[:_MOST_SUGGESTIONS] or difflib.get_close_matches(name, known_elements(), 5, 0.5)


def explanation_record(element: str) -> dict[str, Any]:
    """Return an element's meaning and every place where the syntax has it.

    Raises
    ------
    KeyError
        No element has that name.
    """
    head = {"format": "nnr-explain", "version": 1, "element": element}
    if element in CODED_ELEMENTS:
        coded = CODED_ELEMENTS[element]
        place = {
            "descriptor": coded.descriptor,
            "table": "tensor data",
            "clause": coded.clause,
            "conditions": [coded.condition],
        }
        return {**head, "meaning": coded.meaning, "places": [place]}
    places = declarations()[element]
    return {**head, "meaning": MEANINGS.get(element), "places": [_place_record(place) for place in places]}


def _place_record(place: Declaration) -> dict[str, Any]:
    record = asdict(place)
    del record["element"]
    record["conditions"] = list(place.conditions)
    record["symbols"] = {str(number): name for number, name in place.symbols.items()}
    return record
