# SPDX-License-Identifier: Apache-2.0
"""Command ``nnr dump``."""

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
    "  nnr dump model.nnr --view stats             # bits by class and element\n"
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
@click.option("--json", "form", flag_value="json", help="Short for --format json.")
@click.option(
    "--for-diff", is_flag=True, help="Omit offsets and sizes, so that dumps differ only in content."
)
@click.option("--at", type=click.IntRange(0), metavar="BIT", help="Show the field that holds a bit.")
@click.option("--path", "paths", multiple=True, metavar="P", help="Show an element and its bits.")
@click.option(
    "--payloads/--headers",
    default=None,
    help="Decode payloads, or read headers only; by default payloads of streams under 16 MB are decoded.",
)
@click.option("--after", multiple=True, metavar="FILE", help="Earlier stream that FILE updates.")
@click.option("--whole", is_flag=True, help="Show payloads and long lists to the end.")
@click.option("--build", is_flag=True, help="Build the stream from a JSON dump.")
@click.option(
    "--set", "edits", multiple=True, metavar="PATH=VALUE", help="Build the stream with an element changed."
)
@click.option("-o", "--output", metavar="FILE", help="Output file; standard output by default.")
@click.option("--width", type=click.IntRange(20), help="Text width in columns; the terminal's by default.")
@click.option(
    "--color", type=click.Choice(("auto", "always", "never")), default="auto", help="Colours in text."
)
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
    """Show every bit of a stream, and what the bits are spent on.

    Faults appear in place; the elements before and after them are shown, too. FILE may be - for standard input.

    Options --path, --after and --set can be repeated.
    """
    check_readable(source, *after)
    if build or edits:
        _build(source, edits, output, limits, is_dump=build)
        return
    from nnr_codec.inspect import AUTO_DECODE_BYTES, Dump, Survey

    with opened_streams([source, *after], limits) as (buffer, *earlier):
        decoded = len(buffer) < AUTO_DECODE_BYTES if payloads is None else payloads
        survey = Survey(
            buffer,
            payloads=decoded or (payloads is None and view in ("tensors", "stats", "contexts", "html")),
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
        raise click.UsageError("binary output to a terminal; -o FILE writes a file")
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
