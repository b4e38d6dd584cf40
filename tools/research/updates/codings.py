# SPDX-License-Identifier: Apache-2.0
"""Sizes of usual codings of a new model, and interpolation at equal quality."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import zstandard

from tools.research.updates.fashion import Arrays

_LEVEL = 19


def packed_halves(model: Arrays) -> tuple[int, Arrays]:
    """Return the size of a model as float16 with zstd, and the model at this precision."""
    halves = {name: array.astype(np.float16) for name, array in model.items()}
    return _packed(halves), {name: array.astype(np.float32) for name, array in halves.items()}


def lossless_difference(model: Arrays, base: Arrays) -> int:
    """Return the size of the exclusive or of float32 elements with the base, in planes of bytes, with zstd."""
    differences = {name: model[name].view(np.uint32) ^ base[name].view(np.uint32) for name in model}
    planes = {name: array.reshape(-1).view(np.uint8).reshape(-1, 4).T for name, array in differences.items()}
    return _packed({name: np.ascontiguousarray(array) for name, array in planes.items()})


def size_at(loss: float, points: Sequence[tuple[int, float]]) -> float:
    """Return the size at a loss, interpolated in the logarithm of the size; NaN outside the points.

    Parameters
    ----------
    loss : float
    points : sequence of (int, float)
        Sizes, falling, and their losses. The first interval that contains the loss counts.
    """
    for (larger, less), (smaller, more) in itertools.pairwise(points):
        if less <= loss <= more and less < more:
            share = (loss - less) / (more - less)
            return math.exp((1 - share) * math.log(larger) + share * math.log(smaller))
    return math.nan


def _packed(arrays: Arrays) -> int:
    return len(zstandard.compress(b"".join(array.tobytes() for array in arrays.values()), _LEVEL))
