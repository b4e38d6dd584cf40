# SPDX-License-Identifier: Apache-2.0
"""Small character-level transformer, and texts by topic for federated training.

The texts are files of the Debian package ``fortunes``; each is one client's.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from tools.packages import unpacked_debian

CONTEXT = 64
_WIDTH, _LAYERS, _HEADS = 96, 3, 4
_N_CHARACTERS = 128
_BATCH = 16
_VALIDATION_SHARE = 0.1
_N_VALIDATION = 64


def load_texts(cache: Path, n_texts: int) -> list[torch.Tensor]:
    """Return the largest texts, as int64[n] of ASCII codes."""
    folder = unpacked_debian("fortunes", cache) / "usr/share/games/fortunes"
    paths = sorted(
        (path for path in folder.iterdir() if not path.suffix), key=lambda path: -path.stat().st_size
    )
    texts = [np.frombuffer(path.read_bytes(), np.uint8) % _N_CHARACTERS for path in paths[:n_texts]]
    return [torch.from_numpy(text.astype(np.int64)) for text in texts]


def split(text: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the parts of a text for training and validation."""
    n_train = round(len(text) * (1 - _VALIDATION_SHARE))
    return text[:n_train], text[n_train:]


class LanguageModel(nn.Module):
    """Causal transformer of 365 000 weights that predicts the next character."""

    def __init__(self) -> None:
        super().__init__()
        self.characters = nn.Embedding(_N_CHARACTERS, _WIDTH)
        self.positions = nn.Embedding(CONTEXT, _WIDTH)
        layer = nn.TransformerEncoderLayer(
            _WIDTH, _HEADS, 4 * _WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, _LAYERS, nn.LayerNorm(_WIDTH), enable_nested_tensor=False)
        self.head = nn.Linear(_WIDTH, _N_CHARACTERS, bias=False)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the logits of the next characters, float32[batch, context, characters]."""
        mask = nn.Transformer.generate_square_subsequent_mask(codes.shape[1])
        embedded = self.characters(codes) + self.positions.weight[: codes.shape[1]]
        return cast(torch.Tensor, self.head(self.layers(embedded, mask=mask, is_causal=True)))


def train(net: LanguageModel, text: torch.Tensor, n_steps: int, rate: float, seed: tuple[int, ...]) -> None:
    """Train on random passages of a text with Adam."""
    random = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(net.parameters(), rate)
    for _ in range(n_steps):
        optimizer.zero_grad()
        _loss(net, text, random.integers(0, len(text) - CONTEXT - 1, _BATCH)).backward()
        optimizer.step()


def validation_loss(net: LanguageModel, texts: list[torch.Tensor]) -> float:
    """Return the mean cross entropy over passages of the validation parts, in bits a character."""
    losses = []
    with torch.no_grad():
        for text in texts:
            held_out = split(text)[1]
            starts = np.linspace(0, len(held_out) - CONTEXT - 1, _N_VALIDATION).astype(np.int64)
            losses.append(_loss(net, held_out, starts).item())
    return float(np.mean(losses) / np.log(2))


def _loss(
    net: LanguageModel, text: torch.Tensor, starts: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> torch.Tensor:
    passages = torch.stack([text[start : start + CONTEXT + 1] for start in starts])
    logits = net(passages[:, :-1])
    return nn.functional.cross_entropy(logits.reshape(-1, _N_CHARACTERS), passages[:, 1:].reshape(-1))
