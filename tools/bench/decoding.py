# SPDX-License-Identifier: Apache-2.0
"""Benchmark of whole decoding calls: against NNCodec, an earlier build, and two processes.

    python -m tools.bench.decoding [--repeat N] [--cache FOLDER] [--before PYTHON]

One core is processor time, in which the decoders alternate; two cores are wall time, which needs an idle machine. ``--before``
is the interpreter of an environment with an earlier build of this package. The stream of resnet56 is NNCodec's, and
NNCodec decodes it too; the others are encoded with ``effort="fast"``. The lines behind the table give the time in which native
code alone parses the header of each stream's median data unit.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import nnr_codec
from conformance.peers.client import Peer
from nnr_codec._native import UnitBatch
from nnr_codec.codec.stream.stream_reader import StreamReader
from nnr_codec.model import Limits
from tools import libnnr
from tools.bench import second_core
from tools.bench.builds import Build
from tools.bench.models import MODEL_QP, Model, packaged, resnet56
from tools.bench.speed import seconds


def models(cache: Path) -> Iterator[Model]:
    """Load resnet56 if it is here, the networks of packages, and 10,000 matrices of 64 weights."""
    small = resnet56()
    if small is not None:
        yield small
    yield from packaged(cache)
    random = np.random.default_rng(0)
    names = [f"layer{i}.weight" for i in range(10_000)]
    yield Model(
        "10,000 x 64", {name: random.laplace(0, 1, (8, 8)).astype(np.float32) for name in names}, MODEL_QP
    )


def header_seconds(stream: bytes) -> float:
    """Processor time a unit of reading all headers of a stream, Python included."""

    def n_units() -> int:
        reader = StreamReader(memoryview(stream), Limits(), {})
        return sum(len(step) if isinstance(step, UnitBatch) else 1 for step in reader)

    # The first walk also warms the caches.
    n_read = n_units()
    return seconds(n_units) / n_read


def row(peer: Peer, before: Build | None, model: Model, path: Path, repeat: int) -> str:
    """Measure one model, written to `path`, and render its row."""
    compared = model.name == "resnet56"
    if compared:
        stream = peer.encode(model.tensors, qp=model.qp, dependent=True)
    else:
        stream = nnr_codec.encode(model.tensors, qp=model.qp, effort="fast")
    path.write_bytes(stream)
    ours: list[float] = []
    ratios: list[float] = []
    headers: list[float] = []
    earlier: list[float] = []
    if before is not None:
        before.decode(path)
    nnr_codec.decode(stream)
    for _ in range(repeat):
        ours.append(seconds(lambda: nnr_codec.decode(stream, threads=1)))
        if compared:
            ratios.append(peer.time_decode(stream, repeat=1).api_cpu_seconds[0] / ours[-1])
        if before is not None:
            earlier.append(before.decode(path) / ours[-1])
        headers.append(header_seconds(stream))
    processes, threads = second_core.gains(
        lambda: nnr_codec.decode(stream, threads=1), lambda: nnr_codec.decode(stream, threads=2), repeat
    )
    against = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})" if ratios else "-"
    faster = f"{statistics.median(earlier):.2f}" if earlier else "-"
    return (
        f"| {model.name} | {1e3 * statistics.median(ours):.1f} | {against} | {faster} | {1e6 * statistics.median(headers):.2f} "
        f"| {threads:.2f} | {processes:.2f} | {threads / processes:.0%} |"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--cache", type=Path, default=Path("build/bench-models"))
    parser.add_argument("--before", type=Path, help="interpreter of an environment with an earlier build")
    options = parser.parse_args(arguments)
    print(
        "| model | ms | x NNCodec | x before | headers, us a unit | 2 threads gain | 2 processes gain | of it |\n|"
        + "---|" * 8
    )
    header_bench = libnnr.build("libnnr-bench", quiet=True) / "header_bench"
    with contextlib.ExitStack() as stack:
        peer = stack.enter_context(Peer(timeout_seconds=900))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        before = None if options.before is None else stack.enter_context(Build(options.before))
        paths = []
        for model in models(options.cache):
            paths.append(Path(folder) / f"{model.name.replace(' ', '-')}.nnr")
            print(row(peer, before, model, paths[-1], options.repeat), flush=True)
        print("\nHeaders in native code alone:", flush=True)
        subprocess.run([header_bench, *(path.name for path in paths)], cwd=folder, check=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
