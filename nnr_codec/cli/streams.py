# SPDX-License-Identifier: Apache-2.0
"""Standard input and output as operands."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import click

from nnr_codec.errors import BitstreamError

#: /dev/stdout is included because it may be a redirected regular file, which would count as an existing file.
_INPUTS = frozenset({"-", "/dev/stdin"})
_OUTPUTS = frozenset({"-", "/dev/stdout"})


def input_operand(operand: str) -> str | BinaryIO:
    """Return a path, or standard input for ``-``."""
    return sys.stdin.buffer if operand in _INPUTS else operand


def output_operand(operand: str | None, input_name: str) -> str | BinaryIO | None:
    """Return a path, or standard output for ``-``. Standard output is the default if the input is standard input."""
    if operand is None and input_name in _INPUTS:
        return sys.stdout.buffer
    return sys.stdout.buffer if operand in _OUTPUTS else operand


@contextmanager
def naming_stream(operand: str) -> Iterator[None]:
    """Put the name of the stream's file before the message of a fault in it."""
    try:
        yield
    except BitstreamError as error:
        # Imported late: model files are of no concern to a stream that is sound.
        from nnr_codec.files.paths import refuse_model_as_input

        refuse_model_as_input(operand)
        raise click.ClickException(f"{operand}: {error}") from None
