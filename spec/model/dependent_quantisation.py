# SPDX-License-Identifier: Apache-2.0
"""5.4 Dependent quantisation: two quantisers, selected by a machine of eight states."""

from __future__ import annotations

from .tables import NEXT_STATE


def level_of(coded: int, state: int) -> int:
    """Return the level: 2q in even states, 2q - sign(q) in odd ones."""
    if state & 1 and coded != 0:
        return 2 * coded - (1 if coded > 0 else -1)
    return 2 * coded


def next_state(state: int, coded: int) -> int:
    """Return the state after a coded value."""
    return NEXT_STATE[state][coded & 1]


def after_zeros(state: int, count: int) -> int:
    """Return the state after ``count`` coded zeros, which move the machine in cycles of 1, 2 or 4 states."""
    for _ in range(count % 4):
        state = NEXT_STATE[state][0]
    return state
