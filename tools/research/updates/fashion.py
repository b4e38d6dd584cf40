# SPDX-License-Identifier: Apache-2.0
"""Network, clients and training for Fashion-MNIST, with models as NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tools.research.reproduce.datasets import load_dataset

Arrays = dict[str, NDArray[Any]]
_BATCH = 64
_EVALUATION_BATCH = 1000


@dataclass(frozen=True)
class Images:
    """Tensors of Fashion-MNIST.

    Attributes
    ----------
    train, validation, test : tuple of (float32[n, 784], int64[n])
        Pixels from 0 to 1, and labels.
    """

    train: tuple[torch.Tensor, torch.Tensor]
    validation: tuple[torch.Tensor, torch.Tensor]
    test: tuple[torch.Tensor, torch.Tensor]


def load_images(cache: Path, name: str = "fashion") -> Images:
    """Load a dataset of `tools.research.reproduce.datasets`."""
    data = load_dataset(name, cache)
    return Images(
        _tensors(data.train_images, data.train_labels),
        _tensors(data.validation_images, data.validation_labels),
        _tensors(data.test_images, data.test_labels),
    )


def network() -> nn.Sequential:
    """Return LeNet-300-100, of 266 610 weights."""
    return nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))


def arrays_of(net: nn.Module) -> Arrays:
    """Return copies of a network's parameters."""
    return {name: tensor.detach().numpy().copy() for name, tensor in net.state_dict().items()}


def load_arrays(net: nn.Module, arrays: Arrays) -> None:
    """Set a network's parameters."""
    net.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()})


def split_by_label(
    labels: torch.Tensor, n_clients: int, concentration: float, random: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Divide examples among clients, each label by shares drawn from a Dirichlet distribution.

    Returns
    -------
    list of int64[n]
        Indices of the examples of each client. At a concentration of 0.5 most clients have few examples of most labels.
    """
    parts: list[list[NDArray[np.int64]]] = [[] for _ in range(n_clients)]
    for label in range(10):
        indices = random.permutation(np.flatnonzero(labels.numpy() == label))
        shares = np.cumsum(random.dirichlet([concentration] * n_clients))[:-1]
        for part, piece in zip(parts, np.split(indices, (shares * len(indices)).astype(int)), strict=True):
            part.append(piece)
    return [np.concatenate(part) for part in parts]


def train_epoch(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: tuple[torch.Tensor, torch.Tensor],
    indices: NDArray[np.int64],
) -> float:
    """Train on examples in the order of their indices.

    Returns
    -------
    float
        Mean cross entropy of the batches.
    """
    images, labels = data
    losses = []
    for batch in np.array_split(indices, max(1, len(indices) // _BATCH)):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(images[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses))


def evaluate(net: nn.Module, data: tuple[torch.Tensor, torch.Tensor]) -> tuple[float, float]:
    """Return accuracy in percent and mean cross entropy."""
    images, labels = data
    correct, loss = 0, 0.0
    with torch.no_grad():
        for start in range(0, len(labels), _EVALUATION_BATCH):
            target = labels[start : start + _EVALUATION_BATCH]
            scores = net(images[start : start + _EVALUATION_BATCH])
            correct += int((scores.argmax(1) == target).sum())
            loss += float(nn.functional.cross_entropy(scores, target, reduction="sum"))
    return 100 * correct / len(labels), loss / len(labels)


def _tensors(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = images.astype(np.float32) / 255
    return torch.from_numpy(pixels), torch.from_numpy(labels.astype(np.int64))
