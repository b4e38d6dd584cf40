# SPDX-License-Identifier: Apache-2.0
"""Speed of a decoder on the vectors that measure it."""

from __future__ import annotations

from collections.abc import Sequence

from nnr_conformance.certificate import CertifiedResult
from nnr_conformance.result import Result
from nnr_conformance.verdict import Verdict


def speed_lines(results: Sequence[Result] | Sequence[CertifiedResult]) -> list[str]:
    """One line per passed vector that measures speed: elements, time with the start of the decoder, and rate."""
    return [
        f"{result.vector}, {result.n_elements:,} elements in {result.seconds:.2f} s, "
        f"{result.n_elements / result.seconds / 1e6:.1f} million a second"
        for result in results
        if result.n_elements and result.seconds and result.verdict == Verdict.PASS
    ]
