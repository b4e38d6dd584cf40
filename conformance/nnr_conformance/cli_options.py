# SPDX-License-Identifier: Apache-2.0
"""Command-line options shared by several commands: selection of vectors and limits."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnr_conformance.errors import UsageError
from nnr_conformance.features import FEATURES
from nnr_conformance.limits import Limits
from nnr_conformance.selection import Selection, parse_shard
from nnr_conformance.vector import SIZE_CLASSES


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add the options that select vectors."""
    parser.add_argument("ids", nargs="*", metavar="ID", help="vector ids or globs")
    parser.add_argument(
        "--suites",
        type=Path,
        metavar="DIR",
        help="folder of the suites; default: $NNR_SUITES, else conformance/suites, else the installed ones",
    )
    parser.add_argument(
        "--suite",
        action="append",
        default=[],
        metavar="NAME",
        help="core, extended, invalid or resource; repeatable",
    )
    parser.add_argument("--feature", action="append", default=[], metavar="NAME")
    parser.add_argument(
        "--clause",
        action="append",
        default=[],
        metavar="5.3",
        help="clause of the specification, with its subclauses",
    )
    parser.add_argument("--element", action="append", default=[], metavar="NAME", help="syntax element")
    parser.add_argument("--profile", action="append", default=[], type=int, choices=(0, 1))
    parser.add_argument("--requirement", default="", choices=("shall", "should"))
    parser.add_argument("--max-size", default="", choices=SIZE_CLASSES)
    parser.add_argument("--shard", default="", metavar="I/N")


def selection_of(options: argparse.Namespace) -> Selection:
    """Create the selection that the options describe."""
    if unknown := [name for name in options.feature if name not in FEATURES]:
        raise UsageError(f"unknown feature {unknown[0]!r}; known: {', '.join(FEATURES)}")
    return Selection(
        suites=tuple(options.suite),
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
    """Add the options that limit a decoder."""
    parser.add_argument(
        "--seconds",
        type=float,
        default=Limits.seconds,
        help="wall-clock seconds per vector; a vector may have a lower bound",
    )
    parser.add_argument(
        "--cpu-seconds",
        type=float,
        default=None,
        help="CPU seconds per vector, over all processes of the decoder",
    )
    parser.add_argument(
        "--memory-mib",
        type=int,
        default=Limits.memory_bytes >> 20,
        help="resident memory of all processes of the decoder",
    )
    parser.add_argument(
        "--time-scale",
        type=float,
        default=1.0,
        help="factor on the time bounds of vectors, for slow machines",
    )


def limits_of(options: argparse.Namespace) -> Limits:
    """Create the limits that the options describe."""
    if min(options.seconds, options.memory_mib, options.time_scale) <= 0:
        raise UsageError("limits must be positive")
    return Limits(
        seconds=options.seconds,
        memory_bytes=options.memory_mib << 20,
        time_scale=options.time_scale,
        cpu_seconds=options.cpu_seconds,
    )
