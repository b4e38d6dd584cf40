# SPDX-License-Identifier: Apache-2.0
"""Differences as products of two thin matrices.

The gradient of a matrix is a sum of few outer products, so an update has a low rank: a product of rank 8 often has more than nine
tenths of its energy in a few percent of the elements.

Source: Vogels et al., PowerSGD: Practical Low-Rank Gradient Compression for Distributed Optimization, 2019.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nnr_codec.transform import Block

# Factors have at most this share of the elements of their product; else the difference itself is sent.
_LARGEST_SHARE = 0.25
# Error of the factors, as a fraction of their root mean square. Finer ones cost more than a larger rank at equal quality.
_FACTOR_ERROR = 0.3
_OVERSAMPLING = 8
_ITERATIONS = 2

#: Suffixes of the names of the factors, as the format has them.
SUFFIXES = ("_G", "_H")


def worthwhile_rank(shape: tuple[int, ...], rank: int) -> int:
    """Return the rank of a tensor's product; 0 if no product of about the rank is much smaller than the tensor.

    Parameters
    ----------
    shape : tuple of int
    rank : int
        Upper bound; at least half of it is used.
    """
    usable = min(rank, largest_rank(shape))
    return usable if 2 * usable >= rank else 0


def largest_rank(shape: tuple[int, ...]) -> int:
    """Return the largest rank of a tensor's product, whose factors have a quarter of the tensor's elements."""
    if len(shape) < 2:
        return 0
    rows, width = shape[0], math.prod(shape[1:])
    return int(_LARGEST_SHARE * rows * width / max(rows + width, 1))


def low_rank_block(difference: NDArray[np.float32], rank: int) -> Block:
    """Return a product close to the best one of a rank. Both factors have the same Frobenius norm.

    Parameters
    ----------
    difference : float32[rows, ...]
        Finite values.
    rank : int

    Source: Halko et al., Finding Structure with Randomness, 2011, algorithm 4.4.
    """
    matrix = difference.reshape(len(difference), -1)
    # A fixed seed, so that equal updates have equal streams.
    sketch = np.random.default_rng(0).standard_normal((matrix.shape[1], rank + _OVERSAMPLING))
    basis = np.linalg.qr(matrix @ sketch.astype(np.float32))[0]
    for _ in range(_ITERATIONS):
        basis = np.linalg.qr(matrix @ np.linalg.qr(matrix.T @ basis)[0])[0]
    u, s, v = np.linalg.svd(basis.T @ matrix, full_matrices=False)
    root = np.sqrt(s[:rank])
    return Block(
        factors=((basis @ u[:, :rank]) * root, root[:, None] * v[:rank]), shape_of_product=difference.shape
    )


def factor_error(block: Block) -> float:
    """Return the absolute error of the factors. Equal steps of both need the fewest bits for an error of the product."""
    if block.factors is None:
        raise ValueError("the block has no factors")
    energy = sum(float(np.square(factor, dtype=np.float64).sum()) for factor in block.factors)
    return _FACTOR_ERROR * math.sqrt(energy / sum(factor.size for factor in block.factors))


def product(g: NDArray[np.float32], h: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply factors in binary64 and round once, so that the result does not depend on the order of a sum."""
    return (g.astype(np.float64) @ h.astype(np.float64)).astype(np.float32)
