# SPDX-License-Identifier: Apache-2.0
"""Size and output error of a compressed LoRA adapter of the sentence encoder, trained with PEFT.

``python -m tools.research.updates.adapter`` trains the adapter and prints a row of a Markdown table for each coding. It needs
`peft` and `transformers`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zstandard
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.numpy import load_file, save_file

import nnr_codec
from nnr_codec.rate_control.adapters import Product, factor_pairs
from tools.research.updates.sentence_task import Embed, embedder, load_encoder, quality, train

_WEIGHTS = "adapter_model.safetensors"


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
    tokenizer, model = load_encoder(options.cache)
    embed = embedder(tokenizer, model)
    before = quality(embed)
    config = LoraConfig(
        r=options.rank, lora_alpha=2 * options.rank, target_modules=["query", "key", "value", "dense"]
    )
    model = get_peft_model(model, config)
    embed = embedder(tokenizer, model)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    train(model, trained, embed, n_steps=options.steps, rate=options.rate, seed=options.seed)
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
    loss, outputs = quality(embed)
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
        loss_after, outputs_after = quality(embed)
        difference = np.linalg.norm(outputs_after - outputs)
        print(
            f"| relative_error={error:g} | {report.stream_bytes} | {report.stream_bytes / n_bytes:.1%} | "
            f"{np.mean(products):.4f} | {difference / np.linalg.norm(outputs):.4f} | "
            f"{difference / np.linalg.norm(outputs - before[1]):.4f} | {loss_after:.4f} |",
            flush=True,
        )


def _load(model: PeftModel, arrays: dict[str, Any]) -> None:
    state = model.state_dict()
    for name, array in arrays.items():
        target = name.replace(".lora_A.", ".lora_A.default.").replace(".lora_B.", ".lora_B.default.")
        state[target].copy_(torch.from_numpy(array))


if __name__ == "__main__":
    main()
