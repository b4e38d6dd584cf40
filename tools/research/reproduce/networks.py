# SPDX-License-Identifier: Apache-2.0
"""LeNet-300-100 and Caffe's LeNet5 as functions of a parameter dictionary.

Functions and not modules: a sparse network runs on its living neurons alone, which makes training on one
core several times faster, and the same forward pass takes latent, quantised and decoded parameters.
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
    """The shape of a feed-forward network.

    Attributes
    ----------
    layers : tuple of str
        Names in order; layer ``x`` has parameters ``x.weight`` and ``x.bias``.
    shapes : dict
        Weight shapes, outputs first.
    """

    name: str
    layers: tuple[str, ...]
    shapes: dict[str, tuple[int, ...]]

    @property
    def n_parameters(self) -> int:
        """Count of weights and biases."""
        return sum(math.prod(shape) + shape[0] for shape in self.shapes.values())


LENET300 = Network(
    "lenet300", ("fc1", "fc2", "fc3"), {"fc1": (300, 784), "fc2": (100, 300), "fc3": (10, 100)}
)
# Caffe's LeNet5: no activation after the convolutions but max pooling, one ReLU after fc1.
LENET5 = Network(
    "lenet5",
    ("conv1", "conv2", "fc1", "fc2"),
    {"conv1": (20, 1, 5, 5), "conv2": (50, 20, 5, 5), "fc1": (500, 800), "fc2": (10, 500)},
)
NETWORKS = {network.name: network for network in (LENET300, LENET5)}


def initial_parameters(network: Network, generator: torch.Generator) -> Parameters:
    """He initialisation, zero biases."""
    parameters = {}
    for layer in network.layers:
        shape = network.shapes[layer]
        deviation = math.sqrt(2.0 / math.prod(shape[1:]))
        parameters[f"{layer}.weight"] = torch.randn(shape, generator=generator) * deviation
        parameters[f"{layer}.bias"] = torch.zeros(shape[0])
    return parameters


@dataclass(frozen=True)
class Alive:
    """Per layer, the outputs and inputs that still matter (indices; inputs of fc1 are columns)."""

    outputs: dict[str, Tensor]
    inputs: dict[str, Tensor]


def find_alive(network: Network, parameters: Parameters) -> Alive:
    """Find the units with a path to the output and something (an input or a bias) to send along it."""
    layers = network.layers
    nonzero = {layer: parameters[f"{layer}.weight"].detach() != 0 for layer in layers}
    bias = {layer: parameters[f"{layer}.bias"].detach() != 0 for layer in layers}
    # Any weight between a pair of units; a channel feeding fc1 is seen through its 16 columns.
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
    wanted = torch.ones(network.shapes[layers[-1]][0], dtype=torch.bool)
    for layer in reversed(layers):
        live = wanted if layer == layers[-1] else wanted & reached[layer]
        outputs[layer] = live.nonzero().flatten()
        used = links[layer][live].any(0)
        previous = layers[layers.index(layer) - 1] if layer != layers[0] else None
        if previous is not None:
            used &= _spread(reached[previous], used.shape[0])
            wanted = used.reshape(network.shapes[previous][0], -1).any(1)
        inputs[layer] = used.nonzero().flatten()
    # Inputs must match the living outputs of the layer before, except fc columns, which may be a subset.
    for before, after in itertools.pairwise(layers):
        if len(network.shapes[after]) == 4:
            inputs[after] = outputs[before]
    if len(network.shapes[layers[0]]) == 4:
        inputs[layers[0]] = torch.arange(first_links.shape[1])
    return Alive(outputs, inputs)


def _spread(units: Tensor, n_columns: int) -> Tensor:
    return units.repeat_interleave(n_columns // units.shape[0])


def take_alive(network: Network, parameters: Parameters, alive: Alive) -> Parameters:
    """Copy the rows and columns of living units out of whole tensors."""
    taken = {}
    for layer in network.layers:
        rows, columns = alive.outputs[layer], alive.inputs[layer]
        taken[f"{layer}.weight"] = parameters[f"{layer}.weight"].detach()[rows][:, columns].contiguous()
        taken[f"{layer}.bias"] = parameters[f"{layer}.bias"].detach()[rows].clone()
    return taken


def put_alive(network: Network, parameters: Parameters, alive: Alive, taken: Parameters) -> None:
    """Write what `take_alive` took back into the whole tensors."""
    for layer in network.layers:
        rows, columns = alive.outputs[layer], alive.inputs[layer]
        parameters[f"{layer}.weight"][rows[:, None], columns] = taken[f"{layer}.weight"]
        parameters[f"{layer}.bias"][rows] = taken[f"{layer}.bias"]


def forward(network: Network, taken: Parameters, images: Tensor, alive: Alive) -> Tensor:
    """Compute logits on living units alone; dead ones contribute nothing, so the result is the network's.

    Parameters
    ----------
    taken : dict
        What `take_alive` returns.
    images : float32[n, 784]
        In [0, 1], background 0.
    """
    x = images
    # Which units (or fc1's columns) x holds; None for all of them.
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
            # A column is read once, so the gradient of the selection needs no accumulation order.
            x = x.index_select(1, kept) if len(kept) != x.shape[1] else x
            x = functional.linear(x, weight, bias)
            x = x if layer == last else functional.relu(x)
            held = rows
    if len(alive.outputs[last]) != network.shapes[last][0]:
        raise ValueError("an output unit was removed")
    return x


@torch.no_grad()
def count_correct(network: Network, parameters: Parameters, images: Tensor, labels: Tensor) -> int:
    """Count the images whose largest logit is the label's, in batches of 1000."""
    alive = find_alive(network, parameters)
    taken = take_alive(network, parameters, alive)
    correct = 0
    for start in range(0, len(images), 1000):
        batch = images[start : start + 1000].float() / 255.0
        predicted = forward(network, taken, batch, alive).argmax(1)
        correct += int((predicted == labels[start : start + 1000]).sum())
    return correct
