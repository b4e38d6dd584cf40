# SPDX-License-Identifier: Apache-2.0
"""Benchmark of decoding and encoding against NNCodec: medians of one run, as Markdown tables and a plot.

It also measures the bare loop of the arithmetic engine, the gain of a second core, and start-up.

    python -m tools.bench.speed [--repeat N] [--cache FOLDER] [--engine PROGRAM] [--plot FILE.png] [MODEL...]

Single-core figures are processor time, which other load disturbs less than wall time. The two codecs alternate on the
same streams. The gain of two threads is wall time and needs an idle machine.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import nnr_codec
from conformance.peers.client import Peer
from tools.bench import second_core
from tools.bench.models import Model, packaged, resnet56, synthetic
from tools.bench.scale import start_up

Figures = dict[str, float]


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Time one call."""
    start = clock()
    work()
    return clock() - start


def measure(peer: Peer, model: Model, repeat: int, peer_repeat: int) -> Figures:
    """Measure one model: medians over repetitions."""
    stream = peer.encode(model.tensors, qp=model.qp, dependent=True)
    samples: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        samples.setdefault(name, []).append(value)

    def encode(threads: int = 1) -> bytes:
        return nnr_codec.encode(model.tensors, qp=model.qp, effort="fast", threads=threads)

    def decode(threads: int = 1) -> object:
        return nnr_codec.decode(stream, threads=threads)

    decoded = nnr_codec.decode(stream)
    for turn in range(repeat):
        ours = seconds(decode)
        note("decode", model.n_weights / ours / 1e6)
        encoding = seconds(encode)
        note("encode", model.n_weights / encoding / 1e6)
        works: tuple[tuple[str, Callable[[int], object]], ...] = (("decode", decode), ("encode", encode))
        for name, work in works:
            one = seconds(functools.partial(work, 1), time.perf_counter)
            two = seconds(functools.partial(work, 2), time.perf_counter)
            note(f"{name} two threads", one / two)
        note("copy", model.n_weights / seconds(lambda: [array.copy() for array in decoded.values()]) / 1e6)
        if turn >= peer_repeat:
            continue
        theirs = peer.time_decode(stream, repeat=1)
        note("decode ratio", theirs.api_cpu_seconds[0] / ours)
        # The compiled part of NNCodec against the whole call of this codec.
        note("decode C++ ratio", theirs.native_cpu_seconds[0] / ours)
        note(
            "encode ratio",
            peer.time_encode(model.tensors, repeat=1, qp=model.qp, dependent=True).api_cpu_seconds[0]
            / encoding,
        )
    figures = {name: statistics.median(values) for name, values in samples.items()}
    return figures | {"bits": 8 * len(stream) / model.n_weights, "tensors": len(model.tensors)}


def row(name: str, f: Figures) -> str:
    """Render the row of a model."""
    return (
        f"| {name} | {f['tensors']:.0f} | {f['bits']:.2f} | {f['decode']:.1f} | {f['decode ratio']:.2f} "
        f"| {f['decode C++ ratio']:.2f} | {f['decode two threads']:.2f} | {f['encode']:.2f} "
        f"| {f['encode ratio']:.2f} | {f['encode two threads']:.2f} | {f['copy']:.0f} |"
    )


HEAD = (
    "| model | tensors | bits/weight | decode, M weights/s | x NNCodec | x its C++ alone | 2 threads gain "
    "| encode, M weights/s | x NNCodec | 2 threads gain | memory copy, M weights/s |\n|" + "---|" * 11
)
ENGINE_HEAD = (
    "| bits/weight | dependent | bins/weight | bare loop, M bins/s | two interleaved | decoder | of the bare loop "
    "| search, ns/weight | encoder, ns/weight |\n|" + "---|" * 9
)


def engine_rows(program: Path) -> Iterator[str]:
    """Run the engine benchmark and yield the rows of its table."""
    output = subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout
    for line in output.splitlines():
        f: dict[str, Any] = json.loads(line)
        bare, decoder = f["bare_bins_per_second"] / 1e6, f["decoder_bins_per_second"] / 1e6
        yield (
            f"| {f['bits_per_weight']:.2f} | {f['dependent']} | {f['bins_per_weight']:.2f} | {bare:.0f} "
            f"| {f['interleaved_bins_per_second'] / 1e6:.0f} | {decoder:.0f} | {decoder / bare:.0%} "
            f"| {f['search_ns_per_weight']:.0f} | {f['encoder_ns_per_weight']:.0f} |"
        )


def target_ratios(model: str) -> dict[str, float]:
    """Target speed ratios of a model, relative to NNCodec."""
    least = {"4 bits": 2.2, "2 bits": 2.2, "0.3 bits": 2.8}.get(model, 3.5)
    return {"decode": least, "encode": 8.0}


def plot(path: Path, measured: dict[str, Figures]) -> None:
    """Plot the ratios as bars with a line for each target."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4))
    places = np.arange(len(measured))
    for shift, key in ((-0.2, "decode"), (0.2, "encode")):
        axes.bar(places + shift, [f[f"{key} ratio"] for f in measured.values()], 0.38, label=key)
        least = [target_ratios(model)[key] for model in measured]
        axes.hlines(least, places + shift - 0.19, places + shift + 0.19, color="black")
    axes.hlines([], 0, 0, color="black", label="target")
    axes.set_xticks(places, list(measured), rotation=20)
    axes.set_ylabel("times NNCodec's speed, one core")
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    figure.savefig(path, bbox_inches="tight", dpi=80)


def plot_saved(path: Path, tables: Path) -> None:
    """Plot the ratios of saved tables of earlier runs."""
    measured = {}
    for line in tables.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if len(cells) == len(HEAD.splitlines()[0].strip("|").split("|")) and cells[1].isdigit():
            measured[cells[0]] = {"decode ratio": float(cells[4]), "encode ratio": float(cells[8])}
    plot(path, measured)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument(
        "--peer-repeat", type=int, default=3, help="repetitions of NNCodec, whose encoder is slow"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("build/bench-models"), help="folder of downloaded packages"
    )
    parser.add_argument("--engine", type=Path, help="path of the compiled engine_bench")
    parser.add_argument("--plot", type=Path, help="file of the plot; needs matplotlib")
    parser.add_argument("--tables", type=Path, help="with --plot: plot saved tables and measure nothing")
    parser.add_argument("--no-machine", action="store_true", help="skip the second core and start-up")
    parser.add_argument("models", nargs="*", help="names of the models; default: all")
    options = parser.parse_args(arguments)
    if options.tables is not None:
        plot_saved(options.plot, options.tables)
        return 0

    def models() -> Iterator[Model]:
        yield from synthetic()
        small = resnet56()
        if small is not None:
            yield small
        yield from packaged(options.cache)

    measured: dict[str, Figures] = {}
    print(HEAD)
    with Peer(timeout_seconds=900) as peer:
        for model in models():
            if options.models and model.name not in options.models:
                continue
            measured[model.name] = measure(peer, model, options.repeat, options.peer_repeat)
            print(row(model.name, measured[model.name]), flush=True)
    if options.engine is not None:
        print(f"\n{ENGINE_HEAD}")
        for line in engine_rows(options.engine):
            print(line)
    if not options.no_machine:
        print(f"\n{second_core.table(options.repeat)}\n\n{second_core.entry_points(options.repeat)}")
        with tempfile.TemporaryDirectory() as folder:
            stream = Path(folder) / "large.nnr"
            # NaN is stored raw, which creates a stream of 134 MB without encoding time.
            stream.write_bytes(nnr_codec.encode({"weight": np.full(1 << 25, np.nan, np.float32)}))
            start_up(stream)
    if options.plot is not None:
        plot(options.plot, measured)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
