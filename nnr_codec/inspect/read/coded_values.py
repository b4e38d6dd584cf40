# SPDX-License-Identifier: Apache-2.0
"""Coded values of a tensor with the coder's conditions, recovered from the levels.

The arithmetic coder codes values, not levels: dependent quantisation maps a value and the state to a level. This module
inverts the mapping for a whole tensor and gives, for every coded value, the state and the neighbour class that select
its significance context.

Clause: format 5.2, 5.4, 5.5.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T", bound=np.generic)

#: Next state of dependent quantisation, by state and parity of the coded value. Clause: format 6.4.
NEXT_STATE = ((0, 2), (7, 5), (1, 3), (6, 4), (2, 0), (5, 7), (3, 1), (4, 6))
N_STATES = 8
N_CLASSES = 3  # the previous value is 0, negative, positive
_ZERO_PERIOD = 4  # the states repeat after at most four zeros


class CodedValues(NamedTuple):
    """The coded values of a tensor in coding order; skipped rows have none.

    Attributes
    ----------
    values : int32[n]
        Before the mapping of dependent quantisation.
    conditions : uint8[n]
        ``3 * state + class``: state 0..7 (0 without dependent quantisation); class 0, 1, 2 for a previous value that is
        zero, negative, positive.
    """

    values: NDArray[np.int32]
    conditions: NDArray[np.uint8]


def coded_values(
    levels: NDArray[np.int32], *, dependent: bool, scan_order: int = 0, row_skip_flags: bytes = b""
) -> CodedValues:
    """Return the coded values of a tensor and their conditions.

    Parameters
    ----------
    levels : int32[rows, width]
        After the mapping of dependent quantisation.
    dependent : bool
        Dependent quantisation made the levels.
    scan_order : int
        0..4.
    row_skip_flags : bytes
        One byte per row, 1 for a skipped row; empty if row skipping is off.
    """
    rows, width = levels.shape
    block = 4 << scan_order if scan_order and rows > 1 and width > 1 else 0
    scanned = _scan(levels, block)
    row_starts = np.arange(0, scanned.size, (block or rows) * width or 1)
    coded = None
    if any(row_skip_flags):
        kept = np.frombuffer(row_skip_flags, np.uint8) == 0
        coded = _scan(np.broadcast_to(kept[:, None], (rows, width)), block)
        scanned = scanned[coded]
        # Index of the first coded value at or after the start of each block row.
        row_starts = np.searchsorted(np.flatnonzero(coded), row_starts)
    positive = scanned > 0
    # Both quantisers give the value |q| = (|level| + 1) >> 1, and the sign of the level.
    values = (scanned >> 1) + (scanned & positive) if dependent else scanned
    conditions = np.zeros(values.size, np.uint8)
    conditions[1:] = (scanned < 0)[:-1]
    conditions[1:] += positive[:-1].view(np.uint8) << 1
    conditions[row_starts[row_starts < values.size]] = 0
    if dependent and values.size:
        parities = values.astype(np.uint8) & np.uint8(1)
        conditions += N_CLASSES * _states(parities, rows, width, block, coded)
    return CodedValues(values, conditions)


def conditional_entropy(coded: CodedValues) -> float:
    """Return the empirical entropy of the values given their conditions, summed over all values, in bits.

    Examples
    --------
    >>> values = np.array([1, 2, 1, 2], np.int32)
    >>> conditional_entropy(CodedValues(values, np.zeros(4, np.uint8)))
    4.0
    >>> conditional_entropy(CodedValues(values, np.array([0, 1, 0, 1], np.uint8)))
    0.0
    """
    values, conditions = coded
    if not values.size:
        return 0.0
    n_conditions = N_STATES * N_CLASSES
    low, high = int(values.min()), int(values.max())
    n_cells = n_conditions * (high - low + 1)
    # Counting beats sorting while the cells are not many more than the values.
    if n_cells <= min(4096 + 4 * values.size, (1 << 31) - 1):
        cells = values - np.int32(low)
        cells *= n_conditions
        cells += conditions
        joint = np.bincount(cells, minlength=n_cells)
        marginal = joint.reshape(-1, n_conditions).sum(axis=0)
    else:
        cells64 = (values.astype(np.int64) - low) * n_conditions + conditions
        joint = np.unique(cells64, return_counts=True)[1]
        marginal = np.bincount(conditions)
    return max(0.0, _n_log_n(marginal) - _n_log_n(joint))


def _n_log_n(counts: NDArray[np.int64]) -> float:
    counts = counts[counts > 0]
    return float((counts * np.log2(counts)).sum())


def _scan(matrix: NDArray[_T], block: int) -> NDArray[_T]:
    """Return the elements of a matrix in coding order; ``block`` is the side of the blocks, 0 for row by row."""
    if not block:
        return matrix.reshape(-1)
    rows, width = matrix.shape
    n_full = rows - rows % block
    parts = [_scan_block_rows(matrix[:n_full].reshape(-1, block, width), block)] if n_full else []
    if n_full < rows:
        parts.append(_scan_block_rows(matrix[None, n_full:], block))
    return np.concatenate(parts)


def _scan_block_rows(block_rows: NDArray[_T], block: int) -> NDArray[_T]:
    """Scan block rows of equal height, ``[block rows, height, width]``."""
    n, height, width = block_rows.shape
    n_full = width - width % block
    full = block_rows[:, :, :n_full].reshape(n, height, n_full // block, block).transpose(0, 2, 1, 3)
    cropped = block_rows[:, :, n_full:]
    return np.concatenate([full.reshape(n, -1), cropped.reshape(n, -1)], axis=1).reshape(-1)


def _states(
    parities: NDArray[np.uint8], rows: int, width: int, block: int, coded: NDArray[np.bool_] | None
) -> NDArray[np.uint8]:
    """Return the state before each coded value; ``coded`` marks the coded positions, None for all."""
    n_zeros = width % _ZERO_PERIOD
    if coded is None or not n_zeros:
        return states_before(parities)
    # A skipped segment advances the state by as many zeros as the row is wide, not as the segment is long.
    columns = _scan(np.broadcast_to(np.arange(width), (rows, width)), block)
    segment_starts = (columns % block if block else columns) == 0
    skipped = np.flatnonzero(segment_starts & ~coded)
    n_coded_before: NDArray[np.int64] = np.cumsum(coded) - coded
    places: NDArray[np.int64] = np.repeat(n_coded_before[skipped], n_zeros)
    states = states_before(np.insert(parities, places, 0))
    inserted = places + np.arange(places.size)
    return np.delete(states, inserted)


@cache
def _byte_tables() -> tuple[NDArray[np.uint8], tuple[int, ...]]:
    """Return tables that advance the state machine by the eight parities of a byte, most significant bit first.

    Returns
    -------
    before : uint8[8 * 256, 8]
        States before the eight parities, by ``256 * state + byte``.
    after : tuple of int
        256 times the state after them, by the same index.
    """
    next_state = np.array(NEXT_STATE, np.uint8)
    state = np.repeat(np.arange(N_STATES, dtype=np.uint8), 256)
    octets = np.tile(np.arange(256), N_STATES)
    before: NDArray[np.uint8] = np.empty((N_STATES * 256, 8), np.uint8)
    for bit in range(8):
        before[:, bit] = state
        state = next_state[state, octets >> (7 - bit) & 1]
    return before, tuple((256 * state.astype(int)).tolist())


def states_before(parities: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the states of dependent quantisation before each of a sequence of parities, starting in state 0.

    Examples
    --------
    >>> states_before(np.array([1, 0, 0, 1], np.uint8)).tolist()
    [0, 2, 1, 7]
    """
    before, after = _byte_tables()
    # Each state depends on the one before; eight at a time take 5 ns each.
    rows = []
    state = 0
    for octet in np.packbits(parities).tobytes():
        row = state + octet
        rows.append(row)
        state = after[row]
    traced: NDArray[np.uint8] = before[np.array(rows, np.intp)]
    return traced.reshape(-1)[: parities.size]
