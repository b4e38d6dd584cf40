# SPDX-License-Identifier: Apache-2.0
"""``nnr dump``."""

from __future__ import annotations

import sys

import click

from nnr_codec.cli.inspection import (
    EXIT_MALFORMED,
    Inspection,
    check_readable,
    opened_streams,
    paint_for,
    write_lines,
)
from nnr_codec.cli.limits import limit_option
from nnr_codec.model import Limits

VIEWS = ("summary", "tree", "trace", "hex", "units", "tensors", "stats", "contexts", "html")
FORMATS = ("text", "json", "jsonl", "csv", "markdown")


@click.command(
    "dump",
    cls=Inspection,
    epilog="\b\nExamples:\n  nnr dump model.nnr                          # one screen\n"
    "  nnr dump model.nnr --view tree | less\n"
    "  nnr dump model.nnr --view stats             # where the bits went\n"
    "  nnr dump model.nnr --view tensors --format csv\n"
    "  nnr dump model.nnr --view html -o model.html\n"
    "  nnr dump model.nnr --at 4711                # what is this bit?\n"
    "  nnr dump model.nnr --path 'nnr_unit[3].tensor_dimensions'\n"
    "  nnr dump model.nnr --json | nnr dump --build - -o same.nnr\n"
    "  nnr dump model.nnr --set 'nnr_unit[3].scan_order=9' -o invalid.nnr\n\n"
    "Exit code: 0 well-formed, 1 malformed, 3 wrong usage or unreadable file.",
)
@click.argument("source", metavar="FILE")
@click.option("-v", "--view", type=click.Choice(VIEWS), help="View; summary by default.")
@click.option("-f", "--format", "form", type=click.Choice(FORMATS), help="Format; text by default.")
@click.option("--json", "form", flag_value="json", help="Same as --format json.")
@click.option("--for-diff", is_flag=True, help="Omit offsets and sizes, for comparison with diff.")
@click.option("--at", type=click.IntRange(0), metavar="BIT", help="Show the element that holds a bit.")
@click.option("--path", "paths", multiple=True, metavar="P", help="Show these elements and their bits.")
@click.option(
    "--payloads/--headers", default=None, help="Decode payloads; by default in streams under 16 MB."
)
@click.option("--after", multiple=True, metavar="FILE", help="Earlier stream that FILE updates.")
@click.option("--whole", is_flag=True, help="Do not truncate payloads and long lists.")
@click.option("--build", is_flag=True, help="Build a stream; FILE is a JSON dump, or - for standard input.")
@click.option(
    "--set", "edits", multiple=True, metavar="PATH=VALUE", help="Build a stream with a changed element."
)
@click.option("-o", "--output", metavar="FILE", help="Output file; by default standard output.")
@click.option("--width", type=click.IntRange(20), help="Columns of text; by default the terminal's.")
@click.option("--color", type=click.Choice(("auto", "always", "never")), default="auto", help="Colours.")
@limit_option
@click.pass_context
def command(
    ctx: click.Context,
    source: str,
    view: str | None,
    form: str | None,
    for_diff: bool,
    at: int | None,
    paths: tuple[str, ...],
    payloads: bool | None,
    after: tuple[str, ...],
    whole: bool,
    build: bool,
    edits: tuple[str, ...],
    output: str | None,
    width: int | None,
    color: str,
    limits: Limits,
) -> None:
    """Show every bit of a stream, and the bits that each element takes.

    Faults of the stream are shown at their place, with the elements before and after them.

    Options --path, --after and --set are repeatable.
    """
    check_readable(source, *after)
    if build or edits:
        _build(source, edits, output, limits, is_dump=build)
        return
    from nnr_codec.inspect import EASY_BYTES, Dump, Survey

    with opened_streams([source, *after], limits) as (buffer, *earlier):
        decodes = len(buffer) < EASY_BYTES if payloads is None else payloads
        survey = Survey(
            buffer,
            payloads=decodes or (payloads is None and view in ("tensors", "stats", "contexts", "html")),
            after=earlier,
            watch_bit=at,
            limits=limits,
        )
        name = "stream" if source == "-" else source
        paint = paint_for(color, width, to_file=output is not None)
        dump = Dump(survey, name, paint, for_diff=for_diff, whole=whole)
        try:
            single = at is not None or bool(paths)
            lines = dump.fields(at, paths) if single else dump.lines(view, form)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        write_lines(lines, output)
    if dump.not_found:
        click.echo(f"nnr dump: {dump.not_found}", err=True)
    ctx.exit(EXIT_MALFORMED if dump.malformed or dump.not_found else 0)


def _build(source: str, edits: tuple[str, ...], output: str | None, limits: Limits, *, is_dump: bool) -> None:
    from nnr_codec.frameworks.atomic import replacing
    from nnr_codec.inspect import Survey, UnitBuilder, build_stream, records_of, unit_record

    if output is None and sys.stdout.isatty():
        raise click.UsageError("a stream cannot be written to a terminal; use -o FILE")
    with opened_streams([source], limits) as (buffer,):
        if is_dump:
            records = records_of(bytes(buffer).decode("utf-8"))
        else:
            builder = UnitBuilder()
            records = [
                unit_record(piece, buffer, builder) for piece in Survey(buffer, payloads=False, limits=limits)
            ]
        pieces = build_stream(records, edits)
        if output is None or output == "-":
            for octets in list(pieces):
                sys.stdout.buffer.write(octets)
            return
        with replacing(output, overwrite=True) as file:
            for octets in pieces:
                file.write(octets)
