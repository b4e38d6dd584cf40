# SPDX-License-Identifier: Apache-2.0
"""HTML report: one self-contained page with the matrix of features and decoders, and all vectors."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from nnr_conformance.features import FEATURES
from nnr_conformance.reports.terminal import clean, conclusion
from nnr_conformance.result import Log, Result
from nnr_conformance.tally import Tally, by_feature, count_line, reproduce
from nnr_conformance.verdict import NOT_JUDGED

_STYLE = """
:root { color-scheme: light dark; --pass: #2a7; --part: #c80; --fail: #d33; --none: #999; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .3rem .6rem; text-align: left; vertical-align: top; }
tr { border-bottom: 1px solid #8884; } thead th { position: sticky; top: 0; background: Canvas; }
td.pass, b.pass { color: var(--pass); } td.part { color: var(--part); }
td.fail, b.fail { color: var(--fail); }
td.none, b.none { color: var(--none); } code { font-size: .85em; } small { opacity: .7; display: block; font-weight: normal; }
td[data-find] { cursor: pointer; text-decoration: underline dotted; text-underline-offset: .25em; }
input { font: inherit; padding: .3rem .6rem; width: 20rem; } .hidden { display: none; }
"""
_SCRIPT = """
const field = document.querySelector('input');
field.addEventListener('input', () => {
  const words = field.value.toLowerCase().split(/\\s+/);
  for (const row of document.querySelectorAll('tr[data-words]'))
    row.classList.toggle('hidden', !words.every(word => row.dataset.words.includes(word)));
});
for (const cell of document.querySelectorAll('td[data-find]'))
  cell.addEventListener('click', () => {
    field.value = cell.dataset.find; field.dispatchEvent(new Event('input'));
    field.scrollIntoView({behavior: 'smooth'});
  });
"""


def render_html(logs: Sequence[Log]) -> str:
    """Render the page, which loads no external resource."""
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>NNC conformance</title>',
        '<meta name="viewport" content="width=device-width">',
        f"<style>{_STYLE}</style>",
        "<h1>NNC conformance</h1>",
        *map(_summary, logs),
        _matrix(logs),
        "<h2>Vectors</h2>",
        '<p><input type="search" placeholder="id, feature, verdict, decoder" aria-label="Filter">',
        "<table><thead><tr><th>Vector<th>Decoder<th>Verdict<th>Where</thead><tbody>",
        *(_row(log, result) for log, result in _failures_first(logs)),
        f"</tbody></table><script>{_SCRIPT}</script></html>",
    ]
    return "\n".join(parts) + "\n"


def _failures_first(logs: Sequence[Log]) -> list[tuple[Log, Result]]:
    rows = [(log, result) for log in logs for result in log.results]
    return sorted(rows, key=lambda row: _state(row[1]) != "fail")


def _state(result: Result) -> str:
    if result.verdict in NOT_JUDGED:
        return "none"
    return "pass" if result.verdict in ("PASS", "XPASS") else "fail"


def _summary(log: Log) -> str:
    suites = ", ".join(f"{suite.name} {suite.version}" for suite in log.run.suites)
    text = _text(f"{count_line(log)}; {suites}; {log.run.started}")
    return f"<p><strong>{_name(log)}</strong>: {_text(conclusion(log))}<small>{text}</small>"


def _matrix(logs: Sequence[Log]) -> str:
    counts = [by_feature(log.results) for log in logs]
    present = {feature for count in counts for feature in count}
    features = [feature for feature in FEATURES if feature in present]
    heads = "".join(f"<th>{_name(log)}" for log in logs)
    rows = [f"<h2>Features</h2><table><thead><tr><th>Feature{heads}</thead><tbody>"]
    for feature in features:
        cells = "".join(
            _cell(feature, count.get(feature), log) for count, log in zip(counts, logs, strict=True)
        )
        rows.append(f"<tr><th>{_text(feature)}<small>{_text(FEATURES[feature])}</small>{cells}")
    return "\n".join([*rows, "</tbody></table>"])


def _cell(feature: str, count: Tally | None, log: Log) -> str:
    if count is None:
        return '<td class="none">\N{EN DASH}'
    words = escape(f"{feature} {log.run.claims.name.lower()}")
    return f'<td class="{count.state}" data-find="{words}">{count.share}'


def _row(log: Log, result: Result) -> str:
    state = _state(result)
    words = " ".join((result.vector, log.run.claims.name, result.label, *result.features, *result.clauses))
    text = _text(result.detail)
    if state == "fail":
        text += f"<small><code>{_text(reproduce(log, result))}</code></small>"
    return (
        f'<tr data-words="{escape(words.lower())}"><td><code>{_text(result.vector)}</code>'
        f"<small>{_text(result.purpose)}</small>"
        f'<td>{_name(log)}<td><b class="{state}">{_text(result.label)}</b><td>{text}'
    )


def _name(log: Log) -> str:
    return _text(f"{log.run.claims.name} {log.run.claims.version}".strip())


def _text(text: str) -> str:
    return escape(clean(text))
