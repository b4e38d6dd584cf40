# SPDX-License-Identifier: Apache-2.0
"""Voice detector of the PyPI package silero-vad in plain torch; all windows of a clip run at once, except the recurrence.

Linear layers replace the LSTM cell of the package, so that curvatures can be computed; `load` maps the names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.packages import unpacked

REQUIREMENT = "silero-vad==6.2.3"
_WINDOW, _CONTEXT, _PAD = 512, 64, 64
_FREQUENCIES = 129


def weights_path(cache: Path) -> Path:
    """Path of the package's weights for 16 kHz."""
    return unpacked(REQUIREMENT, cache) / "silero_vad" / "data" / "silero_vad_16k.safetensors"


def network_name(name: str) -> str:
    """Name in this network of a tensor of the package.

    >>> network_name("lstm_cell.weight_ih")
    'lstm_cell.ih.weight'
    """
    for kind in ("weight", "bias"):
        for part in ("ih", "hh"):
            name = name.replace(f".{kind}_{part}", f".{part}.{kind}")
    return name


class VoiceDetector(nn.Module):
    """Network from clips, float32[clips, samples], to speech probabilities per 32 ms, float32[clips, windows]."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 2 * _FREQUENCIES, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(_FREQUENCIES, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = nn.ModuleDict({"ih": nn.Linear(128, 512), "hh": nn.Linear(128, 512)})
        self.final_conv = nn.Conv1d(128, 1, 1)

    def load(self, tensors: Mapping[str, npt.NDArray[np.floating]]) -> None:
        """Load weights under the names of the package."""
        named = {
            network_name(name): torch.from_numpy(np.array(value, np.float32))
            for name, value in tensors.items()
        }
        self.load_state_dict(named)

    def forward(self, clips: Tensor) -> Tensor:
        n_clips = clips.shape[0]
        # A window is preceded by the end of the previous one, or by zeros.
        windows = functional.pad(clips, (_CONTEXT, 0)).unfold(1, _WINDOW + _CONTEXT, _WINDOW)
        n_windows = windows.shape[1]
        x = functional.pad(windows.reshape(n_clips * n_windows, 1, -1), (0, _PAD), mode="reflect")
        x = self.stft_conv(x)
        x = (x[:, :_FREQUENCIES].square() + x[:, _FREQUENCIES:].square() + 1e-12).sqrt()
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = functional.relu(convolution(x))
        from_inputs = self.lstm_cell["ih"](x.flatten(1)).reshape(n_clips, n_windows, -1)
        h = c = torch.zeros(n_clips, 128)
        states = []
        for window in range(n_windows):
            i, f, g, o = (from_inputs[:, window] + self.lstm_cell["hh"](h)).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            states.append(h)
        return torch.sigmoid(self.final_conv(functional.relu(torch.stack(states, 2)))).squeeze(1)
