# SPDX-License-Identifier: Apache-2.0
"""Table of the runs of `lenet.py`, with DeepCABAC's published rows and NNCodec at equal accuracy.

``python -m tools.research.reproduce.lenet_table --folder lenet-runs`` decodes every stream, tests the decoded network,
checks the stream with the validator and NNCodec, and prints Markdown. NNCodec codes the dense and the pruned float network
of the same run at the coarsest QP with at least the same accuracy; the choice on the test set favours NNCodec.
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

# Percent of the float32 size and test accuracy, from DeepCABAC's workshop paper.
PUBLISHED = {("mnist", "lenet300"): (1.82, 98.08), ("mnist", "lenet5"): (0.72, 99.16)}
# Finest and coarsest QP of NNCodec, and number of QPs tried beyond the coarsest sufficient one.
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
    """Test accuracy in percent; 0 if all weights of a layer are zero."""
    if not all(np.any(tensor) for name, tensor in tensors.items() if name.endswith("weight")):
        return 0.0
    parameters = {name: torch.from_numpy(np.array(tensor, np.float32)) for name, tensor in tensors.items()}
    labels = torch.from_numpy(images.test_labels)
    correct = count_correct(NETWORKS[network], parameters, torch.from_numpy(images.test_images), labels)
    return float(100.0 * correct / len(labels))


def smallest_of_peer(
    path: Path, images: ImageSet, network: str, peer: Peer, accuracy: float
) -> tuple[int, float]:
    """Smallest NNCodec size of float parameters with at least an accuracy, and the accuracy; cached beside the parameters.

    If no QP is sufficient, the size at its highest accuracy.
    """
    kept = path.with_suffix(".nncodec.json")
    curve: dict[str, tuple[int, float]] = json.loads(kept.read_text()) if kept.exists() else {}
    with np.load(path) as archive:
        tensors = {name: archive[name] for name in archive.files}

    def is_sufficient(qp: int) -> bool:
        if str(qp) not in curve:
            stream = peer.encode(tensors, qp=qp)
            curve[str(qp)] = len(stream), test_accuracy(images, network, nnr_codec.decode(stream))
            kept.write_text(json.dumps(curve) + "\n")
        return curve[str(qp)][1] >= accuracy

    fine, coarse = QPS
    while coarse - fine > 1:
        middle = (fine + coarse) // 2
        fine, coarse = (middle, coarse) if is_sufficient(middle) else (fine, middle)
    if is_sufficient(fine):
        # Accuracy is not monotonic in the QP: try some coarser ones, in favour of NNCodec.
        for qp in range(fine + 1, fine + 1 + _COARSER):
            is_sufficient(qp)
    target = min(accuracy, max(reached for _, reached in curve.values()))
    return min((size, reached) for size, reached in curve.values() if reached >= target)


def compared(size: int, accuracy: float, peer: tuple[int, float]) -> str:
    """Render NNCodec's size and accuracy, and the relative size of this codec."""
    short = ", its best" if peer[1] < accuracy else ""
    return f"{peer[0]} at {peer[1]:.2f}{short} ({size / peer[0] - 1:+.0%})"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("lenet-runs"))
    parser.add_argument("--runs", default="*-seed*", help="glob of the runs")
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
