# SPDX-License-Identifier: Apache-2.0
"""``nnr explain``."""

from __future__ import annotations

import json
import os

import click

from nnr_codec.cli.inspection import (
    EXIT_USAGE,
    Inspection,
    check_readable,
    opened_streams,
    paint_for,
    write_lines,
)
from nnr_codec.cli.limits import limit_option
from nnr_codec.cli.terminal import printable
from nnr_codec.model import Limits


@click.command(
    "explain",
    cls=Inspection,
    epilog="\b\nExamples:\n  nnr explain                     # every element\n  nnr explain dq_flag\n"
    "  nnr explain scan_order --in conformance/suites\n\nExit code: 0 explained, 3 no such element.",
)
@click.argument("element", required=False)
@click.option(
    "--in", "places", multiple=True, metavar="FILE", help="Show its values in these streams or folders."
)
@click.option("--json", "as_json", is_flag=True, help="Write a JSON document.")
@click.option("--width", type=click.IntRange(20), help="Columns of text; by default the terminal's.")
@click.option(
    "--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colours in text."
)
@limit_option
@click.pass_context
def command(
    ctx: click.Context,
    element: str | None,
    places: tuple[str, ...],
    as_json: bool,
    width: int | None,
    color: str,
    limits: Limits,
) -> None:
    """Describe a syntax element: descriptor, condition, range, meaning, clause."""
    from nnr_codec.inspect.explanation import (
        element_list_lines,
        explanation_lines,
        explanation_record,
        known_elements,
        similar_elements,
    )

    paint = paint_for(color, width)
    if element is None:
        if as_json:
            write_lines([json.dumps([explanation_record(name) for name in known_elements()], indent=1)], None)
        else:
            write_lines(element_list_lines(paint), None)
        return
    if element not in known_elements():
        near = similar_elements(element)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        click.echo(f"nnr explain: no element is called {element!r}{hint}", err=True)
        ctx.exit(EXIT_USAGE)
    if as_json:
        record = explanation_record(element) | (
            {"values_in": _values_in(element, places, limits)} if places else {}
        )
        write_lines([json.dumps(record, indent=1)], None)
        return
    write_lines(explanation_lines(element, paint), None)
    for path, values in _values_in(element, places, limits).items():
        write_lines([f"  {printable(path)}: {', '.join(values)}"], None)


def _values_in(element: str, places: tuple[str, ...], limits: Limits) -> dict[str, list[str]]:
    """Return the values of an element, by path of each stream that contains it."""
    from nnr_codec.inspect.streams import values_of_element

    paths = []
    for place in places:
        if os.path.isdir(place):
            for folder, _, names in os.walk(place):
                paths += [
                    os.path.join(folder, name) for name in sorted(names) if name.endswith((".nnc", ".nnr"))
                ]
        else:
            check_readable(place)
            paths.append(place)
    values_by_path = {}
    for path in sorted(paths):
        with opened_streams([path], limits) as (buffer,):
            values = values_of_element(buffer, element, limits)
        if values:
            values_by_path[path] = values
    return values_by_path
