# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share: which vectors, and what a decoder may spend."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnr_conformance.errors import UsageError
from nnr_conformance.features import FEATURES
from nnr_conformance.limits import Limits
from nnr_conformance.selection import Selection, parse_shard
from nnr_conformance.vector import SIZE_CLASSES


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Which vectors."""
    parser.add_argument("ids", nargs="*", metavar="ID", help="ids or globs over them")
    parser.add_argument("--suites", type=Path, metavar="DIR", help="where the suites are")
    parser.add_argument("--suite", action="append", default=[], metavar="NAME", help="core, extended, ...")
    parser.add_argument("--feature", action="append", default=[], metavar="NAME")
    parser.add_argument("--clause", action="append", default=[], metavar="5.3", help="with its subclauses")
    parser.add_argument("--element", action="append", default=[], metavar="NAME", help="a syntax element")
    parser.add_argument("--profile", action="append", default=[], type=int, choices=(0, 1))
    parser.add_argument("--requirement", default="", choices=("shall", "should"))
    parser.add_argument("--max-size", default="", choices=SIZE_CLASSES)
    parser.add_argument("--shard", default="", metavar="I/N")


def selection_of(options: argparse.Namespace) -> Selection:
    """The selection that the options ask for."""
    if unknown := [name for name in options.feature if name not in FEATURES]:
        raise UsageError(f"no feature {unknown[0]!r}; there is {', '.join(FEATURES)}")
    return Selection(
        ids=tuple(options.ids),
        features=tuple(options.feature),
        clauses=tuple(options.clause),
        elements=tuple(options.element),
        profiles=tuple(options.profile),
        requirement=options.requirement,
        max_size=options.max_size,
        shard=parse_shard(options.shard) if options.shard else None,
    )


def add_limits(parser: argparse.ArgumentParser) -> None:
    """What a decoder may spend on a vector."""
    parser.add_argument(
        "--seconds", type=float, default=Limits.seconds, help="per vector; a vector may ask for less"
    )
    parser.add_argument(
        "--cpu-seconds", type=float, default=None, help="CPU time of all the decoder's processes"
    )
    parser.add_argument(
        "--memory-mib", type=int, default=Limits.memory_bytes >> 20, help="of all its processes"
    )
    parser.add_argument(
        "--time-scale", type=float, default=1.0, help="multiplies the vectors' own time bounds"
    )


def limits_of(options: argparse.Namespace) -> Limits:
    """The limits that the options ask for."""
    if min(options.seconds, options.memory_mib, options.time_scale) <= 0:
        raise UsageError("limits are positive")
    return Limits(
        seconds=options.seconds,
        memory_bytes=options.memory_mib << 20,
        time_scale=options.time_scale,
        cpu_seconds=options.cpu_seconds,
    )
