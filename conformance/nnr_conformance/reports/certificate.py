# SPDX-License-Identifier: Apache-2.0
"""Certificate as JSON, and as a self-contained page that carries the same JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape

from nnr_conformance.certificate import Certificate, certificate_of
from nnr_conformance.errors import SchemaError
from nnr_conformance.json_schema import from_json, to_json
from nnr_conformance.reports.speed import speed_lines
from nnr_conformance.reports.terminal import clean
from nnr_conformance.result import Log

_STYLE = """
:root { color-scheme: light dark; --pass: #2a7; --fail: #d33; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { padding: .2rem .6rem; text-align: left; vertical-align: top; } tr { border-bottom: 1px solid #8884; }
td { overflow-wrap: anywhere; } code { font-size: .85em; } b.pass { color: var(--pass); } b.fail { color: var(--fail); }
"""
_BEGIN, _END = '<script type="application/json" id="certificate">', "</script>"


def render_certificate(logs: Sequence[Log]) -> str:
    """Render the certificate of one run as JSON."""
    return json.dumps(to_json(certificate_of(logs)), indent=1, ensure_ascii=False) + "\n"


def render_certificate_html(logs: Sequence[Log]) -> str:
    """Render the certificate of one run as a page."""
    return page_of(certificate_of(logs))


def parse_certificate(text: str, path: str) -> Certificate:
    """Parse a certificate, from JSON or from a page.

    Raises
    ------
    SchemaError
        If it is none, or a page shows anything but its JSON.
    """
    is_page = text.startswith("<!doctype html>")
    if is_page:
        _, _, rest = text.partition(_BEGIN)
        content, _, _ = rest.partition(_END)
    else:
        content = text
    try:
        certificate = from_json(Certificate, json.loads(content), path)
    except (ValueError, RecursionError) as error:
        raise SchemaError(path, f"no certificate: {error}") from error
    if is_page and page_of(certificate) != text:
        raise SchemaError(path, "the page differs from the certificate that it carries")
    return certificate


def page_of(certificate: Certificate) -> str:
    """Render the page, which loads no external resource."""
    content = json.dumps(to_json(certificate), ensure_ascii=False).replace("<", "\\u003c")
    return "\n".join([*_lines(certificate), f"{_BEGIN}{content}{_END}</html>"]) + "\n"


def verdict_line(certificate: Certificate) -> str:
    """One-sentence conclusion of a certificate."""
    scope = f"level {certificate.level}" if certificate.level else "everything that it claims"
    if certificate.conforms:
        return f"Conforms to {scope}."
    if certificate.selection:
        return f"No statement: a partial run ({certificate.selection})."
    return f"Does not conform to {scope}."


def _lines(certificate: Certificate) -> Iterator[str]:
    claims, identity, timing = certificate.claims, certificate.identity, certificate.timing
    name = _text(f"{claims.name} {claims.version}".strip())
    yield '<!doctype html><html lang="en"><meta charset="utf-8">'
    yield f'<title>NNC conformance of {name}</title><meta name="viewport" content="width=device-width">'
    yield f"<style>{_STYLE}</style><h1>NNC conformance certificate</h1>"
    state = "pass" if certificate.conforms else "fail"
    yield f'<p><strong>{name}</strong>: <b class="{state}">{_text(verdict_line(certificate))}</b>'
    without = f", without {', '.join(claims.without)}" if claims.without else ""
    rows = [
        (
            "Claims",
            f"profile {' and '.join(map(str, claims.profiles)) or 'none'} of ISO/IEC 15938-17{without}",
        ),
        ("Level", certificate.level or "none"),
        ("Command", " ".join(identity.command)),
        *((f"SHA-256 of {file.name}", file.sha256) for file in identity.files),
        ("Run", f"{certificate.started}, nnr_conformance {certificate.checker}, {certificate.platform}"),
        ("Verdicts", ", ".join(f"{count} {verdict}" for verdict, count in certificate.counts.items())),
        (
            "Time",
            f"{timing.seconds:.1f} s, {timing.cpu_seconds:.1f} s of CPU; slowest: {timing.slowest or 'none'}; "
            f"memory: {timing.peak_memory_bytes >> 20} MiB",
        ),
        *(("Speed", line) for line in speed_lines(certificate.results)),
        ("SHA-256 of the results", certificate.results_sha256),
        ("SHA-256 of the certificate", certificate.sha256),
    ]
    yield "<table>" + "".join(f"<tr><th>{_text(key)}<td>{_text(value)}" for key, value in rows) + "</table>"
    yield "<h2>Suites</h2><table><tr><th>suite<th>version<th>vectors<th>SHA-256 of the manifest"
    for suite in certificate.suites:
        yield f"<tr><td>{_text(suite.name)}<td>{_text(suite.version)}<td>{suite.n_vectors}"
        yield f"<td><code>{_text(suite.sha256)}</code>"
    yield "</table><h2>Layers</h2><table><tr><th>layer<th>agrees<th>differs<th>not shown"
    for layer, count in certificate.layers.items():
        yield f"<tr><td>{_text(layer)}<td>{count.passed}<td>{count.failed}<td>{count.not_shown}"
    yield "</table><details><summary>Results</summary><table><tr><th>vector<th>verdict<th>layers shown<th>s"
    for result in certificate.results:
        shown = ", ".join(layer for layer, score in (result.layers or {}).items() if score != "not shown")
        beyond = " (beyond the level)" if result.beyond else ""
        yield (
            f"<tr><td><code>{_text(result.vector)}</code><td>{_text(result.label)}{beyond}<td>{_text(shown)}"
            f"<td>{result.seconds:.3f}"
        )
    yield "</table></details><p>To verify it: <code>nnr conformance verify FILE</code>"


def _text(text: str) -> str:
    return escape(clean(text))
