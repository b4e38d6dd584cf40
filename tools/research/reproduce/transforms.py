# SPDX-License-Identifier: Apache-2.0
"""Gain of the transforms on several models.

``python -m tools.research.reproduce.transforms --resnet resnet56.pt --lenet lenet300-seed1-dense.npz`` prints, for every
transform, the bytes at equal loss relative to the same encoder without it. The loss of the ResNet is the relative squared
change of its logits on smooth random images, because no data set of it is available.
"""

from __future__ import annotations

import argparse
import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

import nnr_codec
from nnr_codec.frameworks import open_model
from nnr_codec.quant import Curvature
from nnr_codec.transform import (
    BatchNorm,
    Block,
    choose_rank,
    decompose,
    fit_scaling,
    fold_batch_norm,
    prune_rows,
    scale_rows,
    sparsify,
    unfold_batch_norm,
)
from tools.research.reproduce.compare import size_at
from tools.research.reproduce.silero import weights_path
from tools.research.reproduce.tasks import load_task

Tensors = dict[str, npt.NDArray[np.float32]]
Loss = Callable[[Mapping[str, npt.NDArray[Any]]], float]
Make = Callable[[float], tuple[int, float]]  # relative error -> bytes, loss
ERRORS = (0.02, 0.04, 0.08, 0.16, 0.3, 0.5)
_EPSILON = 1e-5


def resnet_logits(t: Mapping[str, npt.NDArray[Any]], images: Tensor) -> Tensor:
    """Run a CIFAR ResNet of bottleneck blocks: float32[n, 3, 32, 32] to logits."""
    p = {name: torch.from_numpy(np.array(value, np.float32)) for name, value in t.items() if np.ndim(value)}

    def normed(x: Tensor, norm: str) -> Tensor:
        moments = p[f"{norm}.running_mean"], p[f"{norm}.running_var"]
        return functional.batch_norm(x, *moments, p[f"{norm}.weight"], p[f"{norm}.bias"], eps=_EPSILON)

    def convolved(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = p[f"{name}.weight"]
        return functional.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2)

    x = functional.relu(normed(convolved(images, "conv1"), "bn1"))
    blocks = sorted({tuple(name.split(".")[:2]) for name in p if name.startswith("layer")}, key=_order)
    for layer, index in blocks:
        at = f"{layer}.{index}"
        stride = 2 if index == "0" and layer != "layer1" else 1
        y = x
        for number in (1, 2, 3):
            # In a bottleneck block, the middle convolution has the stride.
            y = normed(convolved(y, f"{at}.conv{number}", stride if number == 2 else 1), f"{at}.bn{number}")
            y = functional.relu(y) if number < 3 else y
        if f"{at}.downsample.0.weight" in p:
            x = normed(convolved(x, f"{at}.downsample.0", stride), f"{at}.downsample.1")
        x = functional.relu(x + y)
    return functional.linear(x.mean((2, 3)), p["fc.weight"], p["fc.bias"])


def _order(block: tuple[str, ...]) -> tuple[str, int]:
    return block[0], int(block[1])


def resnet_norms(tensors: Tensors) -> list[BatchNorm]:
    """Batch norms of the convolutions, by the usual tensor names."""
    norms = []
    for name in tensors:
        if name.endswith(".running_var"):
            norm = name.removesuffix(".running_var")
            layer = norm.replace("downsample.1", "downsample.0").replace("bn", "conv")
            norms.append(BatchNorm.of_modules(layer, norm, epsilon=_EPSILON))
    return norms


def folding(path: Path) -> None:
    """Measure batch-norm folding on a ResNet."""
    with open_model(path) as model:
        tensors = {
            name: np.asarray(model[name], np.float32) for name in model if model[name].dtype.kind == "f"
        }
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randn(64, 3, 8, 8, generator=generator)
    images = functional.interpolate(coarse, size=(32, 32), mode="bicubic")
    with torch.no_grad():
        expected = resnet_logits(tensors, images)
    norms = resnet_norms(tensors)

    def loss(decoded: Mapping[str, npt.NDArray[Any]]) -> float:
        with torch.no_grad():
            change = resnet_logits(decoded, images) - expected
        return float(change.square().sum() / expected.square().sum())

    def plain(error: float) -> tuple[int, float]:
        stream = nnr_codec.encode(tensors, relative_error=error)
        return len(stream), loss(nnr_codec.decode(stream))

    def folded(error: float) -> tuple[int, float]:
        stream = nnr_codec.encode(fold_batch_norm(tensors, norms), relative_error=error)
        return len(stream), loss(unfold_batch_norm(nnr_codec.decode(stream), norms))

    compare(f"batch-norm folding, {path.stem}", plain, {"folded": folded}, ERRORS[:4])


def on_task(name: str, folder: Path, lenet: Path | None) -> None:
    """Measure sparsification and local scaling on a task."""
    task = load_task(name, folder, lenet)
    tensors, diagonal = task.tensors, task.diagonals[next(reversed(list(task.diagonals)))]()
    curvatures = task.curvatures()
    weights = list(matrices(tensors))

    def coded(changed: Mapping[str, Any], error: float) -> tuple[int, float]:
        stream = nnr_codec.encode({**tensors, **changed}, relative_error=error)
        return len(stream), task.quality(nnr_codec.decode(stream, recompose=True)).loss

    def sparse(zeros: float) -> Tensors:
        return {key: sparsify(tensors[key], zeros, np.asarray(diagonal[key])) for key in weights}

    def by_rows(key: str) -> npt.NDArray[np.float64]:
        rows: npt.NDArray[np.float64] = np.asarray(diagonal[key], np.float64).reshape(len(tensors[key]), -1)
        return np.asarray(rows.mean(1))

    def refitted(zeros: float) -> dict[str, Block]:
        blocks = {}
        for key, weight in sparse(zeros).items():
            curvature = curvatures[key]
            matrix = curvature.damped if isinstance(curvature, Curvature) else None
            blocks[key] = Block(weight=weight, scaling=fit_scaling(tensors[key], weight, matrix))
        return blocks

    def without_rows(share: float) -> Tensors:
        return {key: prune_rows(tensors[key], share, np.asarray(diagonal[key]))[0] for key in weights[:-1]}

    def coded_sparse(
        change: Callable[[float], Mapping[str, Any]], zeros: float, error: float
    ) -> tuple[int, float]:
        return coded(change(zeros), error)

    variants: dict[str, Make] = {
        "rows scaled by their own size": lambda e: coded({k: scale_rows(tensors[k]) for k in weights}, e),
        "rows scaled by importance": lambda e: coded(
            {k: scale_rows(tensors[k], by_rows(k)) for k in weights}, e
        ),
        "10 % of rows pruned": lambda e: coded(without_rows(0.1), e),
    }
    for zeros in (0.3, 0.6):
        variants[f"{zeros:.0%} zeros"] = functools.partial(coded_sparse, sparse, zeros)
        variants[f"{zeros:.0%} zeros, scaling fitted"] = functools.partial(coded_sparse, refitted, zeros)
    compare(f"sparsification and local scaling, {name}", lambda e: coded({}, e), variants, ERRORS)
    ranks(name, matrices(tensors))


def matrices(tensors: Tensors) -> Tensors:
    """Select the tensors of two or more rows."""
    return {key: tensor for key, tensor in tensors.items() if tensor.ndim > 1 and tensor.shape[0] > 1}


def ranks(name: str, weights: Tensors) -> None:
    """Print the chosen ranks, and the bytes with and without factorisation."""
    print(
        f"\n### low rank, {name}\n\n| tensor | relative error | rank chosen | of | bytes | bytes, factored |\n|---{'|---' * 5}|"
    )
    for key, weight in weights.items():
        for error in (0.1, 0.3, 0.6):
            rank = choose_rank(weight, error)
            full = min(weight.shape[0], weight[0].size)
            size = len(nnr_codec.encode({key: weight}, relative_error=error))
            factored = ""
            if rank is not None:
                factored = str(_factored_size(key, weight, rank, error))
            print(f"| {key} | {error} | {rank or 'none'} | {full} | {size} | {factored} |", flush=True)


def _factored_size(key: str, weight: npt.NDArray[np.float32], rank: int, error: float) -> int:
    """Size of factors whose product, truncation included, has the relative error."""
    block = decompose(weight, rank)
    finest, coarsest = error / 16, error * 2
    for _ in range(6):
        relative_error = math.sqrt(finest * coarsest)
        stream = nnr_codec.encode({key: block}, relative_error=relative_error)
        off = nnr_codec.decode(stream, recompose=True)[key] - weight
        if np.square(off).sum() > error**2 * np.square(weight).sum():
            coarsest = relative_error
        else:
            finest = relative_error
    return len(nnr_codec.encode({key: block}, relative_error=finest))


def compare(title: str, plain: Make, variants: Mapping[str, Make], errors: tuple[float, ...]) -> None:
    """Print the sizes of the plain encoder, and the relative sizes of the variants at equal loss."""
    reference = sorted((loss, size) for size, loss in map(plain, errors))
    print(f"\n### {title}\n\n| loss | " + " | ".join(f"{loss:.3g}" for loss, _ in reference) + " |")
    print("|---" * (len(reference) + 1) + "|")
    print("| bytes, unchanged | " + " | ".join(str(size) for _, size in reference) + " |", flush=True)
    for name, variant in variants.items():
        curve = sorted((loss, size) for size, loss in map(variant, errors))
        cells = []
        for loss, size in reference:
            equal = size_at(curve, loss)
            cells.append(
                "not reached" if curve[0][0] > loss else "" if equal is None else f"{equal / size - 1:+.1%}"
            )
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("compare-runs"))
    parser.add_argument("--resnet", type=Path, help="state dict of a CIFAR ResNet")
    parser.add_argument("--lenet", type=Path, help="dense parameters of a LeNet-300-100, written by lenet.py")
    parser.add_argument(
        "--ranks",
        action="store_true",
        help="measure low rank on the voice detector only, which takes seconds",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.ranks:
        with open_model(weights_path(options.folder / "cache")) as model:
            ranks("voice", matrices({key: np.asarray(model[key], np.float32) for key in model}))
        return
    if options.resnet is not None:
        folding(options.resnet)
    on_task("voice", options.folder / "cache", None)
    if options.lenet is not None:
        on_task("lenet300", options.folder / "cache", options.lenet)


if __name__ == "__main__":
    main()
