# SPDX-License-Identifier: Apache-2.0
"""Federated averaging on Fashion-MNIST with compressed updates in both directions, as plain loops.

``python -m tools.research.updates.federated --up 0.7 --down 0.7 --rank-up 8 --rank-down 16`` prints a JSON object for each run.
``--codec float32`` is the uncompressed run, and ``--codec nncodec`` the same training with NNCodec's coding of the updates.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from conformance.peers.client import Peer
from nnr_codec import Decoder, EncoderConfig, encode
from nnr_codec.updates import FeedbackEncoder
from tools.research.updates.fashion import (
    Arrays,
    Images,
    arrays_of,
    evaluate,
    load_arrays,
    load_images,
    network,
    split_by_label,
    train_epoch,
)
from tools.research.updates.peer_feedback import PeerFeedback

_LAST_ROUNDS = 5


class UpdateCodec(Protocol):
    """Encoder of a sequence of updates with error feedback."""

    residuals: Arrays

    def encode(self, model: Arrays, base: Arrays, /) -> tuple[bytes, Arrays]: ...


class Uncompressed:
    """Updates as float32 arrays."""

    def __init__(self) -> None:
        self.residuals: Arrays = {}

    def encode(self, model: Arrays, base: Arrays, /) -> tuple[bytes, Arrays]:
        """Return bytes of the arrays' size, and the model itself."""
        del base
        return bytes(_size(model)), model


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--concentration", type=float, default=0.5, help="of the Dirichlet distribution")
    parser.add_argument(
        "--share", type=float, default=0.3, help="share of its examples a client uses in a round"
    )
    parser.add_argument("--rate", type=float, default=0.02, help="learning rate; the momentum is 0.9")
    parser.add_argument("--codec", choices=["nnr", "float32", "nncodec"], default="nnr")
    parser.add_argument("--up", type=float, default=0.9, help="change_error of the clients")
    parser.add_argument("--down", type=float, default=0.9, help="change_error of the server")
    parser.add_argument("--rank-up", type=int, help="rank of the clients' differences of matrices")
    parser.add_argument("--rank-down", type=int, help="the same of the server")
    parser.add_argument("--first", type=float, default=0.2, help="relative_error of the first model")
    parser.add_argument("--effort", default="fast")
    parser.add_argument("--cache", type=Path, default=Path(".cache/datasets"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = load_images(options.cache)
    with Peer() if options.codec == "nncodec" else _Nothing() as peer:

        def codec(change_error: float, rank: int | None) -> UpdateCodec:
            if isinstance(peer, Peer):
                return PeerFeedback(peer, change_error=change_error)
            if options.codec == "float32":
                return Uncompressed()
            config = EncoderConfig(effort=options.effort)
            return FeedbackEncoder(config, change_error=change_error, rank=rank)

        for seed in options.seeds:
            started = time.perf_counter()
            result = run(seed, options, images, codec)
            result["seconds"] = round(time.perf_counter() - started)
            json.dump({**_recorded(options), "seed": seed, **result}, sys.stdout)
            print(flush=True)


def run(
    seed: int, options: argparse.Namespace, images: Images, codec: Callable[[float, int | None], UpdateCodec]
) -> dict[str, object]:
    """Train and return sizes in bytes and accuracies in percent, as means of the last rounds and after each round."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    net = network()
    parts = split_by_label(images.train[1], options.clients, options.concentration, random)
    uplinks = [codec(options.up, options.rank_up) for _ in parts]
    downlink = codec(options.down, options.rank_down)
    model = arrays_of(net)
    size = _size(model)
    held, first_bytes = (model, size) if options.codec == "float32" else _first_model(model, options.first)
    model = held
    up_bytes, down_bytes = 0, options.clients * first_bytes
    validation, accuracies, losses = [], [], []
    for round_number in range(options.rounds):
        if round_number:
            stream, held = downlink.encode(model, held)
            down_bytes += options.clients * len(stream)
        total = {name: np.zeros(array.shape) for name, array in held.items()}
        n_examples = 0
        for part, uplink in zip(parts, uplinks, strict=True):
            load_arrays(net, held)
            optimizer = torch.optim.SGD(net.parameters(), options.rate, momentum=0.9)
            chosen = random.permutation(part)[: max(1, round(len(part) * options.share))]
            train_epoch(net, optimizer, images.train, chosen)
            stream, decoded = uplink.encode(arrays_of(net), held)
            up_bytes += len(stream)
            n_examples += len(chosen)
            for name in total:
                total[name] += len(chosen) * decoded[name].astype(np.float64)
        model = {name: (array / n_examples).astype(np.float32) for name, array in total.items()}
        load_arrays(net, model)
        validation.append(evaluate(net, images.validation)[0])
        accuracy, loss = evaluate(net, images.test)
        accuracies.append(accuracy)
        losses.append(loss)
    exchanged = options.clients * options.rounds * size
    return {
        "up_percent": round(100 * up_bytes / exchanged, 4),
        "down_percent": round(100 * down_bytes / exchanged, 4),
        "percent": round(50 * (up_bytes + down_bytes) / exchanged, 4),
        "bytes": up_bytes + down_bytes,
        "first_bytes": first_bytes,
        "accuracy": accuracies[-1],
        "validation_accuracy": round(float(np.mean(validation[-_LAST_ROUNDS:])), 3),
        "mean_accuracy": round(float(np.mean(accuracies[-_LAST_ROUNDS:])), 3),
        "mean_loss": round(float(np.mean(losses[-_LAST_ROUNDS:])), 4),
        "accuracies": accuracies,
    }


def _first_model(model: Arrays, error: float) -> tuple[Arrays, int]:
    """Return the first model as server and clients have it, and its size."""
    stream = encode(model, relative_error=error)
    return Decoder().decode(stream), len(stream)


class _Nothing:
    """Context manager in place of a peer."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *args: object) -> None:
        return None


def _recorded(options: argparse.Namespace) -> dict[str, object]:
    return {name: value for name, value in vars(options).items() if name not in ("seeds", "cache")}


def _size(model: Arrays) -> int:
    return sum(array.nbytes for array in model.values())


if __name__ == "__main__":
    main()
