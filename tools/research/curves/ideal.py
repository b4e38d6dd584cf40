# SPDX-License-Identifier: Apache-2.0
"""Ideal 8-state trellis: quantisation with known rate tables per state, iterated to convergence.

Its distance to the bound is the loss of the quantiser; the further loss of an encoder is that of its entropy coder. The
implementation is independent of the codec and uses NumPy: blocks of the sample are searched in parallel, with margins in
which the paths of neighbouring blocks merge into one path through the sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEXT = np.array([[0, 2], [7, 5], [1, 3], [6, 4], [2, 0], [5, 7], [3, 1], [4, 6]])
PREVIOUS = np.array([[int(np.flatnonzero(NEXT[:, p] == t)[0]) for t in range(8)] for p in range(2)])
_BLOCK, _MARGIN = 400, 150  # weights; the margins are on either side


@dataclass(frozen=True)
class Point:
    """Rate and distortion of the quantiser at one step size."""

    bits: float  # entropy of the coded values given the state, per weight
    mse: float
    levels: NDArray[
        np.int32
    ]  # in the order of the weights, up to the first block whose path does not join the next
    levels_bits: float  # as `bits`, for these levels


def search(weights: NDArray[np.float32], step: float, error: float, rounds: int = 8) -> Point:
    """Iterate the rate tables at the lambda of a root-mean-square error, 2 ln 2 times its square.

    A lambda from the measured error would diverge to zero rate at low rates.
    """
    n = weights.size // _BLOCK * _BLOCK
    padded = np.pad(np.abs(weights[:n] / step).astype(np.float64), _MARGIN)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _BLOCK + 2 * _MARGIN)[::_BLOCK]
    x, inside = np.ascontiguousarray(windows.T), slice(_MARGIN, _MARGIN + _BLOCK)
    largest = int(x.max() / 2) + 4
    prior = np.exp(-np.arange(largest) * 2 / max(x.mean(), 0.05))
    rates = np.tile(-np.log2(prior / prior.sum() / 2 + 1e-12), (8, 1))
    signs = np.where(np.signbit(weights[:n]), -1, 1).astype(np.int32)
    slope, point = 2 * math.log(2) * (error / step) ** 2, Point(0.0, 0.0, signs, 0.0)
    for _ in range(rounds):
        values, states = (paths[inside] for paths in _viterbi(x, rates, slope))
        levels = 2 * values - (states & 1) * (values > 0)
        mse = float(np.square(x[inside] - levels).mean())
        for state in range(8):
            counts = np.bincount(values[states == state], minlength=largest).astype(np.float64)
            rates[state] = -np.log2((counts + 0.02) / (counts.sum() + 0.02 * largest))
            rates[state, 1:] += 1  # the sign
        apart = np.flatnonzero(NEXT[states[-1, :-1], values[-1, :-1] & 1] != states[0, 1:])
        joined = slice(int(apart[0]) + 1 if apart.size else None)
        point = Point(
            _entropy(values, states),
            mse * step * step,
            (signs.reshape(-1, _BLOCK) * levels.T.astype(np.int32))[joined].reshape(-1),
            _entropy(values[:, joined], states[:, joined]),
        )
    return point


def _entropy(values: NDArray[np.int64], states: NDArray[np.int64]) -> float:
    """Entropy of coded values given the states, with one bit per sign, in bits per weight."""
    bits = 0.0
    for state in range(8):
        counts = np.bincount(values[states == state])
        seen = counts[counts > 0]
        bits += float(-(seen * np.log2(seen / counts.sum())).sum() + counts[1:].sum())
    return bits / values.size


def _viterbi(
    x: NDArray[np.float64], rates: NDArray[np.float64], slope: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    length, blocks = x.shape
    costs = np.zeros((8, blocks))
    decisions = np.empty((length, 8, blocks), np.int32)
    for i in range(length):
        if i == _MARGIN:
            costs[1:, 0] = 1e30  # the sample starts in state 0
        options = {key: _candidates(x[i], *key) for key in ((0, 0), (0, 1), (1, 0), (1, 1))}
        new, chosen = np.full((8, blocks), np.inf), np.zeros((8, blocks), np.int32)
        for to in range(8):
            for parity in range(2):
                state = int(PREVIOUS[parity, to])
                for value, distortion in options[state & 1, parity]:
                    cost = costs[state] + distortion + slope * rates[state, value]
                    better = cost < new[to]
                    new[to] = np.where(better, cost, new[to])
                    chosen[to] = np.where(better, value * 8 + state, chosen[to])
        costs, decisions[i] = new, chosen
    state = costs.argmin(axis=0)
    values, states = np.empty((length, blocks), np.int64), np.empty((length, blocks), np.int64)
    for i in range(length - 1, -1, -1):
        decision = decisions[i, state, np.arange(blocks)]
        values[i], state = decision >> 3, decision & 7
        states[i] = state
    return values, states


def _candidates(
    x: NDArray[np.float64], quantiser: int, parity: int
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    scaled = (x + quantiser) / 2
    floor = np.floor(scaled).astype(np.int64)
    lower = floor - ((floor ^ parity) & 1)
    candidates = [
        (np.maximum(q, 0), np.where(q < 1, np.inf, np.square(2 * (scaled - q)))) for q in (lower, lower + 2)
    ]
    if parity == 0:
        candidates.append((np.zeros_like(lower), np.square(x)))
    return candidates
