# SPDX-License-Identifier: Apache-2.0
"""Baselines of known failures. They are two-sided: an unlisted failure and a listed pass both differ."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nnr_conformance.json_schema import json_field
from nnr_conformance.result import Result
from nnr_conformance.verdict import NOT_JUDGED, Verdict


@dataclass(frozen=True, kw_only=True)
class KnownFailure:
    """Known failure of one vector."""

    verdict: str = json_field(
        "Verdict with its detail in brackets: `FAIL(values)`.", pattern=r"^[A-Z_]+(\([^)]*\))?$"
    )
    reason: str = json_field("Reason, such as a link to a bug report.", default="")


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Known failures of one decoder."""

    format: Literal["nnr-conformance-baseline/1"] = json_field(
        "Name and version of the file format.", default="nnr-conformance-baseline/1"
    )
    decoder: str = json_field("Name of the decoder.")
    failures: dict[str, KnownFailure] = json_field("Failures by vector id.")

    def apply(self, results: Sequence[Result], known_ids: Collection[str]) -> tuple[list[Result], list[str]]:
        """Mark the verdicts that the baseline covers as XFAIL or XPASS, and list the departures from it.

        Parameters
        ----------
        known_ids : collection of str
            Ids of all vectors of the suites, run or not; an entry with another id is stale.
        """
        applied: list[Result] = []
        departures: list[str] = []
        for result in results:
            known = self.failures.get(result.vector)
            fine = result.verdict == Verdict.PASS
            if known is None:
                if not fine and result.verdict not in NOT_JUDGED:
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
    """Create the baseline that matches the results of a run without baseline; reasons of ``previous`` are kept."""
    reasons = {name: known.reason for name, known in previous.failures.items()} if previous else {}
    failures = {
        result.vector: KnownFailure(verdict=result.label, reason=reasons.get(result.vector, ""))
        for result in results
        if result.verdict not in (Verdict.PASS, *NOT_JUDGED)
    }
    if previous:
        run = {result.vector for result in results}
        failures |= {name: known for name, known in previous.failures.items() if name not in run}
    return Baseline(decoder=decoder, failures=dict(sorted(failures.items())))
