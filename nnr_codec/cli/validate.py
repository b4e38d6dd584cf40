# SPDX-License-Identifier: Apache-2.0
"""Command ``nnr validate``."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import click

from nnr_codec.cli.inspection import EXIT_MALFORMED, Inspection, check_readable, opened_streams, write_lines
from nnr_codec.cli.limits import limit_option
from nnr_codec.cli.terminal import printable
from nnr_codec.model import Limits

if TYPE_CHECKING:
    from nnr_codec.inspect import Finding

EXIT_WARNINGS = 2
EXIT_NO_VERDICT = 3


@click.command(
    "validate",
    cls=Inspection,
    epilog="\b\nExamples:\n  nnr validate model.nnr\n  nnr validate --strict model.nnr          # warnings fail, too\n"
    "  nnr validate base.nnr update1.nnr        # a sequence of updates, in order\n"
    "  nnr validate --json - < model.nnr\n\n"
    "Exit code: 0 valid, 1 not valid, 2 valid with warnings under --strict, 3 no verdict: the check ended at a limit "
    "or at an unsupported feature, a file is unreadable, or wrong usage.",
)
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Write a JSON document.")
@click.option("--strict", is_flag=True, help="Exit with 2 if there are warnings.")
@limit_option
@click.pass_context
def command(ctx: click.Context, paths: tuple[str, ...], as_json: bool, strict: bool, limits: Limits) -> None:
    """Check a stream of any encoder against the format.

    Errors: syntax, semantics, reserved bits, alignment and payloads, everything that a decoder rejects. Warnings: choices
    that the format allows and that look like mistakes, such as wrong entry points. Several files are a sequence of
    updates.
    """
    check_readable(*paths)
    from nnr_codec.inspect import Severity, validate

    with opened_streams(paths, limits) as streams:
        findings = validate(streams, limits=limits)
    if as_json:
        write_lines([json.dumps([finding.as_dict() for finding in findings], indent=1)], None)
    else:
        write_lines([printable(_line(finding, paths)) for finding in findings], None)
        write_lines([_verdict(Counter(finding.severity.value for finding in findings))], None)
    severities = {finding.severity for finding in findings}
    if Severity.ERROR in severities:
        ctx.exit(EXIT_MALFORMED)
    if Severity.UNCHECKED in severities:
        ctx.exit(EXIT_NO_VERDICT)
    ctx.exit(EXIT_WARNINGS if strict and findings else 0)


def _verdict(counts: Counter[str]) -> str:
    if counts["error"]:
        return "not valid"
    if counts["unchecked"]:
        return "no verdict: the check ended early"
    n_warnings = counts["warning"]
    return f"valid, {n_warnings or 'no'} {'warning' if n_warnings == 1 else 'warnings'}"


def _line(finding: Finding, paths: tuple[str, ...]) -> str:
    place = f"{paths[finding.stream]}: " if len(paths) > 1 else ""
    bit = "" if finding.bit_offset is None else f" at bit {finding.bit_offset}"
    clause = f" [format {finding.clause}]" if finding.clause else ""
    return f"{place}{finding.severity.value}: {finding.path}{bit}: {finding.message}{clause}"
