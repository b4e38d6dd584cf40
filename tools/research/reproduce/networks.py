# SPDX-License-Identifier: Apache-2.0
"""LeNet-300-100 and Caffe's LeNet5 as functions of a parameter dictionary.

A sparse network runs on its live units only, which makes training on one core several times faster. The same forward
pass takes latent, quantised and decoded parameters.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class Network:
    """Shape of a feed-forward network.

    Attributes
    ----------
    layers : tuple of str
        Layers in order; layer ``x`` has parameters ``x.weight`` and ``x.bias``.
    shapes : dict
        Weight shapes, outputs first.
    """

    name: str
    layers: tuple[str, ...]
    shapes: dict[str, tuple[int, ...]]

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return sum(math.prod(shape) + shape[0] for shape in self.shapes.values())


LENET300 = Network(
    "lenet300", ("fc1", "fc2", "fc3"), {"fc1": (300, 784), "fc2": (100, 300), "fc3": (10, 100)}
)
# Caffe's LeNet5: max pooling and no activation after the convolutions, ReLU after fc1.
LENET5 = Network(
    "lenet5",
    ("conv1", "conv2", "fc1", "fc2"),
    {"conv1": (20, 1, 5, 5), "conv2": (50, 20, 5, 5), "fc1": (500, 800), "fc2": (10, 500)},
)
NETWORKS = {network.name: network for network in (LENET300, LENET5)}


def initial_parameters(network: Network, generator: torch.Generator) -> Parameters:
    """Initialise weights after He and biases with zero."""
    parameters = {}
    for layer in network.layers:
        shape = network.shapes[layer]
        deviation = math.sqrt(2.0 / math.prod(shape[1:]))
        parameters[f"{layer}.weight"] = torch.randn(shape, generator=generator) * deviation
        parameters[f"{layer}.bias"] = torch.zeros(shape[0])
    return parameters


@dataclass(frozen=True)
class Alive:
    """Indices of the live outputs and inputs of every layer; inputs of fc1 are columns."""

    outputs: dict[str, Tensor]
    inputs: dict[str, Tensor]


def find_alive(network: Network, parameters: Parameters) -> Alive:
    """Find the live units: those with a path to the output and a non-zero input or bias."""
    layers = network.layers
    nonzero = {layer: parameters[f"{layer}.weight"].detach() != 0 for layer in layers}
    bias = {layer: parameters[f"{layer}.bias"].detach() != 0 for layer in layers}
    # True where a weight connects two units; a channel connects to fc1 through 16 columns.
    links = {layer: mask.flatten(2).any(2) if mask.dim() == 4 else mask for layer, mask in nonzero.items()}
    first_links = links[layers[0]]
    outputs: dict[str, Tensor] = {}
    inputs: dict[str, Tensor] = {}
    live_in = torch.ones(first_links.shape[1], dtype=torch.bool)
    reached = {}
    for layer in layers:
        live_in = _spread(live_in, links[layer].shape[1])
        reached[layer] = (links[layer] & live_in).any(1) | bias[layer]
        live_in = reached[layer]
    needed = torch.ones(network.shapes[layers[-1]][0], dtype=torch.bool)
    for layer in reversed(layers):
        live = needed if layer == layers[-1] else needed & reached[layer]
        outputs[layer] = live.nonzero().flatten()
        used = links[layer][live].any(0)
        previous = layers[layers.index(layer) - 1] if layer != layers[0] else None
        if previous is not None:
            used &= _spread(reached[previous], used.shape[0])
            needed = used.reshape(network.shapes[previous][0], -1).any(1)
        inputs[layer] = used.nonzero().flatten()
    # Inputs match the live outputs of the previous layer; columns of fc layers may be a subset.
    for before, after in itertools.pairwise(layers):
        if len(network.shapes[after]) == 4:
            inputs[after] = outputs[before]
    if len(network.shapes[layers[0]]) == 4:
        inputs[layers[0]] = torch.arange(first_links.shape[1])
    return Alive(outputs, inputs)


def _spread(units: Tensor, n_columns: int) -> Tensor:
    return units.repeat_interleave(n_columns // units.shape[0])


def take_alive(network: Network, parameters: Parameters, alive: Alive) -> Parameters:
    """Copy the rows and columns of live units."""
    taken = {}
    for layer in network.layers:
        rows, columns = alive.outputs[layer], alive.inputs[layer]
        taken[f"{layer}.weight"] = parameters[f"{layer}.weight"].detach()[rows][:, columns].contiguous()
        taken[f"{layer}.bias"] = parameters[f"{layer}.bias"].detach()[rows].clone()
    return taken


def put_alive(network: Network, parameters: Parameters, alive: Alive, taken: Parameters) -> None:
    """Write the result of `take_alive` back into the whole tensors."""
    for layer in network.layers:
        rows, columns = alive.outputs[layer], alive.inputs[layer]
        parameters[f"{layer}.weight"][rows[:, None], columns] = taken[f"{layer}.weight"]
        parameters[f"{layer}.bias"][rows] = taken[f"{layer}.bias"]


def forward(network: Network, taken: Parameters, images: Tensor, alive: Alive) -> Tensor:
    """Compute logits on live units; dead units do not contribute to the result.

    Parameters
    ----------
    taken : dict
        Result of `take_alive`.
    images : float32[n, 784]
        Images in [0, 1] with background 0.
    """
    x = images
    # Units (or columns of fc1) in x; None for all.
    held: Tensor | None = None
    last = network.layers[-1]
    for layer in network.layers:
        weight, bias = taken[f"{layer}.weight"], taken[f"{layer}.bias"]
        rows, columns = alive.outputs[layer], alive.inputs[layer]
        if weight.dim() == 4:
            x = x.reshape(-1, 1, 28, 28) if x.dim() == 2 else x
            x = functional.max_pool2d(functional.conv2d(x, weight, bias), 2)
            held = (rows[:, None] * 16 + torch.arange(16)).flatten()
        else:
            x = x.flatten(1)
            kept = columns if held is None else torch.searchsorted(held, columns)
            # Every column is read once, so the gradient needs no accumulation and is deterministic.
            x = x.index_select(1, kept) if len(kept) != x.shape[1] else x
            x = functional.linear(x, weight, bias)
            x = x if layer == last else functional.relu(x)
            held = rows
    if len(alive.outputs[last]) != network.shapes[last][0]:
        raise ValueError("an output unit was removed")
    return x


@torch.no_grad()
def count_correct(network: Network, parameters: Parameters, images: Tensor, labels: Tensor) -> int:
    """Number of images whose largest logit is that of the label, in batches of 1000."""
    alive = find_alive(network, parameters)
    taken = take_alive(network, parameters, alive)
    correct = 0
    for start in range(0, len(images), 1000):
        batch = images[start : start + 1000].float() / 255.0
        predicted = forward(network, taken, batch, alive).argmax(1)
        correct += int((predicted == labels[start : start + 1000]).sum())
    return correct
