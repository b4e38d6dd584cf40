# SPDX-License-Identifier: Apache-2.0
"""Scripts of tensors: a value for every syntax element of the tensor data."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ValueAt = Callable[[int], int]
"""Coded value (before the mapping of dependent quantisation) by row-major position."""


@dataclass
class TensorScript:
    """Script of one tensor.

    Parameters
    ----------
    values : sequence of int, or callable
        Coded values by position; 0 beyond the end of a sequence.
    qp_value : int
    history, row_skip : bool
        hist_dep_sig_prob_enabled_flag and row_skip_enabled_flag, where present.
    skipped_rows : container of int
        Rows whose row_skip_flag is 1.
    initialisations : mapping of int to int, or callable
        Initialisation 0..8 by context index; 0 if absent.
    """

    values: Sequence[int] | ValueAt = ()
    qp_value: int = 0
    history: bool = False
    row_skip: bool = False
    skipped_rows: Any = ()
    initialisations: Mapping[int, int] | Callable[[int], int] | None = None

    def __post_init__(self) -> None:
        self.context = 0
        self.data: Any = None
        self._row = self._initialisation = self._magnitude = self._coded = self._order = 0
        self._value = 0

    def begin(self, data: Any) -> None:
        """Start the tensor; ``data`` is the model's TensorData."""
        self.data = data
        self._row = 0

    def at(self, position: int) -> None:
        """Move to a position."""
        values = self.values
        if callable(values):
            self._value = values(position)
        else:
            self._value = values[position] if position < len(values) else 0
        self._magnitude, self._coded, self._order = abs(self._value), 1, 0

    def bin(self, element: str, context: int | None) -> int:
        """Choose a bin."""
        del context
        return int(getattr(self, f"_{element}")())

    def bins(self, element: str, count: int) -> int:
        """Choose several bypass bins as one unsigned value."""
        if element == "qp_value":
            return self.qp_value
        if element == "context_initialisation":
            return self._initialisation - 1
        if element == "abs_level_exp_golomb_suffix":
            rest = self._magnitude - self._coded
            if not 0 <= rest < max(1, 1 << count):
                raise ValueError(f"{self._value} has no suffix of {count} bits here")
            return rest
        raise KeyError(element)

    def _hist_dep_sig_prob_enabled_flag(self) -> bool:
        return self.history

    def _row_skip_enabled_flag(self) -> bool:
        return self.row_skip

    def _row_skip_flag(self) -> bool:
        self._row += 1
        return self._row - 1 in self.skipped_rows

    def _context_initialisation_flag(self) -> bool:
        chosen = self.initialisations
        if chosen is None:
            self._initialisation = 0
        elif callable(chosen):
            self._initialisation = chosen(self.context)
        else:
            self._initialisation = chosen.get(self.context, 0)
        return self._initialisation > 0

    def _sig_flag(self) -> bool:
        return self._value != 0

    def _sign_flag(self) -> bool:
        return self._value < 0

    def _abs_level_greater_flag(self) -> bool:
        more = self._magnitude > self._coded
        self._coded += more
        return more

    def _abs_level_exp_golomb_prefix(self) -> bool:
        more = self._magnitude - self._coded >= 1 << self._order
        if more:
            self._coded += 1 << self._order
            self._order += 1
        return more


def drawn_values(rng: random.Random, density: float, largest: int, *, smallest: int | None = None) -> ValueAt:
    """Draw mostly small values in [``smallest``, ``largest``], a share ``density`` of them non-zero."""
    lowest = -largest if smallest is None else smallest

    def value(position: int) -> int:
        del position
        if rng.random() >= density:
            return 0
        bound = rng.choice((1, 1, 2, 3, 8, max(largest, -lowest)))
        return rng.randint(max(lowest, -bound), min(largest, bound))

    return value


def constant_initialisation(which: int) -> Callable[[int], int]:
    """Use one initialisation for all contexts."""

    def initialisation(context: int) -> int:
        del context
        return which

    return initialisation


def drawn_initialisations(rng: random.Random, share: float = 0.5) -> Callable[[int], int]:
    """Draw initialisations 1 to 8 for a share of the contexts."""

    def initialisation(context: int) -> int:
        del context
        return rng.randint(1, 8) if rng.random() < share else 0

    return initialisation
