# SPDX-License-Identifier: Apache-2.0
"""Ten checkpoints of one training run as a chain of updates, and training resumed from a decoded one.

``python -m tools.research.updates.checkpoints`` trains LeNet-300-100 on Fashion-MNIST with Adam, one checkpoint an epoch, and
prints the sizes of the chains and the losses of resumed training. The chain begins with a stream of the first checkpoint.
"""

from __future__ import annotations

import argparse
import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnr_codec import Decoder, encode
from nnr_codec.updates import apply_update, encode_update
from tools.research.updates.fashion import (
    Arrays,
    Images,
    arrays_of,
    evaluate,
    load_arrays,
    load_images,
    network,
    train_epoch,
)

_MOMENTS = ("exp_avg", "exp_avg_sq")
# Second moments span many octaves, and training divides by their roots, so their logarithms are coded.
_SMALLEST_MOMENT = 1e-30


@dataclass(frozen=True)
class Checkpoint:
    """Weights and optimizer state after an epoch.

    Attributes
    ----------
    weights : dict of str to float32[shape]
    optimizer : dict
        State of `torch.optim.Adam`.
    loss : float
        Mean training loss of the epoch.
    """

    weights: Arrays
    optimizer: dict[str, Any]
    loss: float


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--resume", type=int, default=5, help="checkpoint from which training resumes")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--errors", type=float, nargs="+", default=[0.2, 0.22, 0.4], help="change_error")
    parser.add_argument("--first", type=float, default=0.05, help="relative_error of the first checkpoint")
    parser.add_argument("--effort", default="medium")
    parser.add_argument("--cache", type=Path, default=Path(".cache/datasets"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = load_images(options.cache)
    checkpoints = train(images, options, None, 0)
    size = sum(array.nbytes for array in checkpoints[0].weights.values())
    state, state_bytes = coded_state(checkpoints[options.resume - 1].optimizer)
    print(
        f"{len(checkpoints)} checkpoints of {size} bytes; optimizer state {2 * size} bytes, coded {state_bytes}"
    )
    _print_losses("uncompressed", [checkpoint.loss for checkpoint in checkpoints])
    start = Checkpoint(checkpoints[options.resume - 1].weights, state, math.nan)
    _print_losses(
        "  resumed, coded state only", [c.loss for c in train(images, options, start, options.resume)]
    )
    for error in options.errors:
        sizes, decoded = chain([checkpoint.weights for checkpoint in checkpoints], error, options)
        print(
            f"change_error {error}: {sum(sizes)} bytes, 1/{size * len(sizes) / sum(sizes):.1f}, streams {sizes}"
        )
        losses = [_test_loss(model, images) for model in (checkpoints[-1].weights, decoded[-1])]
        print(f"  test accuracy and loss of the last checkpoint {losses[0]}, decoded {losses[1]}")
        start = Checkpoint(decoded[options.resume - 1], state, math.nan)
        _print_losses("  resumed", [c.loss for c in train(images, options, start, options.resume)])
    start = Checkpoint(decoded[options.resume - 1], {}, math.nan)
    _print_losses(
        "  without optimizer state", [c.loss for c in train(images, options, start, options.resume)]
    )


def train(
    images: Images, options: argparse.Namespace, start: Checkpoint | None, first: int
) -> list[Checkpoint]:
    """Train from an epoch to the last one. The order of the examples in an epoch depends on its number only."""
    torch.manual_seed(options.seed)
    net = network()
    optimizer = torch.optim.Adam(net.parameters(), options.rate)
    if start is not None:
        load_arrays(net, start.weights)
        if start.optimizer:
            optimizer.load_state_dict(copy.deepcopy(start.optimizer))
    checkpoints = []
    for epoch in range(first, options.epochs):
        order = np.random.default_rng((options.seed, epoch)).permutation(len(images.train[1]))
        loss = train_epoch(net, optimizer, images.train, order)
        checkpoints.append(Checkpoint(arrays_of(net), copy.deepcopy(optimizer.state_dict()), loss))
    return checkpoints


def chain(
    models: list[Arrays], change_error: float, options: argparse.Namespace
) -> tuple[list[int], list[Arrays]]:
    """Encode models as a stream and updates of it; return the sizes of the streams and the decoded models."""
    stream = encode(models[0], effort=options.effort, relative_error=options.first)
    sizes, decoded = [len(stream)], [Decoder().decode(stream)]
    for model in models[1:]:
        update = encode_update(model, decoded[-1], change_error=change_error)
        sizes.append(len(update))
        decoded.append(apply_update(update, decoded[-1]))
    return sizes, decoded


def coded_state(state: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Encode and decode the state of Adam.

    Returns
    -------
    state : dict
        First moments have a relative error of 0.05. Logarithms of second moments have a step of 2**-3 octaves.
    n_bytes : int
    """
    moments: Arrays = {}
    for index, entry in state["state"].items():
        first, second = (entry[name].numpy() for name in _MOMENTS)
        moments[f"{index}.exp_avg"] = first
        moments[f"{index}.exp_avg_sq"] = np.log2(np.maximum(second, _SMALLEST_MOMENT))
    coding: dict[str, Any] = {"relative_error": 0.05, "qp_by_name": (("*.exp_avg_sq", -12),), "qp_density": 2}
    stream = encode(moments, effort="fast", **coding)
    decoded = Decoder().decode(stream)
    result = copy.deepcopy(state)
    for index, entry in result["state"].items():
        entry["exp_avg"] = torch.from_numpy(decoded[f"{index}.exp_avg"].copy())
        entry["exp_avg_sq"] = torch.from_numpy(np.exp2(decoded[f"{index}.exp_avg_sq"]))
    errors = [
        float(np.abs(array - moments[name]).max()) for name, array in decoded.items() if name.endswith("_sq")
    ]
    print(f"second moments are off by a factor of at most {2 ** max(errors):.3f}")
    return result, len(stream)


def _test_loss(model: Arrays, images: Images) -> str:
    net = network()
    load_arrays(net, model)
    accuracy, loss = evaluate(net, images.test)
    return f"{accuracy:.2f} % {loss:.4f}"


def _print_losses(label: str, losses: list[float]) -> None:
    print(label, " ".join(f"{loss:.4f}" for loss in losses), flush=True)


if __name__ == "__main__":
    main()
