# SPDX-License-Identifier: Apache-2.0
"""Comparison of recomposed weights, an optional layer (clauses 4.5 and 4.6)."""

from __future__ import annotations

from nnr_conformance.answer import tensor_digest
from nnr_conformance.divergence import Divergence
from nnr_conformance.layers import Comparison, Shown, compare_tensor


def compare_recompositions(comparison: Comparison) -> tuple[Shown, Divergence | None]:
    """Compare the recomposed weights, if the answers hold any; further ones are ignored."""
    if not any(answer.recompositions for answer in comparison.answers):
        return False, None
    for entry in comparison.vector.expect.recompositions or ():
        array = comparison.answers[entry.stream].recompositions.get(entry.tensor)
        actual = None if array is None else tensor_digest(array)
        divergence = compare_tensor(comparison, "recomposition", entry, actual, array)
        if divergence is not None:
            return True, divergence
    return True, None
