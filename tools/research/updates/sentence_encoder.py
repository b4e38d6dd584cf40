# SPDX-License-Identifier: Apache-2.0
"""Size and quality of a fine-tuned sentence encoder as an update of its base, and in other codings.

``python -m tools.research.updates.sentence_encoder`` fine-tunes all weights of all-MiniLM-L6-v2 on real sentences and prints the
bytes of each coding with the loss, then the sizes at equal losses. It needs `transformers`. The receiver has the base as float32.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from nnr_codec import Decoder, EncoderConfig, encode
from nnr_codec.updates import apply_update, encode_update
from tools.research.updates.codings import lossless_difference, packed_halves, size_at
from tools.research.updates.fashion import Arrays
from tools.research.updates.sentence_task import embedder, load_encoder, quality, train


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--rate", type=float, default=2e-5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--effort", default="fast")
    parser.add_argument("--change-errors", type=float, nargs="+", default=[0.2, 0.4, 0.8, 1.2, 1.6, 2.4])
    parser.add_argument("--relative-errors", type=float, nargs="+", default=[0.02, 0.05, 0.1, 0.15])
    parser.add_argument(
        "--losses", type=float, nargs="+", default=[0.03, 0.031, 0.032], help="losses of equal quality"
    )
    parser.add_argument("--cache", type=Path, default=Path(".cache/packages"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    tokenizer, model = load_encoder(options.cache)
    embed = embedder(tokenizer, model)

    def weights() -> Arrays:
        return {name: parameter.detach().numpy().copy() for name, parameter in model.named_parameters()}

    def row(coding: str, n_bytes: int, arrays: Arrays) -> tuple[int, float]:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(torch.from_numpy(arrays[name]))
        loss = quality(embed)[0]
        print(f"| {coding} | {n_bytes} | {loss:.4f} |", flush=True)
        return n_bytes, loss

    base = weights()
    train(model, model.parameters(), embed, n_steps=options.steps, rate=options.rate, seed=options.seed)
    tuned = weights()
    print("| coding | bytes | loss |\n|---|---|---|")
    row("base", 0, base)
    row("float32", sum(array.nbytes for array in tuned.values()), tuned)
    row("float16, zstd -19", *packed_halves(tuned))
    row("lossless difference, zstd -19", lossless_difference(tuned, base), tuned)
    updates, alone = [], []
    for error in options.change_errors:
        update = encode_update(tuned, base, EncoderConfig(effort=options.effort), change_error=error)
        updates.append(row(f"update, change_error={error:g}", len(update), apply_update(update, base)))
    for error in options.relative_errors:
        stream = encode(tuned, effort=options.effort, relative_error=error)
        alone.append(row(f"alone, relative_error={error:g}", len(stream), Decoder().decode(stream)))
    for loss in options.losses:
        print(f"at a loss of {loss}: update {size_at(loss, updates):.0f}, alone {size_at(loss, alone):.0f}")


if __name__ == "__main__":
    main()
