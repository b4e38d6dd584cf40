# SPDX-License-Identifier: Apache-2.0
"""Teacher: a wider convolutional network with batch normalisation, trained once per dataset.

It is trained on the training images only; the small networks learn from its logits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.research.reproduce.augment import DISTORTIONS, distort
from tools.research.reproduce.datasets import ImageSet

# Fashion-MNIST has no published row, so its run is shorter.
N_EPOCHS = {"mnist": 12, "fashion": 5}
_BATCH = 128


def _build() -> nn.Sequential:
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        nn.Conv2d(1, 24, 5, padding=2, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.Conv2d(24, 48, 3, padding=1, bias=False),
        nn.BatchNorm2d(48),
        nn.ReLU(),
        nn.Conv2d(48, 48, 3, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(48),
        nn.ReLU(),
        nn.Conv2d(48, 96, 3, bias=False),
        nn.BatchNorm2d(96),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(96 * 16, 10),
    )


def load_teacher(
    images: ImageSet, dataset: str, folder: Path, log: Callable[[str], None]
) -> Callable[[Tensor], Tensor]:
    """Load the teacher, or train it or resume its training; returns the function from float32[n, 784] to logits."""
    torch.manual_seed(7)
    net = _build().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    n = len(images.train_images)
    n_epochs = N_EPOCHS[dataset]
    n_steps = n_epochs * (n // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, n_steps, pct_start=0.2)
    path = folder / f"{dataset}-teacher.pt"
    epoch = 0
    if path.exists():
        saved = torch.load(path)
        net.load_state_dict(saved["net"])
        epoch = saved["epoch"]
        if epoch < n_epochs:
            optimizer.load_state_dict(saved["optimizer"])
            schedule.load_state_dict(saved["schedule"])
    labels = torch.from_numpy(images.train_labels).long()
    while epoch < n_epochs:
        started = time.monotonic()
        generator = torch.Generator().manual_seed(1000 + epoch)
        order = torch.randperm(n, generator=generator)
        net.train()
        for start in range(0, n - _BATCH + 1, _BATCH):
            rows = order[start : start + _BATCH]
            batch = torch.from_numpy(images.train_images[rows.numpy()]).reshape(-1, 1, 28, 28).float() / 255.0
            batch = distort(batch, DISTORTIONS[dataset], generator).reshape(-1, 784)
            loss = functional.cross_entropy(net(batch), labels[rows], label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        epoch += 1
        accuracy = _accuracy(net, images)
        seconds = time.monotonic() - started
        log(f"teacher epoch {epoch}/{n_epochs} validation {accuracy:.2f} % ({seconds:.0f} s)")
        state = {"net": net.state_dict(), "epoch": epoch, "validation": accuracy}
        if epoch < n_epochs:
            state |= {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
        torch.save(state, path.with_suffix(".partial"))
        path.with_suffix(".partial").replace(path)
    net.eval()

    def logits(batch: Tensor) -> Tensor:
        with torch.no_grad():
            return net(batch)

    return logits


@torch.no_grad()
def _accuracy(net: nn.Sequential, images: ImageSet) -> float:
    net.eval()
    correct = 0
    for start in range(0, len(images.validation_images), 500):
        batch = torch.from_numpy(images.validation_images[start : start + 500]).float() / 255.0
        labels = torch.from_numpy(images.validation_labels[start : start + 500])
        correct += int((net(batch).argmax(1) == labels).sum())
    return 100.0 * correct / len(images.validation_images)
