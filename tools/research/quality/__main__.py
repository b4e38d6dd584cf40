# SPDX-License-Identifier: Apache-2.0
"""Table of one model: bytes of every codec at three divergences, and relative to the first codec.

A codec is ``nncodec``, ``now`` or ``base`` (the interpreter of --baseline), the latter two with options of EncoderConfig, as in
``now:effort=fast,lambda_scale=0.7``. NNCodec and the baseline are measured once and cached.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

from tools.research.quality.codecs import Codec, NnrCodec, PeerCodec
from tools.research.quality.curve import Curve
from tools.research.quality.subjects import SUBJECTS

_DEFAULT_CODECS = ("nncodec", "base:effort=fast", "base:effort=medium", "now:effort=fast", "now:")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.research.quality", description=__doc__)
    parser.add_argument("model", nargs="+", choices=sorted(SUBJECTS))
    parser.add_argument("--cache", type=Path, required=True, help="folder of packages and cached results")
    parser.add_argument("--baseline", type=Path, help="interpreter of another build of nnr_codec")
    parser.add_argument("--codecs", nargs="+", default=_DEFAULT_CODECS)
    parser.add_argument("--threads", type=int, default=1, help="threads of evaluation")
    parser.add_argument("--points", action="store_true", help="print every point of every curve")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in options.model:
        subject = SUBJECTS[name](options.cache)
        print(f"## {name}: {subject.n_weights} weights, {subject.measure}\n")
        print("| codec | " + " | ".join(f"{point:g}" for point in subject.points) + " | mean | seconds |")
        print("|---" * (len(subject.points) + 3) + "|")
        reference: list[float] = []
        for text in options.codecs:
            codec = _codec(text, options.baseline)
            fixed = not text.startswith("now")
            curve = Curve(
                subject, codec, options.cache / "results" / name / f"{text}.json" if fixed else None
            )
            sizes = [curve.size_at(point) for point in subject.points]
            reference = reference or sizes
            changes = [100 * (size / other - 1) for size, other in zip(sizes, reference, strict=True)]
            cells = [f"{size:.0f} ({change:+.1f} %)" for size, change in zip(sizes, changes, strict=True)]
            print(
                f"| {text} | {' | '.join(cells)} | {sum(changes) / 3:+.1f} % | {curve.seconds():.2f} |",
                flush=True,
            )
            if options.points:
                for step, point in sorted(curve.points.items()):
                    print(
                        f"    {step:4d} {point.size_bytes:10d} {point.divergence:.6g} {point.seconds:.2f} s"
                    )
        print(flush=True)


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
