# SPDX-License-Identifier: Apache-2.0
"""Memoryless sources with their Shannon lower bound."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Source:
    """Sample of a memoryless source of variance 1.

    `entropy` is the empirical differential entropy in bits: the mean of -log2 of the density over the sample. It cancels
    the sampling error, which is a few thousandths of a bit for a million weights.
    """

    name: str
    weights: NDArray[np.float32]
    entropy: float

    def bound(self, mse: float) -> float:
        """Shannon lower bound in bits per weight."""
        return self.entropy - 0.5 * math.log2(2 * math.pi * math.e * mse)


def laplacian(n: int, seed: int = 1) -> Source:
    """Draw a Laplacian sample."""
    scale = math.sqrt(0.5)
    weights = np.random.default_rng(seed).laplace(0, scale, n).astype(np.float32)
    entropy = math.log2(2 * scale) + float(np.abs(weights, dtype=np.float64).mean()) / scale * math.log2(
        math.e
    )
    return Source("Laplacian", weights, entropy)


def gaussian(n: int, seed: int = 1) -> Source:
    """Draw a Gaussian sample."""
    weights = np.random.default_rng(seed).normal(0, 1, n).astype(np.float32)
    square = float(np.square(weights, dtype=np.float64).mean())
    return Source("Gaussian", weights, 0.5 * math.log2(2 * math.pi) + 0.5 * square * math.log2(math.e))


SOURCES: dict[str, Callable[[int], Source]] = {"Laplacian": laplacian, "Gaussian": gaussian}
