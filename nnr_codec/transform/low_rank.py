# SPDX-License-Identifier: Apache-2.0
"""A weight as a product of two smaller matrices.

Clause: format 3 (DC).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nnr_codec.transform.block import Block

# Where the step is sought, in root mean squares, and how often the interval's logarithm is halved.
_STEPS = (1e-4, 16.0)
_HALVINGS = 10
# Rate-distortion optimised quantisation rounds towards zero more often than not: about as if a third were added, not a half.
_ROUNDING = 1 / 3
# Of the factors' type.
_LARGEST = float(np.finfo(np.float32).max)


def decompose(weight: NDArray[np.floating], rank: int, *, bias: NDArray[np.floating] | None = None) -> Block:
    """Return the best product of a rank, as a block.

    Parameters
    ----------
    weight : float[rows, ...]
    rank : int
        1..min(rows, width).
    bias : float[rows], optional
        Carried along in the block.

    Raises
    ------
    ValueError
        There is no product of this rank, or the weight is not finite in float32.
    """
    flat = _as_matrix(weight)
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

    Costs are entropies of what uniform quantisation makes of the very values, at the step that leaves the error asked for: the
    truncation takes a part of it and the factors' quantisation the rest. A Gaussian source's cost would not do: trained weights
    have many small values, which cost little as they are and whose factors are as dear as any. Trained weights of full rank
    seldom gain; weights trained or tuned towards low rank do. Errors finer than any step tried leave the weight as it is.

    Parameters
    ----------
    weight : float[rows, ...]
    relative_error : float
        Root mean square error allowed, over the weight's root mean square.

    Raises
    ------
    ValueError
        The weight is not finite in float32, or the error not finite and not negative.
    """
    if not 0 <= relative_error < math.inf:
        raise ValueError(f"a relative error is finite and not negative, unlike {relative_error!r}")
    flat = _as_matrix(weight)
    rows, width = flat.shape
    energy = float(np.square(flat).sum())
    if energy == 0 or min(rows, width) < 2:
        return None
    allowed = relative_error**2 * energy
    u, s, v = np.linalg.svd(flat, full_matrices=False)
    # Summed from the smallest: taken from the whole they would be lost in its rounding.
    tails = np.append(np.cumsum(s[:0:-1] ** 2)[::-1], 0.0)
    enough = np.flatnonzero(tails < allowed)
    # From there on factors are more numbers than the weight has.
    most = rows * width // (rows + width)
    if not enough.size or enough[0] >= most:
        return None
    lowest = int(enough[0]) + 1
    best_bits, best = _bits_at(flat, (flat,), allowed), None
    for rank in sorted({*range(lowest, lowest + 4), *np.geomspace(lowest, max(most, lowest), 8).astype(int)}):
        if rank > most:
            break
        root = np.sqrt(s[:rank])
        bits = _bits_at(flat, (u[:, :rank] * root, root[:, None] * v[:rank]), allowed)
        if bits < best_bits:
            best_bits, best = bits, int(rank)
    return best


def _as_matrix(weight: NDArray[np.floating]) -> NDArray[np.float64]:
    if weight.ndim == 0:
        raise ValueError("a weight has rows")
    flat = np.asarray(weight, np.float64).reshape(weight.shape[0], math.prod(weight.shape[1:]))
    # Also false for NaN.
    if not np.max(np.abs(flat), initial=0.0) <= _LARGEST:
        raise ValueError("a weight to be factored is finite, and within the range of float32")
    return flat


def _bits_at(flat: NDArray[np.float64], parts: tuple[NDArray[np.float64], ...], allowed: float) -> float:
    """Return the bits of parts whose product, each quantised with one step, is as far from a weight as allowed.

    Infinite where no step tried is fine enough.
    """
    finest, coarsest = _STEPS
    is_met = False
    rms = max(float(np.sqrt(np.square(part).mean())) for part in parts)
    for _ in range(_HALVINGS):
        step = math.sqrt(finest * coarsest)
        quantised = [_levels(part, step * rms) * (step * rms) for part in parts]
        product = quantised[0] if len(parts) == 1 else quantised[0] @ quantised[1]
        if np.square(product - flat).sum() > allowed:
            coarsest = step
        else:
            finest, is_met = step, True
    if not is_met:
        return math.inf
    return sum(_entropy_bits(_levels(part, finest * rms)) for part in parts)


def _levels(part: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    scaled = part / step
    return np.copysign(np.floor(np.abs(scaled) + _ROUNDING), scaled)


def _entropy_bits(levels: NDArray[np.float64]) -> float:
    """Return the bits of levels by their own frequencies, and of learning these."""
    counts = np.unique(levels, return_counts=True)[1]
    entropy = float((counts * np.log2(levels.size / counts)).sum())
    # Half the logarithm of the number of samples for each frequency.
    return entropy + (len(counts) - 1) / 2 * math.log2(levels.size)
