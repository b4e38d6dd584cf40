# SPDX-License-Identifier: Apache-2.0
"""Command line interface ``nnr``. Each command imports its dependencies when it runs."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``nnr`` and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments without the program name; by default those of the process.

    Returns
    -------
    int
        0 success, 1 error, 2 wrong usage, 130 interrupted, 141 broken pipe. Some commands define further codes.
    """
    from nnr_codec.cli.app import run

    return run(arguments)
