# SPDX-License-Identifier: Apache-2.0
"""Reports: functions from logs to text."""

from collections.abc import Callable, Sequence

from nnr_conformance.reports.certificate import render_certificate, render_certificate_html
from nnr_conformance.reports.html import render_html
from nnr_conformance.reports.json import render_json
from nnr_conformance.reports.junit import render_junit
from nnr_conformance.reports.markdown import render_markdown
from nnr_conformance.reports.statement import render_statement
from nnr_conformance.reports.terminal import render_terminal
from nnr_conformance.result import Log


def render_log(logs: Sequence[Log]) -> str:
    """Render the logs as JSON lines."""
    return "".join(f"{line}\n" for log in logs for line in log.lines())


REPORTS: dict[str, Callable[[Sequence[Log]], str]] = {
    "terminal": render_terminal,
    "markdown": render_markdown,
    "junit": render_junit,
    "json": render_json,
    "html": render_html,
    "statement": render_statement,
    "certificate": render_certificate,
    "certificate-html": render_certificate_html,
    "log": render_log,
}

__all__ = ["REPORTS"]
