# SPDX-License-Identifier: Apache-2.0
"""Size and output error of a compressed LoRA adapter of the sentence encoder, trained with PEFT.

``python -m tools.research.updates.adapter`` trains the adapter and prints a row of a Markdown table for each coding. It needs
`peft` and `transformers`. The task is to recognise a sentence of which a third of the words are missing among a hundred others.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zstandard
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.numpy import load_file, save_file
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

import nnr_codec
from nnr_codec.rate_control.adapters import Product, factor_pairs
from tools.packages import unpacked
from tools.research.reproduce.minilm import REQUIREMENT

_TEXTS = Path(__file__).parents[1] / "reproduce" / "texts"
_WEIGHTS = "adapter_model.safetensors"
_BATCH = 20
_TEMPERATURE = 0.05
_MISSING = 1 / 3

Embed = Callable[[list[str]], torch.Tensor]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--errors", type=float, nargs="+", default=[0.01, 0.02, 0.04, 0.1, 0.2], help="relative_error"
    )
    parser.add_argument("--cache", type=Path, default=Path(".cache/packages"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    (weights,) = unpacked(REQUIREMENT, options.cache).glob("**/model.safetensors")
    tokenizer, model = (
        AutoTokenizer.from_pretrained(weights.parent),
        AutoModel.from_pretrained(weights.parent),
    )

    def embed(texts: list[str]) -> torch.Tensor:
        batch = tokenizer(texts, padding=True, truncation=True, max_length=64, return_tensors="pt")
        mask = batch["attention_mask"][..., None]
        hidden = model(**batch).last_hidden_state * mask
        return functional.normalize(hidden.sum(1) / mask.sum(1))

    before = _quality(embed)
    config = LoraConfig(
        r=options.rank, lora_alpha=2 * options.rank, target_modules=["query", "key", "value", "dense"]
    )
    model = get_peft_model(model, config)
    _train(model, embed, options)
    with tempfile.TemporaryDirectory() as folder:
        _report(Path(folder), model, embed, before, options.errors)


def _report(
    folder: Path, model: PeftModel, embed: Embed, before: tuple[float, Any], errors: list[float]
) -> None:
    adapter = folder / "adapter"
    model.save_pretrained(adapter)
    exact = load_file(adapter / _WEIGHTS)
    halves = {name: array.astype(np.float16) for name, array in exact.items()}
    save_file(halves, adapter / _WEIGHTS)
    n_bytes = (adapter / _WEIGHTS).stat().st_size
    packed = len(zstandard.compress((adapter / _WEIGHTS).read_bytes(), 19))
    reference = {name: array.astype(np.float32) for name, array in halves.items()}
    _load(model, reference)
    loss, outputs = _quality(embed)
    print(
        f"{len(reference)} tensors, {n_bytes} bytes as float16, loss {before[0]:.4f} before, {loss:.4f} adapted"
    )
    print("| coding | bytes | of float16 | error of B·A | error of outputs | of their change | loss |")
    print("|---|---|---|---|---|---|---|")
    print(f"| float16, zstd -19 | {packed} | {packed / n_bytes:.1%} | 0 | 0 | 0 | {loss:.4f} |")
    for error in errors:
        report = nnr_codec.encode_file(adapter, folder / "adapter.nnr", relative_error=error, overwrite=True)
        nnr_codec.decode_file(folder / "adapter.nnr", folder / "decoded", overwrite=True)
        decoded = {
            name: array.astype(np.float32) for name, array in load_file(folder / "decoded" / _WEIGHTS).items()
        }
        products = [
            product.error_of(decoded[pair.a], decoded[pair.b])
            for pair in factor_pairs(reference)
            if (product := Product.of(reference[pair.a], reference[pair.b])) is not None
        ]
        _load(model, decoded)
        loss_after, outputs_after = _quality(embed)
        difference = np.linalg.norm(outputs_after - outputs)
        print(
            f"| relative_error={error:g} | {report.stream_bytes} | {report.stream_bytes / n_bytes:.1%} | "
            f"{np.mean(products):.4f} | {difference / np.linalg.norm(outputs):.4f} | "
            f"{difference / np.linalg.norm(outputs - before[1]):.4f} | {loss_after:.4f} |",
            flush=True,
        )


def _train(model: PeftModel, embed: Embed, options: argparse.Namespace) -> None:
    texts = (_TEXTS / "calibration.txt").read_text().splitlines()
    order = random.Random(options.seed)
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), options.rate)
    model.train()
    for _ in range(options.steps):
        batch = order.sample(texts, _BATCH)
        optimizer.zero_grad()
        _loss(embed(batch), embed([_shortened(text, order) for text in batch])).backward()
        optimizer.step()
    model.eval()


def _quality(embed: Embed) -> tuple[float, Any]:
    """Return the loss on the evaluation set, and the embeddings of its whole sentences."""
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


def _load(model: PeftModel, arrays: dict[str, Any]) -> None:
    state = model.state_dict()
    for name, array in arrays.items():
        target = name.replace(".lora_A.", ".lora_A.default.").replace(".lora_B.", ".lora_B.default.")
        state[target].copy_(torch.from_numpy(array))


if __name__ == "__main__":
    main()
