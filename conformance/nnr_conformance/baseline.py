# SPDX-License-Identifier: Apache-2.0
"""Known failures, two-sided: a failure that is not listed differs, and so does a pass that is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nnr_conformance.record import item
from nnr_conformance.result import Result
from nnr_conformance.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class KnownFailure:
    """What is known of one vector."""

    verdict: str = item("The verdict with its brackets: `FAIL(values)`.", pattern=r"^[A-Z_]+(\([^)]*\))?$")
    reason: str = item("Why; a link to the decoder's own report.", default="")


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The known failures of one decoder."""

    format: Literal["nnr-conformance-baseline/1"] = item(
        "The format of this file.", default="nnr-conformance-baseline/1"
    )
    decoder: str = item("Whose they are.")
    failures: dict[str, KnownFailure] = item("By vector id.")

    def apply(self, results: Sequence[Result], known_ids: Collection[str]) -> tuple[list[Result], list[str]]:
        """Rename the verdicts that the baseline speaks of, and list the departures from it.

        Parameters
        ----------
        known_ids : collection of str
            Ids of all vectors of the suites, run or not: an entry for none of them is stale.
        """
        applied: list[Result] = []
        departures: list[str] = []
        for result in results:
            known = self.failures.get(result.vector)
            fine = result.verdict == Verdict.PASS
            if known is None:
                if not fine and result.verdict != Verdict.SKIP:
                    departures.append(f"{result.vector}: {result.label} is not in the baseline")
            elif fine:
                departures.append(f"{result.vector}: passes, the baseline says {known.verdict}")
                result = replace(result, verdict=Verdict.XPASS.value, known=known.verdict)
            elif result.label == known.verdict:
                result = replace(result, verdict=Verdict.XFAIL.value, at=result.label, known=known.reason)
            else:
                departures.append(f"{result.vector}: {result.label}, the baseline says {known.verdict}")
                result = replace(result, known=known.verdict)
            applied.append(result)
        departures += [
            f"{name}: is in the baseline but in no suite"
            for name in sorted(set(self.failures) - {*known_ids})
        ]
        return applied, departures


def baseline_of(decoder: str, results: Sequence[Result], previous: Baseline | None = None) -> Baseline:
    """The baseline that these results, as run and without one applied, agree with; reasons are kept."""
    reasons = {name: known.reason for name, known in previous.failures.items()} if previous else {}
    failures = {
        result.vector: KnownFailure(verdict=result.label, reason=reasons.get(result.vector, ""))
        for result in results
        if result.verdict not in (Verdict.PASS, Verdict.SKIP)
    }
    if previous:
        run = {result.vector for result in results}
        failures |= {name: known for name, known in previous.failures.items() if name not in run}
    return Baseline(decoder=decoder, failures=dict(sorted(failures.items())))
