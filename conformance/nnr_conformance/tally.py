# SPDX-License-Identifier: Apache-2.0
"""Counting results: by verdict, and by feature for the matrix."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nnr_conformance.features import FEATURES
from nnr_conformance.result import Log, Result
from nnr_conformance.verdict import Verdict

_FINE = (Verdict.PASS, Verdict.XPASS)


@dataclass
class Tally:
    """How many vectors pass, fail or were not run."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Count one result."""
        if result.verdict == Verdict.SKIP:
            self.skipped += 1
        elif result.verdict in _FINE:
            self.passed += 1
        else:
            self.failed += 1
            self.failures.append(result)

    @property
    def share(self) -> str:
        """``3/4``; a dash when nothing was run."""
        run = self.passed + self.failed
        return f"{self.passed}/{run}" if run else "–"  # noqa: RUF001 - a dash, not a minus

    @property
    def state(self) -> str:
        """``pass``, ``fail``, ``part`` or ``none``."""
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
    """Count by feature, in the order of the register; a vector counts in each of its features."""
    counted = {name: Tally() for name in FEATURES}
    for result in results:
        for feature in result.features:
            counted.setdefault(feature, Tally()).add(result)
    return {name: count for name, count in counted.items() if count.passed + count.failed + count.skipped}


def count_line(log: Log) -> str:
    """``12 PASS, 1 FAIL``, in the order of the verdicts."""
    counts = Counter(result.verdict for result in log.results)
    return ", ".join(f"{counts[v.value]} {v}" for v in Verdict if counts[v.value]) or "nothing run"


def reproduce(log: Log, result: Result) -> str:
    """The command that shows a result's first divergence again."""
    folder = f" --suites {shlex.quote(log.run.folder)}" if log.run.folder else ""
    return (
        f"python -m nnr_conformance explain {result.vector}{folder} --decoder {shlex.quote(log.run.decoder)}"
    )
