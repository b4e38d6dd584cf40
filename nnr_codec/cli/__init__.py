# SPDX-License-Identifier: Apache-2.0
"""The command ``nnr``. Importing this imports nothing else; each command loads what it needs when it runs."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``nnr`` and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; by default the process's own.

    Returns
    -------
    int
        0 success, 1 error, 2 wrong usage, 130 interrupted, 141 the reader of the output went away. A command
        may return others of its own.
    """
    from nnr_codec.cli.app import run

    return run(arguments)
