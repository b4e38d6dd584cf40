# SPDX-License-Identifier: Apache-2.0
"""Benchmark of whole encoding calls on one core: against NNCodec and against an earlier build.

    python -m tools.bench.encoding [--repeat N] [--cache FOLDER] [--before PYTHON] [--efforts EFFORT...] [MODEL...]

Figures are processor time, in which the codecs alternate; the table has medians of ratios. ``--before`` is the interpreter
of an environment with an earlier build of this package. With ``--efforts`` each effort is compared with the same effort of the
earlier build, at equal errors, and with nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import nnr_codec
from conformance.peers.client import Peer
from tools.bench.builds import Build, saved
from tools.bench.models import Model, packaged, resnet56, smollm2, synthetic

DEFAULT = "medium"
# Layers of "smollm2-part", because NNCodec takes minutes for the whole model.
_LAYERS = (0, 10, 20, 29)


def models(cache: Path, names: list[str]) -> Iterator[Model]:
    """Load the single tensors and the networks, or those of `names`."""
    wanted = set(names)
    yield from (model for model in synthetic() if not wanted or model.name in wanted)
    small = resnet56()
    if small is not None and (not wanted or small.name in wanted):
        yield small
    yield from packaged(cache, names)
    if "smollm2" in wanted:
        yield smollm2(cache)
    if not wanted or "smollm2-part" in wanted:
        yield smollm2(cache, _LAYERS)


def error_options(model: Model, path: Path, build: Build) -> dict[str, Any]:
    """Options for the error of a model: the default, or for a single tensor that of `fast` at the model's step."""
    if len(model.tensors) > 1:
        return {}
    stream = path.with_suffix(".nnr")
    build.encode(path, stream, qp=model.qp, effort="fast")
    ((name, weights),) = model.tensors.items()
    error = nnr_codec.decode(stream)[name] - weights
    return {"relative_error": round(float(np.sqrt((error**2).mean() / (weights**2).mean())), 3)}


class Samples:
    """Ratios and values by column, and their medians."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def note(self, column: str, value: float) -> None:
        """Add one measurement."""
        self._values.setdefault(column, []).append(value)

    def cell(self, column: str, precision: int = 2) -> str:
        """Render a median; a dash if nothing was measured."""
        values = self._values.get(column)
        return f"{statistics.median(values):.{precision}f}" if values else "-"


HEAD = (
    "| model | M weights | bits: `fast` | default | NNCodec / `fast` | NNCodec / default | `fast` / `fast` before "
    "| default / `fast` before | relative error | bits: `fast` before | default | default / `fast` before |\n|"
    + "---|"
    * 12
)


def row(
    model: Model, path: Path, now: Build, before: Build | None, peer: Peer, repeat: int, peer_repeat: int
) -> str:
    """Measure one model, whose tensors are at `path`: at its step beside NNCodec, then at equal errors."""
    at_error = error_options(model, path, now)
    samples = Samples()
    for turn in range(repeat):
        fast, fast_size = now.encode(path, qp=model.qp, effort="fast")
        default, default_size = now.encode(path, qp=model.qp, effort=DEFAULT)
        samples.note("fast bits", 8 * fast_size / model.n_weights)
        samples.note("default bits", 8 * default_size / model.n_weights)
        at_error_seconds, at_error_size = now.encode(path, effort=DEFAULT, **at_error)
        samples.note("default error bits", 8 * at_error_size / model.n_weights)
        if before is not None:
            former, _ = before.encode(path, qp=model.qp, effort="fast")
            samples.note("fast over former", fast / former)
            samples.note("default over former", default / former)
            former, size = before.encode(path, effort="fast", **at_error)
            samples.note("fast error bits", 8 * size / model.n_weights)
            samples.note("default error over former", at_error_seconds / former)
        if turn < peer_repeat:
            _, theirs = peer.encode_timed(model.tensors, qp=model.qp, dependent=True)
            samples.note("peer over fast", theirs / fast)
            samples.note("peer over default", theirs / default)
    error = at_error.get("relative_error", "default")
    return (
        f"| {model.name} | {model.n_weights / 1e6:.1f} | {samples.cell('fast bits')} | {samples.cell('default bits')} "
        f"| {samples.cell('peer over fast')} | {samples.cell('peer over default')} | {samples.cell('fast over former')} "
        f"| {samples.cell('default over former')} | {error} | {samples.cell('fast error bits')} "
        f"| {samples.cell('default error bits')} | {samples.cell('default error over former')} |"
    )


EFFORT_HEAD = "| model | effort | relative error | bits before | bits | time / time before |\n|" + "---|" * 6


def effort_rows(
    model: Model, path: Path, now: Build, before: Build, efforts: list[str], repeat: int
) -> Iterator[str]:
    """Measure efforts against the same efforts of the earlier build."""
    at_error = error_options(model, path, now)
    for effort in efforts:
        samples = Samples()
        for _ in range(repeat):
            ours, size = now.encode(path, effort=effort, **at_error)
            former, former_size = before.encode(path, effort=effort, **at_error)
            samples.note("bits", 8 * size / model.n_weights)
            samples.note("former bits", 8 * former_size / model.n_weights)
            samples.note("time", ours / former)
        error = at_error.get("relative_error", "default")
        yield (
            f"| {model.name} | {effort} | {error} | {samples.cell('former bits', 3)} | {samples.cell('bits', 3)} "
            f"| {samples.cell('time')} |"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--peer-repeat", type=int, default=7, help="repetitions of NNCodec, which is slow")
    parser.add_argument("--cache", type=Path, default=Path("build/bench-models"))
    parser.add_argument("--before", type=Path, help="interpreter of an environment with an earlier build")
    parser.add_argument("--efforts", nargs="+", default=[], help="efforts to compare with the earlier build")
    parser.add_argument("models", nargs="*", help="names of the models; default: all")
    options = parser.parse_args(arguments)
    if options.efforts and options.before is None:
        parser.error("--efforts needs --before")
    print(EFFORT_HEAD if options.efforts else HEAD, flush=True)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        now = stack.enter_context(Build(sys.executable))
        before = None if options.before is None else stack.enter_context(Build(options.before))
        peer = stack.enter_context(Peer(timeout_seconds=3600))
        for model in models(options.cache, options.models):
            path = saved(model.tensors, Path(folder) / f"{model.name}.npz")
            if before is not None and options.efforts:
                for line in effort_rows(model, path, now, before, options.efforts, options.repeat):
                    print(line, flush=True)
            else:
                print(row(model, path, now, before, peer, options.repeat, options.peer_repeat), flush=True)
            path.unlink()
    one, five, fifteen = os.getloadavg()
    print(f"\nLoad averages at the end: {one:.1f}, {five:.1f}, {fifteen:.1f}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
