# SPDX-License-Identifier: Apache-2.0
"""Benchmark of the second core: the same work in one and in two processes, and block rows of one tensor in two threads.

    python -m tools.bench.second_core [--repeat N]   (tools/dev.py bench runs it too)
    python -m tools.bench.second_core --encode [--repeat N] [--cache FOLDER]

Processes share neither the interpreter lock nor written memory, so the gain of two processes bounds that of two threads.
The gain is below 2 where the cores share caches, memory or their host.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import nnr_codec
from tools.bench.models import Model, packaged, resnet56, synthetic

Work = Callable[[], object]
LEAST_SECONDS = 0.3
_LONGEST_SECONDS = 120.0


def decoding(stream: bytes) -> Work:
    """Create the work of decoding a stream."""
    return lambda: nnr_codec.decode(stream)


def encoding(model: Model, threads: int) -> Work:
    """Create the work of encoding a model with the default options."""
    return lambda: nnr_codec.encode(model.tensors, threads=threads)


def copying(n_bytes: int) -> Work:
    """Create the work of copying memory."""
    array = np.zeros(n_bytes, np.uint8)
    return array.copy


def gain(work: Work, repeat: int) -> float:
    """Ratio of the work of two parallel processes to that of one in the same wall time; median over pairs of measurements."""
    return gains(work, work, repeat)[0]


def gains(work: Work, in_threads: Work, repeat: int) -> tuple[float, float]:
    """Gain of two processes, and of `in_threads`, which is the same work in two threads, measured in turns; medians."""
    context = multiprocessing.get_context("fork")
    # The timeout ends the wait for a dead process.
    ready, done = context.Barrier(3, timeout=_LONGEST_SECONDS), context.Queue()
    # Enough calls that the wake-up time is negligible.
    calls = math.ceil(LEAST_SECONDS / min(_wall_seconds(work, 1) for _ in range(3)))

    def beside() -> None:
        work()
        for _ in range(repeat):
            ready.wait()
            done.put(_wall_seconds(work, calls))

    others = [context.Process(target=beside, daemon=True) for _ in range(2)]
    for process in others:
        process.start()
    of_processes = []
    of_threads = []
    for _ in range(repeat):
        # Alternate single and parallel measurements, so that load affects all.
        alone = _wall_seconds(work, calls)
        ready.wait()
        together = float(max(done.get(timeout=_LONGEST_SECONDS), done.get(timeout=_LONGEST_SECONDS)))
        of_processes.append(2 * alone / together)
        of_threads.append(alone / _wall_seconds(in_threads, calls))
    for process in others:
        process.join()
    return statistics.median(of_processes), statistics.median(of_threads)


def _wall_seconds(work: Work, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return time.perf_counter() - start


def encoding_rows(repeat: int, cache: Path) -> Iterator[str]:
    """Measure encoding at the default effort: the rows of a table of both gains."""
    large = np.random.default_rng(0).laplace(0, 1.15, (2048, 2048)).astype(np.float32)
    small = resnet56()
    models = [Model("one tensor of 4.2 M weights", {"weight": large}, 0), *([] if small is None else [small])]
    yield "| encode | 2 threads gain | 2 processes gain | of it |\n|---|---|---|---|"
    for model in itertools.chain(models, packaged(cache)):
        processes, threads = gains(encoding(model, 1), encoding(model, 2), repeat)
        yield f"| {model.name} | {threads:.2f} | {processes:.2f} | {threads / processes:.0%} |"
    one, five, fifteen = os.getloadavg()
    yield f"\nLoad averages at the end, these measurements included: {one:.1f}, {five:.1f}, {fifteen:.1f}."


def rows(repeat: int) -> list[tuple[str, float]]:
    """Measure the gain of several kinds of work."""

    def stream(model: Model) -> bytes:
        return nnr_codec.encode(model.tensors, qp=model.qp, effort="fast")

    kinds: list[tuple[str, Work]] = [
        (f"decode, one tensor at {model.name}", decoding(stream(model))) for model in synthetic()
    ]
    small: Any = resnet56()
    if small is not None:
        kinds.append(("decode, resnet56", decoding(stream(small))))
    kinds.append(("memory copy, 64 MB", copying(1 << 26)))
    return [(name, gain(work, repeat)) for name, work in kinds]


def table(repeat: int) -> str:
    """Render the gains as a Markdown table."""
    lines = ["| the same work | two processes gain |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {value:.2f} |" for name, value in rows(repeat)])


def entry_points(repeat: int) -> str:
    """Render the gain of two threads on one large tensor, and the cost of its entry points, as a Markdown table."""
    tensors = {"weight": np.random.default_rng(0).laplace(0, 5, (2000, 2000)).astype(np.float32)}
    lines = ["| scan_order, one tensor of 2000 x 2000 | bytes | more | 2 threads gain |", "|---|---|---|---|"]
    reference_size = 0
    for scan_order in range(5):
        stream = nnr_codec.encode(tensors, qp=0, effort="fast", scan_order=scan_order)
        reference_size = reference_size or len(stream)
        gains = []
        for _ in range(repeat):
            alone = _wall_seconds(decoding(stream), 1)
            gains.append(alone / _wall_seconds(functools.partial(nnr_codec.decode, stream, threads=2), 1))
        more = len(stream) / reference_size - 1
        lines.append(f"| {scan_order} | {len(stream)} | {more:.2%} | {statistics.median(gains):.2f} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--encode", action="store_true", help="measure encoding at the default effort only")
    parser.add_argument("--cache", type=Path, default=Path("build/bench-models"))
    options = parser.parse_args(arguments)
    if options.encode:
        for line in encoding_rows(options.repeat, options.cache):
            print(line, flush=True)
    else:
        print(table(options.repeat), entry_points(options.repeat), sep="\n\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
