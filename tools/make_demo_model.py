# SPDX-License-Identifier: Apache-2.0
"""Training of the small network that `nnr demo` compresses.

Run once, with torch installed and ``sklearn/datasets/data/digits.csv.gz`` from the wheel of scikit-learn:

    python -m tools.make_demo_model digits.csv.gz

Training is seeded and single-threaded; another version of torch gives slightly different weights.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nnr_codec.frameworks import save_model

OUT = Path(__file__).resolve().parent.parent / "nnr_codec" / "demo-data"
TEST_IMAGES = 600
EPOCHS = 60


def network() -> nn.Sequential:
    """Create the untrained network."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(1024, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def shifted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shift a batch by at most one pixel per dimension, as augmentation."""
    down, right = (int(v) for v in torch.randint(-1, 2, (2,), generator=generator))
    return torch.roll(images, (down, right), (2, 3))


def main() -> None:
    """Train the network and write it with the held-out digits."""
    torch.set_num_threads(1)
    torch.manual_seed(17)
    rows = np.loadtxt(sys.argv[1], delimiter=",").astype(np.uint8)
    rows = rows[np.random.default_rng(17).permutation(len(rows))]
    images, labels = rows[:, :-1].reshape(-1, 8, 8), rows[:, -1]
    held_out, training = slice(0, TEST_IMAGES), slice(TEST_IMAGES, None)
    x = torch.from_numpy(images[training]).float()[:, None] / 16
    y = torch.from_numpy(labels[training]).long()

    model, generator = network(), torch.Generator().manual_seed(17)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=5e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x), generator=generator).split(64):
            loss = nn.functional.cross_entropy(model(shifted(x[batch], generator)), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()

    model.eval()
    with torch.no_grad():
        guesses = model(torch.from_numpy(images[held_out]).float()[:, None] / 16).argmax(1).numpy()
    right = (guesses == labels[held_out]).mean()
    print(f"{sum(p.numel() for p in model.parameters())} weights, {right:.2%} of {TEST_IMAGES} digits right")

    names = {"0": "conv1", "2": "conv2", "7": "dense1", "9": "dense2"}
    tensors = {}
    for name, tensor in model.state_dict().items():
        layer, part = name.split(".")
        tensors[f"{names[layer]}.{part}"] = tensor.numpy()
    OUT.mkdir(exist_ok=True)
    metadata = {"trained_by": "tools/make_demo_model.py", "task": "handwritten digits, 8x8"}
    save_model(OUT / "digits.safetensors", tensors, metadata=metadata, overwrite=True)
    test_set = {"images": images[held_out], "labels": labels[held_out]}
    save_model(OUT / "digits-test.npz", test_set, overwrite=True)


if __name__ == "__main__":
    main()
