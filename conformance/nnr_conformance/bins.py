# SPDX-License-Identifier: Apache-2.0
"""Bin traces: the state of the arithmetic decoder after every bin, one line each."""

from __future__ import annotations

from itertools import zip_longest

from nnr_conformance.layers import Comparison

COLUMNS = ("bin", "element", "kind", "context", "value", "range", "offset", "bits_read", "s0", "s1")
"""Columns of a line, separated by tabs; those of the worked examples (specification, A.2)."""
HEADING = "\t".join(COLUMNS)


def first_wrong_bin(comparison: Comparison) -> list[str]:
    """Describe the first bin that differs from the stored trace; empty without traces on both sides, or a difference."""
    for stream, (file, answer) in enumerate(
        zip(comparison.vector.expect.bins or (), comparison.answers, strict=False)
    ):
        if answer.bins is None:
            continue
        wanted = comparison.suite.read(file).decode("utf-8").splitlines()
        for number, (want, actual) in enumerate(zip_longest(wanted, answer.bins.splitlines())):
            if want != actual:
                return [
                    f"first bin  stream {stream}, line {number + 1}: {' '.join(COLUMNS)}",
                    f"expected   {_shown(want)}",
                    f"actual     {_shown(actual)}",
                ]
    return []


def _shown(line: str | None) -> str:
    return "the end" if line is None else line.replace("\t", " ")
