# SPDX-License-Identifier: Apache-2.0
"""Counts of results, by verdict and by feature."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nnr_conformance.features import FEATURES
from nnr_conformance.result import Log, Result
from nnr_conformance.verdict import NOT_JUDGED, Verdict

_FINE = (Verdict.PASS, Verdict.XPASS)


@dataclass
class Tally:
    """Counts of passed, failed and skipped vectors."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Count one result."""
        if result.verdict in NOT_JUDGED:
            self.skipped += 1
        elif result.verdict in _FINE:
            self.passed += 1
        else:
            self.failed += 1
            self.failures.append(result)

    @property
    def share(self) -> str:
        """Passed and run vectors as ``3/4``; a dash if none was run."""
        run = self.passed + self.failed
        return f"{self.passed}/{run}" if run else "\N{EN DASH}"

    @property
    def state(self) -> str:
        """State of the counts: ``pass``, ``fail``, ``part`` or ``none``."""
        if not self.passed + self.failed:
            return "none"
        return "part" if self.passed and self.failed else "fail" if self.failed else "pass"


def tally(results: Iterable[Result]) -> Tally:
    """Count results."""
    counted = Tally()
    for result in results:
        counted.add(result)
    return counted


def by_feature(results: Sequence[Result]) -> dict[str, Tally]:
    """Count results by feature, in registered order; a vector counts for each of its features."""
    counted = {name: Tally() for name in FEATURES}
    for result in results:
        for feature in result.features:
            counted.setdefault(feature, Tally()).add(result)
    return {name: count for name, count in counted.items() if count.passed + count.failed + count.skipped}


def count_line(log: Log) -> str:
    """Format counts by verdict: ``12 PASS, 1 FAIL``."""
    counts = Counter(result.verdict for result in log.results)
    return ", ".join(f"{counts[v.value]} {v}" for v in Verdict if counts[v.value]) or "nothing run"


def reproduce(log: Log, result: Result) -> str:
    """Command that explains the first divergence of a result."""
    folder = f" --suites {shlex.quote(log.run.folder)}" if log.run.folder else ""
    return (
        f"python -m nnr_conformance explain {result.vector}{folder} --decoder {shlex.quote(log.run.decoder)}"
    )
