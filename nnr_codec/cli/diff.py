# SPDX-License-Identifier: Apache-2.0
"""Command ``nnr diff``."""

from __future__ import annotations

import json

import click

from nnr_codec.cli.inspection import Inspection, check_readable, opened_streams, paint_for, write_lines
from nnr_codec.cli.limits import limit_option
from nnr_codec.model import Limits


@click.command(
    "diff",
    cls=Inspection,
    epilog="\b\nExamples:\n  nnr diff old.nnr new.nnr\n  nnr diff old.nnr new.nnr --json | jq '.tensors'\n\n"
    "Exit code: 0 same content, 1 different, 3 wrong usage or unreadable file.",
)
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--json", "as_json", is_flag=True, help="Write a JSON document.")
@click.option("--width", type=click.IntRange(20), help="Text width in columns; the terminal's by default.")
@click.option(
    "--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colours in text."
)
@limit_option
@click.pass_context
def command(
    ctx: click.Context, before: str, after: str, as_json: bool, width: int | None, color: str, limits: Limits
) -> None:
    """Compare two streams: elements, levels, decoded values and sizes.

    Units are matched by type and by the names of their tensors, wherever they stand.
    """
    check_readable(before, after)
    from nnr_codec.inspect import Survey, compare
    from nnr_codec.inspect.views import difference_lines, difference_record

    with opened_streams([before, after], limits) as (buffer_before, buffer_after):
        difference = compare(
            Survey(buffer_before, keep=True, limits=limits), Survey(buffer_after, keep=True, limits=limits)
        )
        if as_json:
            write_lines([json.dumps(difference_record(difference), indent=1)], None)
        else:
            write_lines(difference_lines((before, after), difference, paint_for(color, width)), None)
    ctx.exit(0 if difference.same else 1)
