# SPDX-License-Identifier: Apache-2.0
"""Markdown report: counts, features and failures."""

from __future__ import annotations

from collections.abc import Sequence

from nnr_conformance.reports.terminal import clean, conclusion
from nnr_conformance.result import Log
from nnr_conformance.tally import by_feature, count_line, reproduce, tally


def render_markdown(logs: Sequence[Log]) -> str:
    """Render the matrix of features, then one section per run."""
    lines = ["# Conformance report", "", *_matrix(logs)]
    for log in logs:
        lines += ["", f"## {_name(log)}", "", conclusion(log), "", f"{count_line(log)}.", ""]
        failures = tally(log.results).failures
        if failures:
            lines += ["| vector | verdict | first divergence |", "|---|---|---|"]
            lines += [f"| `{r.vector}` | {r.label} | {_cell(r.detail)} |" for r in failures]
            lines += ["", f"First failure in detail: `{reproduce(log, failures[0])}`"]
    return "\n".join(lines) + "\n"


def _matrix(logs: Sequence[Log]) -> list[str]:
    counts = [by_feature(log.results) for log in logs]
    features = list(dict.fromkeys(feature for count in counts for feature in count))
    lines = [f"| feature | {' | '.join(map(_name, logs))} |", f"|---{'|---' * len(logs)}|"]
    for feature in features:
        cells = [count[feature].share if feature in count else "" for count in counts]
        lines.append(f"| {feature} | {' | '.join(cells)} |")
    return lines


def _name(log: Log) -> str:
    return _cell(f"{log.run.claims.name} {log.run.claims.version}".strip())


def _cell(text: str) -> str:
    return clean(text).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
