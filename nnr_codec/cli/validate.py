# SPDX-License-Identifier: Apache-2.0
"""``nnr conformance validate``."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click

from nnr_codec.cli.limits import limit_option
from nnr_codec.cli.terminal import printable
from nnr_codec.codec.validate import Finding, Severity, validate
from nnr_codec.model import Limits


@click.command(
    "validate",
    epilog="\b\nSeveral streams form a sequence of updates.\n"
    "Exit codes: 0 valid, 1 not valid, 2 valid with warnings under --strict, 3 not checked to the end.",
)
@click.argument(
    "streams", nargs=-1, required=True, metavar="STREAM...", type=click.Path(exists=True, dir_okay=False)
)
@click.option("--json", "as_json", is_flag=True, help="Write a JSON document.")
@click.option("--strict", is_flag=True, help="Exit with 2 if there are warnings.")
@limit_option
def command(streams: tuple[str, ...], limits: Limits, as_json: bool, strict: bool) -> int:
    """Check a stream of any encoder: syntax, semantics, reserved bits, alignment, entry points, and unusual choices."""
    findings = validate([Path(stream).read_bytes() for stream in streams], limits=limits)
    if as_json:
        click.echo(json.dumps([finding.as_dict() for finding in findings], indent=1))
    else:
        for finding in findings:
            click.echo(printable(_line(finding, streams)))
        counts = Counter(finding.severity for finding in findings)
        click.echo(
            f"{_verdict(counts)}: {counts[Severity.ERROR]} errors, {counts[Severity.WARNING]} warnings"
        )
    severities = {finding.severity for finding in findings}
    if Severity.ERROR in severities:
        return 1
    if Severity.UNCHECKED in severities:
        return 3
    return 2 if strict and findings else 0


def _verdict(counts: Counter[Severity]) -> str:
    if counts[Severity.ERROR]:
        return "not valid"
    return "not checked to the end" if counts[Severity.UNCHECKED] else "valid"


def _line(finding: Finding, streams: tuple[str, ...]) -> str:
    place = f"{streams[finding.stream]}: " if len(streams) > 1 else ""
    bit = "" if finding.bit_offset is None else f" at bit {finding.bit_offset}"
    return (
        f"{place}{finding.severity.value}: {finding.path}{bit}: {finding.message} (clause {finding.clause})"
    )
