# SPDX-License-Identifier: Apache-2.0
"""Table of one model: bytes of every codec at three divergences, and relative to the first codec.

A codec is ``nncodec``, ``now`` or ``base`` (the interpreter of --baseline), the latter two with options of EncoderConfig, as in
``now:effort=fast,lambda_scale=0.7``; or the search of ``nnr compress`` with real inputs (``inputs``) or made ones (``made``), for
each of --seeds, with ``reparametrise=true`` among the options. NNCodec and the baseline are measured once and cached.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tools.research.quality.calibrated import CalibratedCodec, measured_once
from tools.research.quality.codecs import Codec, NnrCodec, PeerCodec
from tools.research.quality.curve import Curve
from tools.research.quality.subject import Subject
from tools.research.quality.subjects import SUBJECTS

_DEFAULT_CODECS = ("nncodec", "base:effort=fast", "base:effort=medium", "now:effort=fast", "now:")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.research.quality", description=__doc__)
    parser.add_argument("model", nargs="+", choices=sorted(SUBJECTS))
    parser.add_argument("--cache", type=Path, required=True, help="folder of packages and cached results")
    parser.add_argument("--baseline", type=Path, help="interpreter of another build of nnr_codec")
    parser.add_argument("--codecs", nargs="+", default=_DEFAULT_CODECS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], help="seeds of calibration inputs")
    parser.add_argument("--threads", type=int, default=1, help="threads of evaluation")
    parser.add_argument("--points", action="store_true", help="print every point of every curve")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in options.model:
        subject = SUBJECTS[name](options.cache)
        if subject.calibration is not None:
            subject = replace(subject, calibration=measured_once(subject.calibration))
        print(f"## {name}: {subject.n_weights} weights, {subject.measure}\n")
        print("| codec | " + " | ".join(f"{point:g}" for point in subject.points) + " | mean | seconds |")
        print("|---" * (len(subject.points) + 3) + "|")
        reference: NDArray[np.float64] | None = None
        for text in options.codecs:
            cache = options.cache / "results" / name / f"{text}.json"
            fixed = text.startswith(("nncodec", "base"))
            curves = [
                Curve(subject, codec, cache if fixed else None)
                for codec in _codecs(text, subject, options.baseline, options.seeds)
            ]
            sizes = np.array([[curve.size_at(point) for point in subject.points] for curve in curves])
            reference = sizes.mean(0) if reference is None else reference
            print(f"| {text} | {_cells(sizes, reference)} | {curves[0].seconds():.2f} |", flush=True)
            if options.points:
                _print_points(curves)
        print(flush=True)


def _cells(sizes: NDArray[np.float64], reference: NDArray[np.float64]) -> str:
    """Return the columns of sizes: means over seeds, with half of their range."""
    changes = 100 * (sizes / reference - 1)
    cells = []
    for size, change in zip(sizes.T, changes.T, strict=True):
        spread = f" ± {np.ptp(change) / 2:.1f}" if len(change) > 1 else ""
        cells.append(f"{size.mean():.0f} ({change.mean():+.1f}{spread} %)")
    return f"{' | '.join(cells)} | {changes.mean():+.1f} %"


def _print_points(curves: list[Curve]) -> None:
    for curve in curves:
        for step, point in sorted(curve.points.items()):
            print(f"    {step:4d} {point.size_bytes:10d} {point.divergence:.6g} {point.seconds:.2f} s")


def _codecs(text: str, subject: Subject, baseline: Path | None, seeds: list[int]) -> list[Codec]:
    kind, _, listed = text.partition(":")
    if kind not in ("inputs", "made"):
        return [_codec(text, baseline)]
    calibration = subject.calibration
    if calibration is None:
        raise SystemExit(f"{subject.name} has no calibration")
    options = dict(_option(item) for item in listed.split(",") if item)
    reparametrise = bool(options.pop("reparametrise", False))
    return [
        CalibratedCodec(
            text,
            functools.partial(calibration, kind == "made", seed),
            reparametrise=reparametrise,
            options=options,
        )
        for seed in seeds
    ]


def _codec(text: str, baseline: Path | None) -> Codec:
    kind, _, listed = text.partition(":")
    if kind == "nncodec":
        return PeerCodec()
    if kind == "base" and baseline is None:
        raise SystemExit("--baseline names the interpreter of another build")
    python = Path(sys.executable) if baseline is None or kind == "now" else baseline
    return NnrCodec(text, python, dict(_option(item) for item in listed.split(",") if item))


def _option(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


if __name__ == "__main__":
    main()
