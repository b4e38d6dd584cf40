# SPDX-License-Identifier: Apache-2.0
"""Tensor roles: vector, table, statistic, embedding or matrix, by shape and values, with the name as a hint."""

from __future__ import annotations

import enum
import math
import re
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

# Trained vectors of this length are practically never sorted; schedules, frequencies and position tables usually are.
_SHORTEST_TABLE = 16
_LONGEST_TABLE = 1 << 16

_TABLE_NAME = re.compile(
    r"inv_freq|freqs?_ci[sr]|(cos|sin)_cached|(^|[._])(alphas?|betas?|sigmas?|timesteps?)(_|$)(?!.*(weight|bias))"
    r"|cumprod|position_ids|noise_schedule|mel_(basis|filters)|filterbank",
    re.IGNORECASE,
)
_STATISTIC_NAME = re.compile(r"(^|[._])(running_|moving_)?(var|variance|std|stddev)$", re.IGNORECASE)
# Scales of quantisation blocks: a matrix that multiplies one of integers, and a small part of the model.
_BLOCK_SCALE_NAME = re.compile(r"(^|[._/])(\w+_)?(scales?|scales?_inv|absmax)$", re.IGNORECASE)
_EMBEDDING_NAME = re.compile(r"embe?d|(^|[._])(\w+_)?(wte|wpe|emb)([._]|$)", re.IGNORECASE)


def is_embedding_name(name: str) -> bool:
    """Tell whether a name is that of a matrix whose rows are looked up."""
    return _EMBEDDING_NAME.search(name) is not None


class TensorRole(enum.Enum):
    """Role of a tensor in its network."""

    SCALE = "scale"  # a vector of one sign: norm weights, quantisation scales
    BIAS = "bias"  # any other vector: biases, running means
    STATISTIC = "statistic"  # a vector of variances or deviations, by its name
    TABLE = "table"  # a schedule, frequencies, positions, scales of blocks: computed, not trained
    EMBEDDING = "embedding"  # a matrix whose rows are looked up
    MATRIX = "matrix"  # matrices and convolutions

    @property
    def is_vector(self) -> bool:
        """Tell whether the role is a vector's by definition; a table may have any shape."""
        return self in (TensorRole.SCALE, TensorRole.BIAS, TensorRole.STATISTIC)


def is_vector(shape: tuple[int, ...]) -> bool:
    """Tell whether one extent holds all elements, as in [n], [n, 1], [1, 1, n] and scalars.

    >>> is_vector((1, 64, 1)), is_vector(()), is_vector((2, 3))
    (True, True, False)
    """
    return math.prod(shape) == max(shape, default=1)


def role_of(name: str, shape: tuple[int, ...], weights: NDArray[np.float32]) -> TensorRole:
    """Classify a tensor.

    Parameters
    ----------
    name : str
        Distinguishes statistics, embeddings and unsorted tables, which shape and values do not.
    shape : tuple of int
    weights : float32[n]
        The elements, finite.
    """
    if _TABLE_NAME.search(name):
        return TensorRole.TABLE
    if not is_vector(shape):
        if _BLOCK_SCALE_NAME.search(name) or _is_grid(weights, shape):
            return TensorRole.TABLE
        return TensorRole.EMBEDDING if is_embedding_name(name) else TensorRole.MATRIX
    if _STATISTIC_NAME.search(name):
        return TensorRole.STATISTIC
    if _SHORTEST_TABLE <= weights.size <= _LONGEST_TABLE and _is_strictly_sorted(weights):
        return TensorRole.TABLE
    return TensorRole.SCALE if weights.min() >= 0 or weights.max() <= 0 else TensorRole.BIAS


def is_ruined_by_float32(array: NDArray[np.float64]) -> bool:
    """Tell whether float32 turns all values to zero, or a sorted vector, such as times in seconds, to one with repetitions."""
    flat = array.reshape(-1)
    with np.errstate(over="ignore", under="ignore"):
        narrow = flat.astype(np.float32)
    if not narrow.any():
        return bool(flat.any())
    is_table = is_vector(array.shape) and _SHORTEST_TABLE <= flat.size <= _LONGEST_TABLE
    return is_table and _is_strictly_sorted(flat) and not _is_strictly_sorted(narrow)


def _is_grid(weights: NDArray[np.float32], shape: tuple[int, ...]) -> bool:
    """Tell whether every row is strictly sorted, or every column: a product of positions and frequencies, a grid."""
    by_row = weights.reshape(-1, shape[-1])
    by_column = weights.reshape(shape[0], -1).T
    return any(
        lines.shape[1] >= _SHORTEST_TABLE
        and _is_monotonic(lines[0][:_SHORTEST_TABLE])
        and any(
            bool(np.all(lines[:, 1:] > lines[:, :-1]))
            if rising
            else bool(np.all(lines[:, 1:] < lines[:, :-1]))
            for rising in (True, False)
        )
        for lines in (by_row, by_column)
    )


def _is_strictly_sorted(values: NDArray[np.floating]) -> bool:
    # The first few elements settle nearly every vector, and lists are faster than arrays of a few elements.
    pairs = list(pairwise(values[:_SHORTEST_TABLE].tolist()))
    if not (all(a < b for a, b in pairs) or all(a > b for a, b in pairs)):
        return False
    return _is_monotonic(values)


def _is_monotonic(values: NDArray[np.floating]) -> bool:
    n_rising = np.count_nonzero(values[1:] > values[:-1])
    if n_rising == 0:
        return bool((values[1:] < values[:-1]).all())
    return bool(n_rising == values.size - 1)
