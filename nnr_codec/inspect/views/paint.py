# SPDX-License-Identifier: Apache-2.0
"""Terminal text: styles, widths, bars, and names without control characters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_CODES = {
    "bold": "1",
    "dim": "2",
    "title": "1;36",
    "name": "36",
    "value": "33",
    "good": "32",
    "bad": "1;31",
    "guess": "35",
    "mark": "30;43",
}
_ESCAPE = re.compile(r"(\x1b\[[0-9;]*m)")
_EIGHTHS = " ▏▎▍▌▋▊▉"


def plain(text: str) -> str:
    r"""Return text with unprintable characters as escapes: a name from a file must not control the terminal.

    >>> plain("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass(frozen=True)
class Paint:
    """Text capabilities of the output.

    Attributes
    ----------
    color : bool
        Emit ANSI styles.
    width : int or None
        Columns; None for lines of any length.
    unicode : bool
        Emit block characters and other non-ASCII marks.
    """

    color: bool = False
    width: int | None = None
    unicode: bool = True

    def __call__(self, style: str, text: str) -> str:
        """Return text in a style."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.color and text else text

    def clip(self, text: str, used: int = 0) -> str:
        """Cut unpainted text at the end so that it fits a line of which ``used`` columns are taken."""
        if self.width is None or used + len(text) <= self.width:
            return text
        room = max(0, self.width - used - 1)
        return text[:room] + ("…" if self.unicode else "~")

    def shortened(self, text: str, width: int) -> str:
        """Cut unpainted text in the middle to a width: both ends of a path matter."""
        if len(text) <= width:
            return text
        tail = width // 2
        return text[: width - tail - 1] + ("…" if self.unicode else "~") + text[len(text) - tail :]

    def fit(self, line: str) -> str:
        """Cut a painted line at the end to the width."""
        if self.width is None or len(line) <= self.width:
            return line
        parts = _ESCAPE.split(line)
        room = self.width
        if sum(len(text) for text in parts[::2]) <= room:
            return line
        kept = ""
        for number, part in enumerate(parts):
            if number % 2:
                kept += part
            elif len(part) < room:
                kept += part
                room -= len(part)
            else:
                end = "\x1b[0m" if self.color else ""
                return kept + part[: room - 1] + ("…" if self.unicode else "~") + end
        return kept

    def bar(self, share: float, columns: int = 24) -> str:
        """Return a bar for a share between 0 and 1, padded with spaces to ``columns``."""
        share = min(1.0, max(0.0, share))
        if not self.unicode:
            return ("#" * round(share * columns)).ljust(columns)
        eighths = round(share * columns * 8)
        full, rest = divmod(eighths, 8)
        return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(columns)


def value_text(value: Any, symbol: str | None = None, *, longest: int = 32) -> str:
    """Return an element's value as text; bytes beyond ``longest`` are cut.

    Examples
    --------
    >>> value_text(5, "NNR_NDU"), value_text("name"), value_text(bytes([0, 255]))
    ('5 NNR_NDU', '"name"', '00 ff')
    """
    if value is None:
        return "?"
    if isinstance(value, str):
        return f'"{plain(value)}"'
    if isinstance(value, bytes | memoryview):
        head = bytes(value[:longest]).hex(" ")
        return head if len(value) <= longest else f"{head} … ({len(value):,} bytes)"
    if isinstance(value, int) and value.bit_length() > 64:
        return f"{value:#x}"
    return f"{value} {symbol}" if symbol else str(value)


def size_text(n_bytes: float) -> str:
    """Return a number of bytes with two or three significant digits.

    >>> size_text(999), size_text(340968)
    ('999 B', '341 kB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            digits = 0 if unit == "B" or n_bytes >= 100 else 1
            return f"{n_bytes:.{digits}f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
