# SPDX-License-Identifier: Apache-2.0
"""What the runs of `lenet.py` gave, beside DeepCABAC's rows and NNCodec at equal accuracy.

``python -m tools.research.reproduce.lenet_table --folder lenet-runs`` decodes every stream again, tests the decoded network, has the
stream validated and decoded by NNCodec, and prints Markdown. NNCodec codes the dense and the pruned float network of the same
run at the coarsest QP whose stream tests no worse than ours: found on the test set, which favours it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nnr_codec
from conformance.peers.client import Peer
from tools.research.reproduce.check_streams import checked
from tools.research.reproduce.datasets import ImageSet, load_dataset
from tools.research.reproduce.networks import NETWORKS, count_correct

# Percent of the float32 size and test accuracy, DeepCABAC's workshop paper.
PUBLISHED = {("mnist", "lenet300"): (1.82, 98.08), ("mnist", "lenet5"): (0.72, 99.16)}
# The finest and the coarsest that NNCodec is tried with, and how many beyond the coarsest that is good enough.
QPS = (-40, -3)
_COARSER = 2
COLUMNS = (
    *(
        "network",
        "data",
        "seed",
        "validation, %",
        "test, %",
        "non-zero, %",
        "bytes",
        "% of float32",
        "published",
    ),
    *("NNCodec, dense", "NNCodec, pruned"),
)
NAMES = {"lenet300": "LeNet-300-100", "lenet5": "LeNet5"}


def test_accuracy(images: ImageSet, network: str, tensors: dict[str, Any]) -> float:
    """Return percent correct on the test images; 0 where a layer is all zeros and nothing passes."""
    if not all(np.any(tensor) for name, tensor in tensors.items() if name.endswith("weight")):
        return 0.0
    parameters = {name: torch.from_numpy(np.array(tensor, np.float32)) for name, tensor in tensors.items()}
    labels = torch.from_numpy(images.test_labels)
    correct = count_correct(NETWORKS[network], parameters, torch.from_numpy(images.test_images), labels)
    return 100.0 * correct / len(labels)


def smallest_of_peer(
    path: Path, images: ImageSet, network: str, peer: Peer, accuracy: float
) -> tuple[int, float]:
    """Return NNCodec's smallest size of float parameters at no less than an accuracy, and the accuracy; kept beside them.

    Where none is as good, that of its best.
    """
    kept = path.with_suffix(".nncodec.json")
    curve: dict[str, tuple[int, float]] = json.loads(kept.read_text()) if kept.exists() else {}
    with np.load(path) as archive:
        tensors = {name: archive[name] for name in archive.files}

    def good(qp: int) -> bool:
        if str(qp) not in curve:
            stream = peer.encode(tensors, qp=qp)
            curve[str(qp)] = len(stream), test_accuracy(images, network, nnr_codec.decode(stream))
            kept.write_text(json.dumps(curve) + "\n")
        return curve[str(qp)][1] >= accuracy

    fine, coarse = QPS
    while coarse - fine > 1:
        middle = (fine + coarse) // 2
        fine, coarse = (middle, coarse) if good(middle) else (fine, middle)
    if good(fine):
        # Accuracy goes up and down on its way: a coarser one may be as good by luck, and NNCodec shall have it.
        for qp in range(fine + 1, fine + 1 + _COARSER):
            good(qp)
    wanted = min(accuracy, max(found for _, found in curve.values()))
    return min((size, found) for size, found in curve.values() if found >= wanted)


def compared(size: int, accuracy: float, theirs: tuple[int, float]) -> str:
    """Return NNCodec's size and accuracy, and what ours saves of it."""
    short = ", its best" if theirs[1] < accuracy else ""
    return f"{theirs[0]} at {theirs[1]:.2f}{short} ({size / theirs[0] - 1:+.0%})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("lenet-runs"))
    parser.add_argument("--runs", default="*-seed*", help="which, as a shell-style pattern")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        peer: Peer | None = Peer()
    except FileNotFoundError as error:
        print(f"without NNCodec: {error}", file=sys.stderr)
        peer = None
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for path in sorted(options.folder.glob(f"{options.runs}.nnc")):
        stem = path.with_suffix("")
        run = json.loads(Path(f"{stem}.json").read_text())
        network, dataset = run["network"], run["dataset"]
        images = load_dataset(dataset, options.folder / "cache")
        accuracy = test_accuracy(images, network, checked(path, peer))
        size = path.stat().st_size
        row = PUBLISHED.get((dataset, network))
        published = "" if row is None else f"{row[0]} % at {row[1]}"
        cells = ["not measured"] * 2
        if peer is not None:
            cells = [
                compared(
                    size,
                    accuracy,
                    smallest_of_peer(Path(f"{stem}-{kind}.npz"), images, network, peer, accuracy),
                )
                for kind in ("dense", "float")
            ]
        figures = [run["validation_accuracy"], accuracy, run["density_percent"]]
        cells = [
            NAMES[network],
            dataset,
            str(run["seed"]),
            *(f"{figure:.2f}" for figure in figures),
            str(size),
            f"{100 * size / run['float32_bytes']:.3f}",
            published,
            *cells,
        ]
        print(f"| {' | '.join(cells)} |", flush=True)
    if peer is not None:
        peer.close()


if __name__ == "__main__":
    main()
