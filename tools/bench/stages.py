# SPDX-License-Identifier: Apache-2.0
"""Benchmark of the stages of encoding and decoding: nanoseconds of processor time a weight, beside an earlier build.

    python -m tools.bench.stages [--repeat N] [--before PYTHON]

Each stage is one native call on one large tensor. "Rest" is the whole call without the stages above it: checks, the step, and
for the default effort the passes over its sample. The builds alternate, one process for each of N turns; figures are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.bench.builds import saved
from tools.bench.models import Model, synthetic

#: Prints seconds by stage as JSON, for the array of an npz file. It runs with both builds, whose modules differ.
_WORKER = """
import inspect, json, sys, time, numpy
import nnr_codec
from nnr_codec.entropy import TensorCoding, TensorToEncode, TensorToDecode, decode_payload, encode_payload, rate
from nnr_codec.quant import DEPENDENT_MSE, matched_lambda, quantize_dependent, quantize_rdo
try:
    from nnr_codec.codec.encode.effort import EFFORTS
except ImportError:
    from nnr_codec.codec.effort import EFFORTS
weights = numpy.load(sys.argv[1])["weight"]
flat, taken = weights.reshape(-1), {}
coding = TensorCoding(rows=weights.shape[0], width=weights.shape[1], unary_length=10, dependent=True)
def timed(name, work):
    work()
    start = time.process_time()
    result = work()
    taken[name] = time.process_time() - start
    return result
def known(function, **options):
    return {k: v for k, v in options.items() if k in inspect.signature(function).parameters}
for effort in ("fast", "medium"):
    preset = EFFORTS[effort]
    if effort == "fast":
        levels = timed("fast: trellis", lambda: quantize_dependent(flat, 1.0, coding))
    else:
        start = rate.search_initialisations(TensorToEncode(coding, levels))
        options = known(quantize_rdo, interval=getattr(preset, "interval", 0))
        levels = timed("default: search", lambda: quantize_rdo(
            flat, 1.0, coding, matched_lambda(DEPENDENT_MSE), initialisations=start, beam=preset.beam, **options))
    sample = known(TensorToEncode, search_sample=getattr(preset, "search_sample", 0))
    name = "default" if effort == "medium" else effort
    timed(name + ": initialisations", lambda: rate.search_initialisations(TensorToEncode(coding, levels, **sample)))
    plain = TensorToEncode(coding, levels, search_initialisations=False)
    timed(name + ": arithmetic coding", lambda: encode_payload([plain]))
    stream = timed(name + ": whole call", lambda: nnr_codec.encode({"weight": weights}, qp=0, effort=effort, threads=1))
    if effort == "fast":
        payload = encode_payload([plain]).payload
        timed("decode: arithmetic decoding", lambda: decode_payload(payload, [TensorToDecode(coding)]))
        timed("decode: whole call", lambda: nnr_codec.decode(stream, threads=1))
print(json.dumps(taken))
"""

#: Stages, and what bounds each.
STAGES = {
    "fast: trellis": "additions and minima of one weight after the other; the way back is one load a weight",
    "fast: initialisations": "nine estimates a bin, one bin of a context after the other; a sample of 8192 levels",
    "fast: arithmetic coding": "the range of one bin after the other",
    "fast: rest": "memory: checks and copies",
    "fast: whole call": "",
    "default: search": "table lookups of four candidates, the trellis, its two ways back, adaptation of contexts",
    "default: initialisations": "as above; a sample of 65536 levels",
    "default: arithmetic coding": "as above",
    "default: rest": "the sample: searches for the step, unary lengths",
    "default: whole call": "",
    "decode: arithmetic decoding": "a mispredicted branch for each weight that is not nearly certain, and the range",
    "decode: rest": "memory: products with the step, new pages of the array",
    "decode: whole call": "",
}
Figures = dict[str, float]


def measure(python: Path, path: Path, model: Model) -> Figures:
    """Run one build once; return nanoseconds a weight by stage."""
    with tempfile.TemporaryDirectory() as folder:
        output = subprocess.run(
            [python, "-c", _WORKER, path],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    taken: Figures = {name: 1e9 * value / model.n_weights for name, value in json.loads(output).items()}
    for group in ("fast", "default", "decode"):
        parts = [
            value for name, value in taken.items() if name.startswith(f"{group}:") and "whole" not in name
        ]
        taken[f"{group}: rest"] = taken[f"{group}: whole call"] - sum(parts)
    return taken


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--before", type=Path, help="interpreter of an environment with an earlier build")
    options = parser.parse_args(arguments)
    builds = [Path(sys.executable)] if options.before is None else [options.before, Path(sys.executable)]
    columns: list[list[Figures]] = []
    names = []
    with tempfile.TemporaryDirectory() as folder:
        for model in synthetic():
            path = saved(model.tensors, Path(folder) / f"{model.name}.npz")
            turns = [[measure(python, path, model) for python in builds] for _ in range(options.repeat)]
            columns += [list(turns_of_build) for turns_of_build in zip(*turns, strict=True)]
            names += [f"{model.name}{kind}" for kind in ((" before", "") if len(builds) > 1 else ("",))]
    print(f"| ns a weight | {' | '.join(names)} | bound by |\n|{'---|' * (len(names) + 2)}")
    for stage, bound in STAGES.items():
        cells = [f"{statistics.median(turn[stage] for turn in column):.1f}" for column in columns]
        print(f"| {stage} | {' | '.join(cells)} | {bound} |")
    one, five, fifteen = os.getloadavg()
    print(f"\nLoad averages at the end: {one:.1f}, {five:.1f}, {fifteen:.1f}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
