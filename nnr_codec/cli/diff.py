# SPDX-License-Identifier: Apache-2.0
"""``nnr diff``."""

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
    "Exit code: 0 same content, 1 different content, 3 wrong usage or unreadable file.",
)
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--json", "as_json", is_flag=True, help="Write a JSON document.")
@click.option("--width", type=click.IntRange(20), help="Columns of text; by default the terminal's.")
@click.option(
    "--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colours in text."
)
@limit_option
@click.pass_context
def command(
    ctx: click.Context, before: str, after: str, as_json: bool, width: int | None, color: str, limits: Limits
) -> None:
    """Compare two streams: different elements and tensors, changed levels, largest error, sizes.

    Units are matched by type and tensor names, regardless of their order.
    """
    check_readable(before, after)
    from nnr_codec.inspect.difference import compare, difference_lines, difference_record
    from nnr_codec.inspect.survey import Survey

    with opened_streams([before, after], limits) as (stream_a, stream_b):
        difference = compare(
            Survey(stream_a, keep=True, limits=limits), Survey(stream_b, keep=True, limits=limits)
        )
        if as_json:
            write_lines([json.dumps(difference_record(difference), indent=1)], None)
        else:
            write_lines(difference_lines((before, after), difference, paint_for(color, width)), None)
    ctx.exit(0 if difference.same else 1)
