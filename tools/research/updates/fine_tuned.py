# SPDX-License-Identifier: Apache-2.0
"""Size and quality of a fine-tuned LeNet-300-100 as an update of its base, and in other codings.

``python -m tools.research.updates.fine_tuned`` trains the base on Fashion-MNIST, fine-tunes it on mirrored images, and prints the
bytes of each coding with its accuracy and loss on mirrored test images. The receiver has the base as float32.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from nnr_codec import Decoder, encode
from nnr_codec.updates import apply_update, encode_update
from tools.research.updates.codings import lossless_difference, packed_halves
from tools.research.updates.fashion import (
    Arrays,
    arrays_of,
    evaluate,
    load_arrays,
    load_images,
    network,
    train_epoch,
)

_SIDE = 28


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=4, help="of the base")
    parser.add_argument("--examples", type=int, default=12800, help="mirrored images for fine-tuning")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--change-errors", type=float, nargs="+", default=[0.05, 0.1, 0.2, 0.4, 0.7, 1.0])
    parser.add_argument(
        "--relative-errors", type=float, nargs="+", default=[0.005, 0.01, 0.02, 0.05, 0.1, 0.2]
    )
    parser.add_argument("--cache", type=Path, default=Path(".cache/datasets"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    random = np.random.default_rng(options.seed)
    images = load_images(options.cache)
    net = network()
    optimizer = torch.optim.Adam(net.parameters(), options.rate)
    for _ in range(options.epochs):
        train_epoch(net, optimizer, images.train, random.permutation(len(images.train[1])))
    base = arrays_of(net)
    mirrored = [(_mirrored(pixels), labels) for pixels, labels in (images.train, images.test)]
    chosen = random.permutation(len(images.train[1]))[: options.examples]
    train_epoch(net, torch.optim.Adam(net.parameters(), options.rate), mirrored[0], chosen)
    tuned = arrays_of(net)

    def row(coding: str, n_bytes: int, model: Arrays) -> None:
        load_arrays(net, model)
        accuracy, loss = evaluate(net, mirrored[1])
        print(f"| {coding} | {n_bytes} | {accuracy:.2f} | {loss:.4f} |", flush=True)

    print("| coding | bytes | accuracy, % | loss |\n|---|---|---|---|")
    row("base", 0, base)
    row("float32", sum(array.nbytes for array in tuned.values()), tuned)
    row("float16, zstd -19", *packed_halves(tuned))
    row("lossless difference, zstd -19", lossless_difference(tuned, base), tuned)
    for error in options.change_errors:
        update = encode_update(tuned, base, change_error=error)
        row(f"update, change_error={error:g}", len(update), apply_update(update, base))
    for error in options.relative_errors:
        stream = encode(tuned, relative_error=error)
        row(f"alone, relative_error={error:g}", len(stream), Decoder().decode(stream))


def _mirrored(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.reshape(-1, _SIDE, _SIDE).flip(2).reshape(-1, _SIDE * _SIDE)


if __name__ == "__main__":
    main()
