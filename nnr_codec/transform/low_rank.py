# SPDX-License-Identifier: Apache-2.0
"""A weight as a product of two smaller matrices.

Clause: format 3 (DC).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nnr_codec.transform.block import Block


def decompose(weight: NDArray[np.floating], rank: int, *, bias: NDArray[np.floating] | None = None) -> Block:
    """Return the best product of a rank, as a block.

    Parameters
    ----------
    weight : float[rows, ...]
    rank : int
        1..min(rows, width).
    bias : float[rows], optional
        Carried along in the block.
    """
    flat = np.asarray(weight, np.float64).reshape(weight.shape[0], -1)
    if not 1 <= rank <= min(flat.shape):
        raise ValueError(f"a rank is 1..{min(flat.shape)}, not {rank}")
    u, s, v = np.linalg.svd(flat, full_matrices=False)
    # Singular values shared evenly: errors of both factors then weigh alike.
    root = np.sqrt(s[:rank])
    g, h = u[:, :rank] * root, root[:, None] * v[:rank]
    return Block(
        factors=(g.astype(np.float32), h.astype(np.float32)), shape_of_product=tuple(weight.shape), bias=bias
    )


def choose_rank(weight: NDArray[np.floating], relative_error: float) -> int | None:
    """Return the rank whose factors cost least at an error, or None where the weight itself costs less.

    Costs are those of Gaussian sources, ``log2(deviation / error)`` bits an element: the truncation takes a part of the error
    allowed and the factors' quantisation the rest. Trained weights of full rank seldom gain; weights trained or tuned towards
    low rank, and wide layers at large errors, do.

    Parameters
    ----------
    weight : float[rows, ...]
    relative_error : float
        Root mean square error allowed, over the weight's root mean square.
    """
    flat = np.asarray(weight, np.float64).reshape(weight.shape[0], -1)
    rows, width = flat.shape
    energy = float(np.square(flat).sum())
    if energy == 0 or min(rows, width) < 2:
        return None
    allowed = relative_error**2 * energy
    s = np.linalg.svd(flat, compute_uv=False)
    tails = energy - np.cumsum(s**2)
    best_bits = flat.size * max(math.log2(1 / relative_error), 0.0)
    best = None
    for rank in range(1, min(rows, width)):
        left = allowed - max(float(tails[rank - 1]), 0.0)
        if left <= 0:
            continue
        # An error d² in each of G's elements makes d² * s_i in each of rows products, likewise for H; all alike:
        noise = left / (float(s[:rank].sum()) * (rows + width))
        variances = s[:rank] / rows, s[:rank] / width
        bits = sum(
            count * float(np.maximum(0.5 * np.log2(variance / noise), 0).sum())
            for variance, count in zip(variances, (rows, width), strict=True)
        )
        if bits < best_bits:
            best_bits, best = bits, rank
    return best
