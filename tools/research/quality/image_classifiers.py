# SPDX-License-Identifier: Apache-2.0
"""LeNet-300-100 and LeNet5, trained for a few epochs on MNIST with a fixed seed."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.research.quality.module import RunnableModule, made_batches
from tools.research.quality.subject import Calibration, Subject, Tensors, mean_divergence
from tools.research.reproduce.datasets import load_dataset

_SEED = 15938
_BATCH = 100
_N_TEST = 2000
_N_CALIBRATION, _CALIBRATION_BATCH = 768, 64


def lenet300(cache: Path) -> Subject:
    """Fully connected network with 300 and 100 hidden units."""
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
    )
    return _trained("lenet300", network, cache, epochs=4)


def lenet5(cache: Path) -> Subject:
    """Caffe's convolutional network."""
    network = nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10),
    )  # fmt: skip
    return _trained("lenet5", network, cache, epochs=1)


def _trained(name: str, network: nn.Module, cache: Path, epochs: int) -> Subject:
    images = load_dataset("mnist", cache)
    path = cache / f"quality-{name}.npz"
    if not path.exists():
        _train(network, _pixels(images.train_images), torch.from_numpy(images.train_labels).long(), epochs)
        np.savez(path, **{key: value.numpy() for key, value in network.state_dict().items()})
    with np.load(path) as archive:
        tensors = dict(archive)
    inputs = _pixels(images.test_images[:_N_TEST])

    def probabilities(values: Tensors) -> np.ndarray:
        network.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in values.items()})
        with torch.no_grad():
            return np.asarray(torch.softmax(network(inputs).double(), -1))

    reference = probabilities(tensors)

    def calibration(made: bool, seed: int) -> Calibration:
        if made:
            batches = made_batches((_CALIBRATION_BATCH, 1, 28, 28), _N_CALIBRATION, seed)
        else:
            chosen = np.random.default_rng(seed).permutation(len(images.train_images))[:_N_CALIBRATION]
            batches = list(_pixels(images.train_images[chosen]).split(_CALIBRATION_BATCH))
        probabilities(tensors)
        module = nn.Sequential(copy.deepcopy(network), nn.Softmax(-1))
        model = RunnableModule(module, batches, list(tensors), "0.{}".format, made=made)
        return Calibration(model, tensors)

    return Subject(
        name, "mean KL", tensors, lambda decoded: mean_divergence(reference, probabilities(decoded)),
        (1e-4, 1e-3, 1e-2), per_octave=6, calibration=calibration,
    )  # fmt: skip


def _pixels(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images.reshape(-1, 1, 28, 28).astype(np.float32) / 255)


def _train(network: nn.Module, images: Tensor, labels: Tensor, epochs: int) -> None:
    torch.manual_seed(_SEED)
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            layer.reset_parameters()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(_BATCH):
            optimizer.zero_grad()
            functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
