# SPDX-License-Identifier: Apache-2.0
"""Low-rank decomposition of a weight into two smaller matrices.

Clause: format 3 (DC).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nnr_codec.transform.block import Block

# Range of the step search, relative to the root mean square, and number of bisections in the log domain.
_STEPS = (1e-4, 16.0)
_BISECTIONS = 10
# Rounding offset that approximates rate-distortion optimised quantisation, which prefers the smaller level.
_ROUNDING = 1 / 3
# Largest float32, the type of the factors.
_LARGEST = float(np.finfo(np.float32).max)


def decompose(weight: NDArray[np.floating], rank: int, *, bias: NDArray[np.floating] | None = None) -> Block:
    """Return the least-squares approximation of a weight by a product of the given rank.

    Parameters
    ----------
    weight : float[rows, ...]
    rank : int
        1..min(rows, width).
    bias : float[rows], optional
        Bias to store in the block.

    Returns
    -------
    Block

    Raises
    ------
    ValueError
        The rank is out of range, or the weight is not finite in float32.
    """
    flat = _as_matrix(weight)
    if not 1 <= rank <= min(flat.shape):
        raise ValueError(f"the rank must be 1..{min(flat.shape)}, not {rank}")
    u, s, v = np.linalg.svd(flat, full_matrices=False)
    # Each factor takes the square root of the singular values, so errors of both have the same weight.
    root = np.sqrt(s[:rank])
    g, h = u[:, :rank] * root, root[:, None] * v[:rank]
    return Block(
        factors=(g.astype(np.float32), h.astype(np.float32)), shape_of_product=tuple(weight.shape), bias=bias
    )


def choose_rank(weight: NDArray[np.floating], relative_error: float) -> int | None:
    """Return the rank of the cheapest factors for an error, or None if the weight itself is cheaper.

    The cost is the entropy of the uniformly quantised values, at the step that meets the error. Truncation to the rank causes
    a part of the error and quantisation of the factors the rest. The cost of a Gaussian source would mislead: trained weights
    have many small values, which are cheap, while their factors are not. Weights of full rank seldom benefit; weights trained
    for low rank do. If the error is finer than all steps of the search, the result is None.

    Parameters
    ----------
    weight : float[rows, ...]
    relative_error : float
        Largest root mean square error, relative to the root mean square of the weight.

    Returns
    -------
    int or None

    Raises
    ------
    ValueError
        The weight is not finite in float32, or the error is negative or not finite.
    """
    if not 0 <= relative_error < math.inf:
        raise ValueError(f"the relative error must be finite and not negative, not {relative_error!r}")
    flat = _as_matrix(weight)
    rows, width = flat.shape
    energy = float(np.square(flat).sum())
    if energy == 0 or min(rows, width) < 2:
        return None
    allowed = relative_error**2 * energy
    u, s, v = np.linalg.svd(flat, full_matrices=False)
    # tails[i] is the squared error of rank i + 1. Summing from the smallest singular value avoids cancellation.
    tails = np.append(np.cumsum(s[:0:-1] ** 2)[::-1], 0.0)
    sufficient = np.flatnonzero(tails < allowed)
    # With a larger rank the factors have more elements than the weight.
    max_rank = rows * width // (rows + width)
    if not sufficient.size or sufficient[0] >= max_rank:
        return None
    min_rank = int(sufficient[0]) + 1
    least_bits, cheapest_rank = _bits_at(flat, (flat,), allowed), None
    coarse_ranks = np.geomspace(min_rank, max(max_rank, min_rank), 8).astype(int)
    for rank in sorted({*range(min_rank, min_rank + 4), *coarse_ranks}):
        if rank > max_rank:
            break
        root = np.sqrt(s[:rank])
        bits = _bits_at(flat, (u[:, :rank] * root, root[:, None] * v[:rank]), allowed)
        if bits < least_bits:
            least_bits, cheapest_rank = bits, int(rank)
    return cheapest_rank


def _as_matrix(weight: NDArray[np.floating]) -> NDArray[np.float64]:
    if weight.ndim == 0:
        raise ValueError("a weight must have rows; a scalar has no low-rank decomposition")
    flat = np.asarray(weight, np.float64).reshape(weight.shape[0], math.prod(weight.shape[1:]))
    # The comparison is also false for NaN.
    if not np.max(np.abs(flat), initial=0.0) <= _LARGEST:
        raise ValueError("the weight must be finite and within the range of float32")
    return flat


def _bits_at(flat: NDArray[np.float64], parts: tuple[NDArray[np.float64], ...], allowed: float) -> float:
    """Return the bits of parts at the largest step whose quantised product has at most the allowed squared error.

    The result is infinite if every step of the search causes a larger error.
    """
    finest, coarsest = _STEPS
    is_met = False
    rms = max(float(np.sqrt(np.square(part).mean())) for part in parts)
    for _ in range(_BISECTIONS):
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
    """Return the empirical entropy of levels plus the model cost of their frequencies, in bits."""
    counts = np.unique(levels, return_counts=True)[1]
    entropy = float((counts * np.log2(levels.size / counts)).sum())
    # Minimum description length: half the logarithm of the sample size per free parameter.
    return entropy + (len(counts) - 1) / 2 * math.log2(levels.size)
