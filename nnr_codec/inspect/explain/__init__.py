# SPDX-License-Identifier: Apache-2.0
"""Reference of the syntax elements: declarations from the grammar, and one sentence of meaning for each."""

from nnr_codec.inspect.explain.declarations import Declaration, declarations
from nnr_codec.inspect.explain.explanation import explanation_record, known_elements, similar_elements
from nnr_codec.inspect.explain.meanings import CODED_ELEMENTS, MEANINGS, CodedElement

__all__ = [
    "CODED_ELEMENTS",
    "MEANINGS",
    "CodedElement",
    "Declaration",
    "declarations",
    "explanation_record",
    "known_elements",
    "similar_elements",
]
