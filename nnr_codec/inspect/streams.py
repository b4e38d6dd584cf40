# SPDX-License-Identifier: Apache-2.0
"""Questions asked of whole streams."""

from __future__ import annotations

from typing import Any

from nnr_codec.inspect.examine import UnitReport
from nnr_codec.inspect.meanings import CODED
from nnr_codec.inspect.paint import value_text
from nnr_codec.inspect.survey import Survey
from nnr_codec.model import Limits

_MOST_VALUES = 8


def values_of_element(buffer: Any, element: str, limits: Limits | None = None) -> list[str]:
    """Return the different values that an element has in a stream, in order of appearance.

    Of an element inside codewords, how many bins it takes.
    """
    coded = element in CODED
    found: dict[str, None] = {}
    n_bins = 0
    for piece in Survey(buffer, payloads=coded, limits=limits):
        if not isinstance(piece, UnitReport):
            continue
        for event in piece.events:
            if event.element == element:
                found[value_text(event.value, event.symbol, longest=4)] = None
        if coded and piece.payload is not None:
            for tensor in piece.payload.tensors:
                n_bins += tensor.elements[element].n_bins if element in tensor.elements else 0
    if coded and n_bins:
        return [f"{n_bins:,} bins"]
    values = list(found)
    return (
        values
        if len(values) <= _MOST_VALUES
        else [*values[:_MOST_VALUES], f"{len(values) - _MOST_VALUES} more"]
    )
