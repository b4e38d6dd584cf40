# SPDX-License-Identifier: Apache-2.0
"""5.4 Dependent quantisation: two interleaved quantisers, chosen by an eight-state machine."""

from __future__ import annotations

from .tables import NEXT_STATE


def level_of(coded: int, state: int) -> int:
    """The even multiple 2q, or, in odd states, the odd multiple next to it towards zero; zero stays zero."""
    if state & 1 and coded != 0:
        return 2 * coded - (1 if coded > 0 else -1)
    return 2 * coded


def next_state(state: int, coded: int) -> int:
    """The state after the coded value."""
    return NEXT_STATE[state][coded & 1]


def after_zeros(state: int, count: int) -> int:
    """The state after ``count`` coded zeros. On zeros the machine runs in cycles of 1, 2 or 4."""
    for _ in range(count % 4):
        state = NEXT_STATE[state][0]
    return state
