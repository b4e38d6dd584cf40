#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Decoding and encoding beside NNCodec: medians of ratios from one run, as a Markdown table.

Processor time, not wall time: other load on the machine disturbs it less. The two codecs take turns.
``python -m tools.bench.speed [--repeat N] [NAME=MODEL.npz ...]``
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nnr_codec
from tools.peer.client import Peer

Model = dict[str, NDArray[Any]]

#: Bits a weight, and the scale of Laplacian weights that takes about so many at a step of 1.
SYNTHETIC = {"4 bits": 5.0, "2 bits": 1.15, "0.3 bits": 0.17}
SYNTHETIC_SHAPE = (1000, 1000)
MODEL_QP = -32


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def models(paths: list[str]) -> dict[str, tuple[Model, int]]:
    """Return the models to measure and their quantisation parameters."""
    random = np.random.default_rng(0)
    found: dict[str, tuple[Model, int]] = {
        name: ({"weight": random.laplace(0, scale, SYNTHETIC_SHAPE).astype(np.float32)}, 0)
        for name, scale in SYNTHETIC.items()
    }
    for entry in paths:
        name, _, path = entry.partition("=")
        with np.load(path) as archive:
            floats = {key: archive[key] for key in archive.files if archive[key].dtype == np.float32}
        found[name] = (floats, MODEL_QP)
    return found


def row(peer: Peer, name: str, model: Model, qp: int, repeat: int) -> str:
    """Measure one model; its line of the table."""
    stream = peer.encode(model, qp=qp, dependent=True)
    weights = sum(tensor.size for tensor in model.values())
    figures: dict[str, list[float]] = {
        key: [] for key in ("decode", "decode C++", "encode", "ours", "ours encoding")
    }
    for _ in range(repeat):
        theirs = peer.time_decode(stream, repeat=1)
        ours = cpu_seconds(lambda: nnr_codec.decode(stream))
        figures["ours"].append(weights / ours / 1e6)
        figures["decode"].append(theirs.api_cpu_seconds[0] / ours)
        # Their compiled part alone against our whole call: the least favourable comparison.
        figures["decode C++"].append(theirs.native_cpu_seconds[0] / ours)
        theirs = peer.time_encode(model, repeat=1, qp=qp, dependent=True)
        ours = cpu_seconds(lambda: nnr_codec.encode(model, qp=qp))
        figures["ours encoding"].append(weights / ours / 1e6)
        figures["encode"].append(theirs.api_cpu_seconds[0] / ours)
    middle = {key: statistics.median(values) for key, values in figures.items()}
    return (
        f"| {name} | {8 * len(stream) / weights:.2f} | {middle['ours']:.1f} | {middle['decode']:.2f} "
        f"| {middle['decode C++']:.2f} | {middle['ours encoding']:.1f} | {middle['encode']:.2f} |"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("models", nargs="*", metavar="NAME=MODEL.npz")
    options = parser.parse_args(arguments)
    print("| model | bits/weight | decode, M weights/s | x peer | x its C++ | encode, M weights/s | x peer |")
    print("|---|---|---|---|---|---|---|")
    with Peer() as peer:
        for name, (model, qp) in models(options.models).items():
            print(row(peer, name, model, qp, options.repeat), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
