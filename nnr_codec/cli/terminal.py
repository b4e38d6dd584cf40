# SPDX-License-Identifier: Apache-2.0
"""Text formatting, tables and progress bars of the command line."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nnr_codec.errors import QualityWarning


def printable(text: str) -> str:
    r"""Escape control characters, so that a name from a file cannot control the terminal.

    >>> printable("a\x1b[31m\nb")
    'a\\x1b[31m\\nb'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def size(n_bytes: float) -> str:
    """Format a number of bytes with about three significant digits.

    >>> size(999), size(340968), size(2.5e9)
    ('999 B', '341 kB', '2.5 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            digits = 0 if unit == "B" or n_bytes >= 100 else 1
            return f"{n_bytes:.{digits}f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> Iterator[str]:
    """Yield the lines of a table with aligned columns.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequence of str
    right : sequence of bool
        True for columns that are aligned to the right.
    """
    widths = [max(len(cell) for cell in column) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True))
        yield "  ".join(cells).rstrip()


def _ignore(name: str, done: int, total: int) -> None:
    del name, done, total


@contextlib.contextmanager
def progress(title: str, *, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar on stderr, if stderr is a terminal.

    Parameters
    ----------
    title : str
    quiet : bool

    Yields
    ------
    callable of (str, int, int)
        Call it after each tensor with the tensor's name, the bytes done and the total bytes.
    """
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield _ignore
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)

        def on_tensor(name: str, done: int, total: int) -> None:
            del name
            bar.update(task, completed=done, total=total or None)

        yield on_tensor


@contextlib.contextmanager
def quality_notes(*, quiet: bool) -> Iterator[None]:
    """Print the `QualityWarning` of each tensor on stderr when the block ends, instead of where it occurs.

    A search encodes a tensor several times; the warning of its last encoding is printed.

    Parameters
    ----------
    quiet : bool
    """
    latest: dict[str | None, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("always", QualityWarning)
        show = warnings.showwarning

        def keep(message: Warning | str, *details: Any, **options: Any) -> None:
            if isinstance(message, QualityWarning):
                latest[message.path] = str(message)
            else:
                show(message, *details, **options)

        warnings.showwarning = keep
        yield
    for line in latest.values():
        note(f"nnr: {line}", quiet=quiet)


def note(line: str, *, quiet: bool = False) -> None:
    """Print a line on stderr."""
    if not quiet:
        print(printable(line), file=sys.stderr)
