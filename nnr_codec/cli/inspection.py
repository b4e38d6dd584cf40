# SPDX-License-Identifier: Apache-2.0
"""Shared parts of the commands dump, diff, explain and validate: exit codes, colours, output."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from nnr_codec.inspect import Paint
    from nnr_codec.model import Limits

EXIT_MALFORMED = 1
EXIT_USAGE = 3


class Inspection(click.Command):
    """Command with exit code 3 for wrong usage; its codes 1 and 2 are verdicts on streams."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the arguments."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            self._refuse(error)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            self._refuse(error)

    def _refuse(self, error: click.UsageError) -> NoReturn:
        click.echo(f"nnr {self.name}: {error.format_message()} (see nnr {self.name} --help)", err=True)
        raise click.exceptions.Exit(EXIT_USAGE)


def check_readable(*paths: str) -> None:
    """End the command with exit code 3 if a file cannot be read."""
    for path in paths:
        if path == "-":
            continue
        reason = None
        if os.path.isdir(path):
            reason = "is a directory"
        elif not os.path.exists(path):
            reason = "no such file"
        elif not os.access(path, os.R_OK):
            reason = "not readable"
        if reason is not None:
            click.echo(f"nnr: {click.format_filename(path)}: {reason}", err=True)
            raise click.exceptions.Exit(EXIT_USAGE)


def paint_for(color: str, width: int | None, *, to_file: bool = False) -> Paint:
    """Return the text capabilities of the output; colours need a terminal, and neither NO_COLOR nor TERM=dumb."""
    from nnr_codec.inspect import Paint

    terminal = sys.stdout.isatty() and not to_file
    styled = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    encoding = "utf-8" if to_file else (getattr(sys.stdout, "encoding", None) or "ascii")
    try:
        "█✗…".encode(encoding)
        blocks = True
    except (UnicodeEncodeError, LookupError):
        blocks = False
    if width is None and terminal:
        width = shutil.get_terminal_size().columns
    return Paint(styled if color == "auto" else color == "always", width, blocks)


def write_lines(lines: Iterable[str], output: str | None) -> None:
    """Write lines to a file, completely or not at all, or to standard output as they come."""
    if output is None or output == "-":
        for line in lines:
            # Characters outside the terminal's encoding become escapes.
            encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
            sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        return
    from nnr_codec.frameworks.atomic import replacing

    with replacing(output, overwrite=True) as file:
        for line in lines:
            file.write((line + "\n").encode("utf-8", "backslashreplace"))


@contextlib.contextmanager
def opened_streams(paths: Sequence[str], limits: Limits | None = None) -> Iterator[list[memoryview]]:
    """Memory-map files; ``-`` reads standard input."""
    from nnr_codec.codec.stream.input import opened

    with contextlib.ExitStack() as stack:
        bound = None if limits is None else limits.max_stream_bytes
        yield [
            stack.enter_context(opened(sys.stdin.buffer if path == "-" else path, bound)) for path in paths
        ]
