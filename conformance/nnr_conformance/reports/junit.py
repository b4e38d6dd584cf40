# SPDX-License-Identifier: Apache-2.0
"""JUnit XML report, for continuous integration."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from nnr_conformance.reports.terminal import clean
from nnr_conformance.result import Log, Result
from nnr_conformance.tally import reproduce, tally
from nnr_conformance.verdict import NOT_JUDGED, Verdict

_ERRORS = (Verdict.CRASH, Verdict.TIMEOUT, Verdict.OOM)


def render_junit(logs: Sequence[Log]) -> str:
    """Render one JUnit suite per run and suite; crashes, timeouts and OOM are errors, other faults failures."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for log in logs:
        for suite in log.run.suites:
            lines += _suite(log, suite.name, [result for result in log.results if result.suite == suite.name])
    return "\n".join([*lines, "</testsuites>"]) + "\n"


def _suite(log: Log, name: str, results: Sequence[Result]) -> list[str]:
    counted = tally(results)
    n_errors = sum(result.verdict in _ERRORS for result in results)
    skipped = counted.skipped + sum(result.verdict == Verdict.XFAIL for result in results)
    n_failures = len(results) - counted.passed - skipped - n_errors
    n_failures += sum(result.verdict == Verdict.XPASS for result in results)
    seconds = sum(result.seconds for result in results)
    title = quoteattr(f"{log.run.claims.name}.{name}")
    lines = [
        f'  <testsuite name={title} tests="{len(results)}" failures="{n_failures}" errors="{n_errors}" '
        f'skipped="{skipped}" time="{seconds:.3f}" timestamp={quoteattr(log.run.started[:19])}>'
    ]
    for result in results:
        head = f'    <testcase classname={title} name={quoteattr(result.vector)} time="{result.seconds:.3f}"'
        body = _outcome(log, result)
        lines += [f"{head}>", f"      {body}", "    </testcase>"] if body else [f"{head}/>"]
    return [*lines, "  </testsuite>"]


def _outcome(log: Log, result: Result) -> str:
    message = quoteattr(clean(f"{result.label} {result.detail}".strip()))
    if result.verdict == Verdict.PASS:
        return ""
    if result.verdict in (Verdict.XFAIL, *NOT_JUDGED):
        return f"<skipped message={message}/>"
    tag = "error" if result.verdict in _ERRORS else "failure"
    text = escape(clean(f"{result.purpose} {reproduce(log, result)}"))
    return f"<{tag} type={quoteattr(result.verdict)} message={message}>{text}</{tag}>"
