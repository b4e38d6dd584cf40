# SPDX-License-Identifier: Apache-2.0
"""Write the diagrams of ``spec/diagrams`` from the specification's model: ``python -m tools.spec_diagrams``.

The state machine is drawn from ``NEXT_STATE``, the context map from ``ContextSet`` and the block scan from
``segments_of_block_row``, so that a diagram cannot contradict the model. With ``--check`` nothing is written, and the
exit code is 1 when a file is missing or stale.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from spec.model.contexts import (
    GREATER,
    SIGN,
    SIGN_BASE,
    SIGNIFICANCE,
    SIGNIFICANCE_BASE,
    SIGNIFICANCE_HISTORY,
    ContextSet,
)
from spec.model.scan import count_block_rows, segments_of_block_row
from spec.model.tables import NEXT_STATE

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "spec" / "diagrams"
# Dark strokes on an opaque light panel: legible whatever the page's background.
_INK, _GREY, _PANEL, _BLUE, _ORANGE = "#1b1f24", "#57606a", "#ffffff", "#0b5cad", "#b3470e"
_FILLS = {"plain": "#f3f5f7", "blue": "#dbeafe", "orange": "#fde7d3", "green": "#dcf3e3", "none": "none"}


#: Rows of the unit tree: caption, index of the cell that the next row opens, cells ``label|second line|width|fill``.
_TREE = (
    (
        "stream (2.1)",
        3,
        "NNR_STR|start|90|plain;NNR_MPS|parameter set|110|plain;NNR_TPL|topology, optional|140|plain;"
        "NNR_NDU|compressed data|130|blue;NNR_NDU|compressed data|130|plain;…||60|plain",
    ),
    (
        "unit (2.2)",
        4,
        "nnr_unit_size|2 or 4 bytes|130|plain;type, two flags|1 byte|120|plain;counter|1 byte, parts only|130|plain;"
        "header of the type|whole bytes|150|green;payload|to the unit's end|190|blue",
    ),
    (
        "payload (3.5)",
        1,
        "offset|9 bits|70|plain;tensor 0||140|blue;tensor 1||140|plain;…|block units|90|plain;"
        "terminating bin|1|120|plain;stop bit|1|70|plain;padding|zeros|80|plain",
    ),
    (
        "tensor (5.3)",
        3,
        "qp_value|unless integers|110|plain;history, row skips|profile 1|140|plain;initialisations|5.3.2|120|plain;"
        "block row 0|one level after another|150|blue;block row 1|levels|150|plain;…||50|plain",
    ),
    (
        "level (5.3.3)",
        -1,
        "sig_flag|zero or not|110|orange;sign_flag||100|orange;greater-than flags|at most U|150|orange;"
        "prefix|Exp-Golomb|110|orange;suffix|bypass bins|110|orange",
    ),
)


class Drawing:
    """An SVG under construction; lengths are pixels.

    Parameters
    ----------
    width, height : int
    title : str
        Text for screen readers.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self.lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
            ' font-family="ui-sans-serif, system-ui, Helvetica, Arial, sans-serif">',
            f"<title>{escape(title)}</title>",
            "<defs>",
            *(
                f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5"'
                ' markerWidth="7" markerHeight="7" orient="auto-start-reverse">'
                f'<path d="M0 0L10 5L0 10z" fill="{colour}"/></marker>'
                for name, colour in (("even", _BLUE), ("odd", _ORANGE), ("ink", _GREY))
            ),
            "</defs>",
            f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" fill="{_PANEL}" stroke="#d0d7de"/>',
        ]

    def box(self, x: float, y: float, width: float, height: float, fill: str = "plain") -> None:
        """Add a rectangle."""
        self.lines.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3" fill="{_FILLS[fill]}" stroke="{_INK}"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: int = 13,
        anchor: str = "middle",
        colour: str = _INK,
        bold: bool = False,
    ) -> None:
        """Add a line of text; ``y`` is its baseline."""
        weight = ' font-weight="600"' if bold else ""
        self.lines.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"{weight}>{escape(text)}</text>'
        )

    def path(
        self,
        d: str,
        *,
        colour: str = _GREY,
        dashed: bool = False,
        marker: str = "",
        width: float = 1.4,
    ) -> None:
        """Add an open path, with an arrowhead at its end when ``marker`` names one."""
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        head = f' marker-end="url(#{marker})"' if marker else ""
        self.lines.append(
            f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dash}{head}/>'
        )

    def finished(self) -> str:
        """Return the document."""
        return "\n".join([*self.lines, "</svg>", ""])


def unit_tree() -> str:
    """Return the diagram of a stream down to one level: each row opens one box of the row above."""
    drawing = Drawing(
        920, 550, "A stream, its units, a compressed data unit, its codeword, a tensor and a level"
    )
    top, height, gap = 28, 50, 64
    opened: tuple[float, float, float] | None = None
    for caption, opens, table in _TREE:
        cells = [
            (label, note, int(width), fill)
            for label, note, width, fill in (cell.split("|") for cell in table.split(";"))
        ]
        x = 130.0
        total = sum(width for _, _, width, _ in cells)
        drawing.text(118, top + 30, caption, size=14, anchor="end", bold=True)
        if opened is not None:
            from_x, to_x, from_y = opened
            drawing.path(f"M{from_x:g} {from_y:g}L{x:g} {top:g}", dashed=True)
            drawing.path(f"M{to_x:g} {from_y:g}L{x + total:g} {top:g}", dashed=True)
        for index, (label, note, width, fill) in enumerate(cells):
            drawing.box(x, top, width, height, fill)
            drawing.text(x + width / 2, top + (21 if note else 30), label)
            if note:
                drawing.text(x + width / 2, top + 39, note, size=11, colour=_GREY)
            if index == opens:
                opened = (x, x + width, top + height)
            x += width
        top += height + gap
    return drawing.finished()


def context_map() -> str:
    """Return the map of context indices with their uses, for a unary length U."""
    drawing = Drawing(980, 468, "Context indices and their uses")
    # Two unary lengths give each boundary as a + b * U.
    sets = ContextSet(1), ContextSet(2)

    def index(name: str) -> str:
        one, two = (getattr(contexts, name) for contexts in sets)
        return f"{2 * one - two} + {two - one}U"

    states = "/".join(f"state {state}" for state in range(8))
    flags = "j = 0/j = 1/…/j = U - 1"
    # First index, number, use, formula of the index, contexts, fill.
    rows = [
        (f"{SIGNIFICANCE}", "24", "significance", "3 · state + c", states, "blue"),
        (
            f"{SIGNIFICANCE_BASE}",
            "16",
            "significance, base not 0",
            "24 + 2 · state + (|b| > 1)",
            states,
            "blue",
        ),
        (f"{SIGNIFICANCE_HISTORY}", "8", "significance, history", "40 + state", states, "blue"),
        (f"{SIGN}", "3", "sign", "48 + c", "n = 0/n < 0/n > 0", "orange"),
        (f"{SIGN_BASE}", "2", "sign, base not 0", "51 + (b > 0)", "b < 0/b > 0", "orange"),
        (f"{GREATER}", "2U", "greater-than flag j", "53 + 2j + (negative)", flags, "green"),
        (
            index("greater_base"),
            "2U",
            "greater-than flag j, base not 0",
            "53 + 2U + 2j + (|b| < j)",
            flags,
            "green",
        ),
        (
            index("exp_golomb"),
            "31",
            "Exp-Golomb prefix bin j",
            "53 + 4U + j",
            "j = 0/j = 1/…/j = 30",
            "plain",
        ),
        (index("initialisation_flag"), "1", "initialisation flag", "", "one context for all flags", "plain"),
        (index("row_skip"), "1", "row-skip flag", "", "one context for all rows", "plain"),
    ]
    for x, heading in (
        (62, "from index"),
        (132, "count"),
        (300, "used for, and index"),
        (690, "contexts of the group"),
    ):
        drawing.text(x, 30, heading, size=13, bold=True)
    for number, (start, count, use, formula, contexts, fill) in enumerate(rows):
        cells = contexts.split("/")
        y = 44 + 41 * number
        drawing.text(62, y + 22, start)
        drawing.text(132, y + 22, count)
        drawing.text(300, y + (16 if formula else 22), use)
        if formula:
            drawing.text(300, y + 31, formula, size=11, colour=_GREY)
        width = 540 / len(cells)
        for k, cell in enumerate(cells):
            drawing.box(420 + k * width, y, width, 34, fill)
            drawing.text(420 + (k + 0.5) * width, y + 22, cell, size=12)
    return drawing.finished()


def state_machine() -> str:
    """Return the eight states of dependent quantisation with their sixteen transitions."""
    drawing = Drawing(760, 430, "State machine of dependent quantisation")
    # Odd transitions run round two squares, 0 2 3 4 and 1 5 7 6; even ones cross them and join them.
    places = {
        0: (140, 110),
        2: (290, 110),
        3: (290, 260),
        4: (140, 260),
        1: (470, 110),
        5: (620, 110),
        7: (620, 260),
        6: (470, 260),
    }
    radius = 25.0

    def line(start: int, end: int, bend: float = 0.0) -> str:
        (x0, y0), (x1, y1) = places[start], places[end]
        length = math.hypot(x1 - x0, y1 - y0)
        normal_x, normal_y = (y1 - y0) / length, -(x1 - x0) / length
        middle_x, middle_y = (x0 + x1) / 2 + bend * normal_x, (y0 + y1) / 2 + bend * normal_y

        def edge(x: float, y: float) -> tuple[float, float]:
            distance = math.hypot(middle_x - x, middle_y - y)
            return x + radius * (middle_x - x) / distance, y + radius * (middle_y - y) / distance

        (from_x, from_y), (to_x, to_y) = edge(x0, y0), edge(x1, y1)
        return f"M{from_x:.1f} {from_y:.1f}Q{middle_x:.1f} {middle_y:.1f} {to_x:.1f} {to_y:.1f}"

    for state, targets in enumerate(NEXT_STATE):
        for parity, target in enumerate(targets):
            colour, marker = (_ORANGE, "odd") if parity else (_BLUE, "even")
            x, y = places[state]
            if target == state:
                path = f"M{x - 14} {y - 21}C{x - 40} {y - 75} {x + 40} {y - 75} {x + 14} {y - 21}"
            elif {state, target} == {4, 7}:
                x_target = places[target][0]
                path = f"M{x - 12} {y + 22}C{x - 70} {y + 105} {x_target + 70} {y + 105} {x_target + 12} {y + 22}"
            else:
                path = line(state, target, 14 if target in (3, 6) and state in (3, 6) else 0)
            drawing.path(path, colour=colour, dashed=bool(parity), marker=marker, width=1.8)
    for state, (x, y) in places.items():
        fill = _FILLS["orange" if state & 1 else "blue"]
        drawing.lines.append(
            f'<circle cx="{x}" cy="{y}" r="{radius:g}" fill="{fill}" stroke="{_INK}" stroke-width="1.5"/>'
        )
        drawing.text(x, y + 6, str(state), size=17, bold=True)
    drawing.text(60, 116, "start", size=13, colour=_GREY)
    drawing.path("M80 111L113 110.5", marker="ink")
    drawing.path("M40 372L90 372", colour=_BLUE, marker="even", width=1.8)
    drawing.text(100, 377, "even coded value", size=13, anchor="start")
    drawing.path("M40 400L90 400", colour=_ORANGE, dashed=True, marker="odd", width=1.8)
    drawing.text(100, 405, "odd coded value", size=13, anchor="start")
    for y, fill, text in (
        (372, "blue", "even state: the level is an even multiple, 2q"),
        (400, "orange", "odd state: 0 or an odd multiple, 2q - sign(q)"),
    ):
        drawing.box(330, y - 9, 18, 18, fill)
        drawing.text(360, y + 5, text, size=13, anchor="start")
    return drawing.finished()


def block_scan() -> str:
    """Return the scan of 20 rows by 20 columns with scan order 1."""
    rows, columns, order = 20, 20, 1
    size, cell, margin, top = 4 << order, 17, 60, 66
    drawing = Drawing(860, 450, "Block scan of 20 rows by 20 columns with scan order 1")
    fills = ("blue", "green", "orange")
    drawing.text(margin + columns * cell / 2, 28, "20 columns: blocks of 8, 8 and 4", size=13, bold=True)
    for number, column in enumerate(range(0, columns, size)):
        drawing.text(
            margin + column * cell + 4, top - 4, f"block {number}", size=11, anchor="start", colour=_GREY
        )
    for block_row in range(count_block_rows(rows, order)):
        segments = list(segments_of_block_row(rows, columns, order, block_row))
        y_top = top + segments[0][0] * cell
        n_rows = len({row for row, _, _ in segments})
        for column in range(0, columns, size):
            width = min(size, columns - column)
            drawing.box(margin + column * cell, y_top, width * cell, n_rows * cell, fills[block_row])
        drawing.text(
            margin - 10,
            y_top + n_rows * cell / 2 + 5,
            str(n_rows),
            anchor="end",
            colour=_GREY,
        )
        for position, (row, begin, end) in enumerate(segments):
            y = top + (row + 0.5) * cell
            x0, x1 = margin + (begin + 0.35) * cell, margin + (end - 0.35) * cell
            drawing.path(f"M{x0:g} {y:g}L{x1:g} {y:g}", marker="ink", width=1.2)
            if position + 1 < len(segments) and segments[position + 1][0] < row:
                following = segments[position + 1]
                x2, y2 = margin + (following[1] + 0.2) * cell, top + (following[0] + 0.5) * cell
                drawing.path(f"M{x1 + 2:g} {y:g}L{x2:g} {y2:g}", colour=_INK, dashed=True, width=1)
        x_text = margin + columns * cell + 24
        drawing.path(f"M{x_text - 4} {y_top + 3}L{margin + columns * cell + 3} {y_top + 3}", marker="ink")
        drawing.text(x_text, y_top + 14, f"block row {block_row}", size=14, anchor="start", bold=True)
        notes: Sequence[str] = (
            ("range = 256 before its first level", "the distance of entry point 0 starts here")
            if block_row == 0
            else (
                f"entry point {block_row - 1}: distance, cabac_offset_value, dq_state",
                "contexts reset, n = 0, range = 256",
                "the state of 5.4 goes on",
            )
        )
        for k, note in enumerate(notes):
            drawing.text(x_text, y_top + 34 + 18 * k, note, size=12, anchor="start")
    y = top + rows * cell + 24
    drawing.path(f"M{margin} {y - 4}L{margin + 40} {y - 4}", marker="ink", width=1.2)
    drawing.text(margin + 50, y, "a segment: one row of one block", size=12, anchor="start", colour=_GREY)
    return drawing.finished()


DIAGRAMS: dict[str, Callable[[], str]] = {
    "unit-tree.svg": unit_tree,
    "context-map.svg": context_map,
    "state-machine.svg": state_machine,
    "block-scan.svg": block_scan,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args(arguments)
    stale = []
    for name, draw in DIAGRAMS.items():
        path, text = FOLDER / name, draw()
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if options.check:
            stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    print(
        "\n".join(f"{name} is stale" for name in stale) or f"{len(DIAGRAMS)} diagrams",
        file=sys.stderr if stale else sys.stdout,
    )
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
