# SPDX-License-Identifier: Apache-2.0
"""Speed of a decoder on the vectors that measure it."""

from __future__ import annotations

from nnr_conformance.result import Log
from nnr_conformance.verdict import Verdict


def speed_lines(log: Log) -> list[str]:
    """One line per passed vector that measures speed: elements, time with the start of the decoder, and rate."""
    return [
        f"Speed: {result.vector}, {result.n_elements:,} elements in {result.seconds:.2f} s, "
        f"{result.n_elements / result.seconds / 1e6:.1f} million a second"
        for result in log.results
        if result.n_elements and result.seconds and result.verdict == Verdict.PASS
    ]
