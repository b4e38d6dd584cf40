# SPDX-License-Identifier: Apache-2.0
"""Fast estimate of the coded size of levels, for use after every epoch.

The cost of a context is the closed-form cost of its counts in an adaptive Krichevsky-Trofimov coder. The contexts are
those of independent quantisation, with optional row skipping. The real coder adapts faster and gains where density varies
within a tensor.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

# Size field, header, name and terminating bits of a unit; start and parameter-set units.
UNIT_OVERHEAD_BYTES = 30
STREAM_OVERHEAD_BYTES = 12
_N_GREATER_FLAGS = 10

Levels = npt.NDArray[np.int32]


def _adaptive_bits(n_zeros: int, n_ones: int) -> float:
    half = math.lgamma(0.5)
    log_probability = (
        math.lgamma(n_zeros + 0.5) + math.lgamma(n_ones + 0.5) - 2 * half - math.lgamma(n_zeros + n_ones + 1)
    )
    return -log_probability / math.log(2.0)


def _flag_bits(flags: npt.NDArray[np.bool_], contexts: npt.NDArray[np.int64]) -> float:
    bits = 0.0
    for context in np.unique(contexts):
        chosen = flags[contexts == context]
        n_ones = int(chosen.sum())
        bits += _adaptive_bits(chosen.size - n_ones, n_ones)
    return bits


def _scan_bits(levels: Levels) -> float:
    if levels.size == 0:
        return 0.0
    before = np.concatenate(([0], levels[:-1]))
    contexts = np.where(before == 0, 0, np.where(before < 0, 1, 2))
    significant = levels != 0
    bits = _flag_bits(significant, contexts)
    bits += _flag_bits(levels[significant] < 0, contexts[significant])
    values = levels[significant]
    for j in range(_N_GREATER_FLAGS):
        values = values[np.abs(values) > j]
        bits += _flag_bits(np.abs(values) > j + 1, (values < 0).astype(np.int64))
    remainder = np.abs(values[np.abs(values) > _N_GREATER_FLAGS]) - _N_GREATER_FLAGS - 1
    return bits + float((2 * np.floor(np.log2(remainder + 1)) + 1).sum())


def estimate_tensor_bits(levels: Levels) -> float:
    """Estimate the payload bits of a tensor, with row skipping where it is smaller."""
    whole = _scan_bits(levels.ravel())
    if levels.ndim < 2:
        return whole
    rows = levels.reshape(levels.shape[0], -1)
    skipped = ~rows.any(1)
    n_skipped = int(skipped.sum())
    flags = _adaptive_bits(rows.shape[0] - n_skipped, n_skipped)
    return min(whole, flags + _scan_bits(rows[~skipped].ravel()))


def estimate_bytes(levels: dict[str, Levels]) -> int:
    """Estimate the size of a stream with one unit per tensor."""
    payload = sum(math.ceil(estimate_tensor_bits(tensor) / 8) for tensor in levels.values())
    return payload + UNIT_OVERHEAD_BYTES * len(levels) + STREAM_OVERHEAD_BYTES
