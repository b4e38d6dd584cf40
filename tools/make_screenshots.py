# SPDX-License-Identifier: Apache-2.0
"""Screenshots of docs/guide/inspect.md, taken with chromium: ``python -m tools.make_screenshots STREAM``."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.text import Text

from nnr_codec.inspect import Dump, Paint, Survey

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
COLUMNS = 110
_LINES = 40


def photograph(page: Path, target: Path, width: int, height: int) -> None:
    """Take a screenshot of a page with chromium."""
    browser = shutil.which("chromium") or "chromium"
    command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--window-size={width},{height}", f"--screenshot={target}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def terminal(lines: list[str], title: str, folder: Path) -> None:
    """Take a screenshot of terminal output with its colours."""
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=True)
    svg = console.export_svg(title=title, code_format=_svg_format())
    page = folder / "terminal.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><style>body{{margin:0}}</style>{svg}", "utf-8")
    view_box = svg.partition('viewBox="0 0 ')[2].partition('"')[0].split()
    width, height = (round(float(size)) for size in view_box)
    photograph(
        page, IMAGES / f"{title.split()[-1]}.png", min(width, 1360), round(height * min(width, 1360) / width)
    )


def _svg_format() -> str:
    from rich._export_format import CONSOLE_SVG_FORMAT

    # Use local fonts: remove the rules that fetch fonts.
    text = CONSOLE_SVG_FORMAT
    while "@font-face" in text:
        before, _, rest = text.partition("@font-face")
        text = before + rest.partition("}}")[2]
    return text.replace("Fira Code", "DejaVu Sans Mono")


def main(path: Path) -> None:
    """Take all screenshots of a stream."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    octets = path.read_bytes()
    paint = Paint(color=True, width=COLUMNS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for view, first in (("summary", 0), ("tree", 38)):
            shown = Dump(Survey(octets), path.name, paint).lines(view, "text")
            lines = list(islice(shown, first, first + _LINES))
            terminal(lines, f"nnr dump {path.name} --view {view}", folder)
        page = folder / "page.html"
        page.write_text("\n".join(Dump(Survey(octets), path.name, paint).lines("html", "text")), "utf-8")
        photograph(page, IMAGES / "html.png", 1360, 1720)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
