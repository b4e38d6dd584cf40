# SPDX-License-Identifier: Apache-2.0
"""Table of group quantisers, and the size of streams of ``nnr compress`` at the divergence of each.

Calibration tokens are the same. Sizes are those of weights, scales and zero points of all matrices; vectors are float32. A stream
counts whole. With --output-error the divergence is the mean over matrices of the squared error of their outputs, relative to the
outputs, on the calibration tokens: the model need not run for each row.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nnr_codec.quant import Curvature
from tools.research.quality.calibrated import CalibratedCodec, MeasuredOnce, measured_once
from tools.research.quality.curve import Curve
from tools.research.quality.group_quantizers import BlockType, GroupQuantizer
from tools.research.quality.subject import Calibration, Subject, Tensors
from tools.research.quality.subjects import SUBJECTS

_QUANTIZERS: tuple[GroupQuantizer | BlockType, ...] = (
    GroupQuantizer(4, 32, False),
    GroupQuantizer(4, 128, False),
    GroupQuantizer(3, 32, False),
    GroupQuantizer(3, 128, False),
    *(GroupQuantizer(bits, group, True) for bits in (4, 3, 2) for group in (64, 32)),
    BlockType("Q4_0"),
    BlockType("Q4_1"),
)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.research.quality.groups", description=__doc__)
    parser.add_argument("model", choices=sorted(SUBJECTS))
    parser.add_argument("--cache", type=Path, required=True, help="folder of packages")
    parser.add_argument("--seed", type=int, default=1, help="seed of calibration inputs")
    parser.add_argument("--reparametrise", action="store_true")
    parser.add_argument("--output-error", action="store_true", help="compare the errors of layer outputs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    subject = SUBJECTS[options.model](options.cache)
    if subject.calibration is None:
        raise SystemExit(f"{subject.name} has no calibration")
    calibrations = measured_once(subject.calibration)
    calibration = calibrations(False, options.seed)
    if options.output_error:
        subject, calibration = _by_output_error(subject, calibration)
    codec = CalibratedCodec("inputs", lambda: calibration, reparametrise=options.reparametrise, options={})
    curve = Curve(subject, codec)
    print("| quantiser | bits a weight | divergence | ours at it, bits a weight | change |")
    print("|---|---|---|---|---|")
    for quantizer in _QUANTIZERS:
        bits, divergence = measured(subject, calibration, quantizer)
        try:
            ours = 8 * curve.size_at(divergence) / subject.n_weights
        except ValueError:
            print(f"| {quantizer.name} | {bits:.3f} | {divergence:.4g} | out of range | |", flush=True)
            continue
        change = 100 * (ours / bits - 1)
        print(
            f"| {quantizer.name} | {bits:.3f} | {divergence:.4g} | {ours:.3f} | {change:+.1f} % |", flush=True
        )
    if not options.output_error:
        sizes = ", ".join(f"{curve.size_at(point):.0f} at {point:g}" for point in subject.points)
        print(f"\nBytes of ours: {sizes}")


def _by_output_error(subject: Subject, calibration: Calibration) -> tuple[Subject, Calibration]:
    """Replace the divergences by the mean squared error of the outputs of matrices, relative to the outputs."""
    curvatures = {name: value for name, value in calibration.model.moments() if isinstance(value, Curvature)}
    energies = {name: curvature.loss(calibration.tensors[name]) for name, curvature in curvatures.items()}

    def error(tensors: Tensors) -> float:
        losses = [
            curvature.loss(np.asarray(tensors[name], np.float64) - calibration.tensors[name]) / energies[name]
            for name, curvature in curvatures.items()
            if name in tensors
        ]
        return sum(losses) / len(curvatures)

    model = MeasuredOnce(calibration.model, calibration.tensors.keys())
    model.divergence = error
    return (
        replace(subject, divergence=error),
        replace(calibration, model=model, restored=dict),
    )


def measured(
    subject: Subject, calibration: Calibration, quantizer: GroupQuantizer | BlockType
) -> tuple[float, float]:
    """Quantise all matrices; return bits per weight and divergence."""
    moments = dict(calibration.model.moments())
    decoded: dict[str, NDArray[Any]] = {}
    total = 0.0
    for name, array in calibration.tensors.items():
        if array.ndim < 2:
            decoded[name], bits = array, 8.0 * array.nbytes
        else:
            value = moments.get(name)
            curvature = value if isinstance(value, Curvature) else None
            decoded[name], bits = quantizer.quantized(np.asarray(array, np.float32), curvature)
        total += bits
    return total / subject.n_weights, subject.divergence(calibration.restored(decoded))


if __name__ == "__main__":
    main()
