# SPDX-License-Identifier: Apache-2.0
"""Model under test: its tensors, and the divergence of its outputs after coding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.files.compressing import RunnableModel

Tensors = Mapping[str, NDArray[Any]]
_SMALLEST = 1e-30


@dataclass(frozen=True)
class Calibration:
    """Model that runs on calibration inputs.

    Attributes
    ----------
    model : RunnableModel
    tensors : mapping of str to array
        Tensors as the model names and orders them.
    restored : callable
        Function from these tensors to those of the subject.
    """

    model: RunnableModel
    tensors: Tensors
    restored: Callable[[Tensors], Tensors] = dict


@dataclass(frozen=True)
class Subject:
    """Model under test.

    Attributes
    ----------
    name : str
    measure : str
        Name of the divergence.
    tensors : mapping of str to float32 array
        Tensors to encode.
    divergence : callable
        From decoded tensors to the divergence of the outputs from those of the original, which is 0.
    points : tuple of float
        Divergences at which sizes are compared: barely measurable, small, harmful. They were fixed before any tuning.
    per_octave : int
        Points of a sweep per doubling of the step size. Small models take more, because their divergence is noisy.
    neighbours : int
        Fewest points on each side of a divergence at which a size is interpolated.
    calibration : callable of (bool, int), optional
        Returns a calibration with made inputs (True) or with real ones, none of which the divergence sees, by a seed.
    """

    name: str
    measure: str
    tensors: Tensors
    divergence: Callable[[Tensors], float]
    points: tuple[float, float, float]
    per_octave: int = 4
    neighbours: int = 3
    calibration: Callable[[bool, int], Calibration] | None = None

    @property
    def n_weights(self) -> int:
        """Number of elements of all tensors."""
        return sum(array.size for array in self.tensors.values())


def mean_divergence(reference: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """Return the mean Kullback-Leibler divergence from reference distributions, in nats.

    Parameters
    ----------
    reference, probabilities : float[..., classes]
        Distributions over the last axis.
    """
    p = np.maximum(reference.astype(np.float64), _SMALLEST)
    q = np.maximum(probabilities.astype(np.float64), _SMALLEST)
    return float((p * np.log(p / q)).sum(-1).mean())


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the softmax over the last axis in binary64."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    result: NDArray[np.float64] = shifted / shifted.sum(-1, keepdims=True)
    return result
