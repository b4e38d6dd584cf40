# SPDX-License-Identifier: Apache-2.0
"""Random affine and elastic distortions of 28x28 images, and the pool of distorted copies for training.

The pool is created once per dataset, with the teacher's logits, so that training runs neither distortion nor teacher.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Distortion:
    """Maximum distortions; every image draws its own values.

    Attributes
    ----------
    rotation_degrees, shear : float
        Uniform in plus or minus.
    scale : float
        Relative, uniform in plus or minus.
    shift_pixels : float
        Uniform in plus or minus, each axis.
    elastic_pixels : float
        Standard deviation of a smooth displacement field.
    flip : bool
        If True, mirror half of the images.
    """

    rotation_degrees: float
    shear: float
    scale: float
    shift_pixels: float
    elastic_pixels: float
    flip: bool


DISTORTIONS = {
    "mnist": Distortion(10.0, 0.15, 0.10, 1.5, 0.8, False),
    "fashion": Distortion(3.0, 0.03, 0.06, 1.5, 0.0, True),
}


def distort(images: Tensor, distortion: Distortion, generator: torch.Generator) -> Tensor:
    """Distort a batch.

    Parameters
    ----------
    images : float32[n, 1, 28, 28]
    """
    n = images.shape[0]

    def draw(limit: float) -> Tensor:
        return (torch.rand(n, generator=generator) * 2 - 1) * limit

    angle, shear = draw(math.radians(distortion.rotation_degrees)), draw(distortion.shear)
    scale_x, scale_y = 1 + draw(distortion.scale), 1 + draw(distortion.scale)
    # Grid coordinates run from -1 to 1: one pixel is 2/28.
    shift_x, shift_y = draw(distortion.shift_pixels / 14), draw(distortion.shift_pixels / 14)
    if distortion.flip:
        scale_x = scale_x * (1 - 2 * (torch.rand(n, generator=generator) < 0.5).float())
    cosine, sine = torch.cos(angle), torch.sin(angle)
    theta = torch.stack(
        [
            torch.stack([scale_x * cosine, scale_x * (shear * cosine - sine), shift_x], 1),
            torch.stack([scale_y * sine, scale_y * (shear * sine + cosine), shift_y], 1),
        ],
        1,
    )
    grid = functional.affine_grid(theta, [n, 1, 28, 28], align_corners=False)
    if distortion.elastic_pixels > 0:
        # A 6x6 lattice of displacements, interpolated: smooth over about five pixels.
        lattice = torch.randn(n, 2, 6, 6, generator=generator) * (distortion.elastic_pixels / 14)
        field = functional.interpolate(lattice, size=(28, 28), mode="bicubic", align_corners=True)
        grid = grid + field.permute(0, 2, 3, 1)
    return functional.grid_sample(images, grid, align_corners=False)


@dataclass(frozen=True)
class Pool:
    """Distorted copies of the training images.

    Attributes
    ----------
    images : uint8[copies, n, 784]
        Copy 0 is undistorted.
    logits : float16[copies, n, 10]
        Logits of the teacher.
    """

    images: np.ndarray
    logits: np.ndarray

    def draw(self, generator: np.random.Generator, clean_share: float) -> tuple[Tensor, Tensor]:
        """Draw one copy of every image: uint8[n, 784], and its logits: float32[n, 10]."""
        copies, n = self.images.shape[:2]
        chosen = np.asarray(generator.integers(1, copies, n))
        chosen[generator.random(n) < clean_share] = 0
        rows = np.arange(n)
        images = torch.from_numpy(self.images[chosen, rows])
        return images, torch.from_numpy(self.logits[chosen, rows].astype(np.float32))


def make_pool(
    images: np.ndarray,
    dataset: str,
    teacher: Callable[[Tensor], Tensor],
    copies: int,
    folder: Path,
) -> Pool:
    """Create the pool, or open an existing one."""
    images_path, logits_path = folder / f"{dataset}-pool.npy", folder / f"{dataset}-pool-logits.npy"
    if not logits_path.exists():
        n = len(images)
        pool = np.lib.format.open_memmap(images_path, "w+", np.uint8, (copies, n, 784))
        logits = np.zeros((copies, n, 10), np.float16)
        generator = torch.Generator().manual_seed(1)
        for copy in range(copies):
            for start in range(0, n, 1000):
                batch = torch.from_numpy(images[start : start + 1000]).reshape(-1, 1, 28, 28).float()
                if copy:
                    batch = distort(batch, DISTORTIONS[dataset], generator).round()
                batch = batch.clamp(0, 255)
                pool[copy, start : start + 1000] = batch.reshape(-1, 784).to(torch.uint8).numpy()
                logits[copy, start : start + 1000] = teacher(batch.reshape(-1, 784) / 255.0).numpy()
        pool.flush()
        partial = logits_path.with_suffix(".partial.npy")
        np.save(partial, logits)
        partial.replace(logits_path)
    return Pool(np.load(images_path, mmap_mode="r"), np.load(logits_path))
