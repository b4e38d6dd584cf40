# SPDX-License-Identifier: Apache-2.0
"""5.2 Contexts of one tensor and their indices."""

from __future__ import annotations

from .arithmetic import Context

SIGNIFICANCE = 0
SIGNIFICANCE_BASE = 24
SIGNIFICANCE_HISTORY = 40
SIGN = 48
SIGN_BASE = 51
GREATER = 53


class ContextSet:
    """Contexts of one tensor, all with initialisation 0.

    Parameters
    ----------
    unary_length : int
        U, 1 to 256.

    Clause: 5.2
    """

    def __init__(self, unary_length: int) -> None:
        self.greater_base = GREATER + 2 * unary_length
        self.exp_golomb = GREATER + 4 * unary_length
        self.initialisation_flag = self.exp_golomb + 34
        self.row_skip = self.exp_golomb + 36
        self.models = [Context(index) for index in range(self.row_skip + 1)]

    def reset(self) -> None:
        """Reset every context (5.1.3)."""
        for model in self.models:
            model.reset()


def three_way(previous: int) -> int:
    """5.2 Return c: 0, 1, 2 for a coded value n that is zero, negative, positive."""
    return 0 if previous == 0 else 1 if previous < 0 else 2
