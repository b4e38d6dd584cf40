# SPDX-License-Identifier: Apache-2.0
"""Terminal report: failures, then counts."""

from __future__ import annotations

from collections.abc import Sequence

from nnr_conformance.reports.speed import speed_lines
from nnr_conformance.result import Log
from nnr_conformance.tally import by_feature, count_line, reproduce, tally
from nnr_conformance.verdict import NOT_JUDGED, Verdict

_MAX_SHOWN = 50


def render_terminal(logs: Sequence[Log]) -> str:
    """Render plain text, one block per run."""
    return "\n".join(_render(log) for log in logs)


def _render(log: Log) -> str:
    lines: list[str] = []
    fine = (Verdict.PASS, Verdict.XFAIL, *NOT_JUDGED)
    failures = [result for result in log.results if result.verdict not in fine]
    for result in failures[:_MAX_SHOWN]:
        weight = "" if result.requirement == "shall" else " (should)"
        lines.append(f"{result.label:22}{result.vector}{weight}")
        if result.detail:
            lines.append(f"{'':22}{clean(result.detail)}")
    if len(failures) > _MAX_SHOWN:
        lines.append(f"... and {len(failures) - _MAX_SHOWN} more")
    if failures:
        lines += ["", f"First failure in detail: {reproduce(log, failures[0])}", ""]
    weak = {name: count for name, count in by_feature(log.results).items() if count.failed}
    if weak:
        width = max(map(len, weak))
        lines.append("Features with failures (passed/run):")
        lines += [f"  {name:{width}}  {count.share}" for name, count in weak.items()]
        lines.append("")
    name = f"{log.run.claims.name} {log.run.claims.version}".strip()
    suites = ", ".join(f"{suite.name} {suite.version}" for suite in log.run.suites)
    lines.append(f"{name} on {suites}: {count_line(log)}")
    lines += [f"Speed: {line}" for line in speed_lines(log.results)]
    if log.end is not None and log.end.baseline:
        lines += ["Departures from the baseline:", *(f"  {clean(sentence)}" for sentence in log.end.baseline)]
    if log.end is None:
        lines.append("The run is incomplete.")
    lines.append(conclusion(log))
    return "\n".join(lines) + "\n"


def conclusion(log: Log) -> str:
    """One-sentence conclusion of a run."""
    within = [result for result in log.results if not result.beyond]
    shall = tally(result for result in within if result.requirement == "shall")
    scope = f" of level {log.run.level}" if log.run.level else ""
    scope += f" of the selection ({log.run.selection})" if log.run.selection else ""
    if log.conforms:
        return f"Conforming: all {shall.passed} requirements{scope} are met."
    missed = len(log.against)
    if log.end is not None and not missed:
        return f"Not conforming: no requirement{scope} was met."
    required = shall.passed + shall.failed + (shall.skipped if log.run.level else 0)
    # Wrong answers beyond the level, and crashes on recommendations, count too.
    further = sum(result not in within or result.requirement != "shall" for result in log.against)
    return f"Not conforming: {missed} of {required + further} requirements{scope} are not met."


def clean(text: str) -> str:
    """Escape control characters, which may come from a decoder or a tensor name."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
