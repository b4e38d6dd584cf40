# SPDX-License-Identifier: Apache-2.0
"""Conformance statement: claims of the decoder, suites, results, and unchecked parts."""

from __future__ import annotations

from collections.abc import Sequence

from nnr_conformance.reports.terminal import clean, conclusion
from nnr_conformance.result import Log
from nnr_conformance.tally import by_feature, tally
from nnr_conformance.verdict import Verdict


def render_statement(logs: Sequence[Log]) -> str:
    """Render one statement per run, in Markdown."""
    return "\n".join(_render(log) for log in logs)


def _beyond(log: Log) -> str:
    """Count the vectors beyond the level."""
    if not log.run.level:
        return ""
    beyond = tally(result for result in log.results if result.beyond)
    return f"; beyond it, {beyond.passed} vectors passed, {beyond.skipped} were refused and {beyond.failed} failed"


def _render(log: Log) -> str:
    claims = log.run.claims
    lines = [
        "# Conformance statement",
        "",
        f"Decoder: {clean(claims.name)} {clean(claims.version)}".rstrip(),
        f"Claimed: profile {' and '.join(map(str, claims.profiles)) or 'none'} of ISO/IEC 15938-17"
        + (f", without {', '.join(claims.without)}" if claims.without else ""),
        f"Checked: {log.run.started}, nnr_conformance {log.run.checker}, {log.run.platform}",
        f"Selected: {log.run.selection or 'everything'}",
        f"Level: {log.run.level or 'none'}{_beyond(log)}",
        "",
        f"**{conclusion(log)}**",
        "",
        "| suite | version | SHA-256 of its manifest | vectors | run |",
        "|---|---|---|---|---|",
    ]
    for suite in log.run.suites:
        n_run = sum(r.suite == suite.name and r.verdict != Verdict.SKIP for r in log.results)
        lines.append(f"| {suite.name} | {suite.version} | {suite.sha256} | {suite.n_vectors} | {n_run} |")
    lines += ["", "| feature | shall | should | not claimed |", "|---|---|---|---|"]
    for feature in by_feature(log.results):
        having = [result for result in log.results if feature in result.features]
        shall = tally(result for result in having if result.requirement == "shall")
        should = tally(result for result in having if result.requirement == "should")
        lines.append(f"| {feature} | {shall.share} | {should.share} | {shall.skipped + should.skipped} |")
    layers = sorted(
        {layer for result in log.results for layer, score in (result.layers or {}).items() if score == "pass"}
    )
    unseen = sorted({layer for result in log.results for layer in result.layers or {}} - {*layers})
    lines += ["", f"Layers shown: {', '.join(layers) or 'none'}; never shown: {', '.join(unseen) or 'none'}."]
    known = [result for result in log.results if result.verdict == Verdict.XFAIL]
    if known:
        lines += ["", "Known failures, which do not conform:", ""]
        lines += [f"- `{result.vector}`: {result.at}. {clean(result.known)}".rstrip() for result in known]
    return "\n".join(lines) + "\n"
