# SPDX-License-Identifier: Apache-2.0
"""Ledger of a stream's bits: whole bits of the file by class and element, fractional bits of payloads by element."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from nnr_codec.inspect.read.accounts import TERMINATION, UNREAD, PayloadAccount, TensorAccount
from nnr_codec.inspect.read.contexts import condition_of_context, element_of_context
from nnr_codec.inspect.read.unit import BODIES, PAYLOADS, StrayBytes, UnitReport
from nnr_codec.model import NnrUnitType

CLASSES = ("headers", "payload", "bodies", "alignment", "gaps")
CLASS_MEANINGS = {
    "headers": "sizes, flags, names, dimensions, parameters",
    "payload": "codewords and raw values of tensors",
    "bodies": "content of topology, quantisation and unknown units",
    "alignment": "byte_alignment() of headers",
    "gaps": "bits that belong to no element",
}


@dataclass
class Spending:
    """Bins and bits of one ledger line."""

    n_bins: int = 0
    n_ones: int = 0
    bits: float = 0.0

    def add(self, n_bins: int, n_ones: int, bits: float) -> None:
        """Add bins and bits to this line."""
        self.n_bins += n_bins
        self.n_ones += n_ones
        self.bits += bits

    @property
    def entropy_per_bin(self) -> float:
        """Binary entropy of the share of ones: the cost per bin of the best fixed probability."""
        if not 0 < self.n_ones < self.n_bins:
            return 0.0
        p = self.n_ones / self.n_bins
        return -(p * math.log2(p) + (1 - p) * math.log2(1 - p))


@dataclass
class Ledger:
    """Ledger of a stream; pieces are added in any order.

    Attributes
    ----------
    classes : dict of str to int
        Bits of the file by class. Their sum is the file's size, unless two elements claim the same bit.
    headers : Counter of str
        Bits by element, without payloads and bodies.
    payload : dict of str to Spending
        Fractional bits of the decoded payloads by element, including terminations and the bits after a fault.
    contexts : dict of (str, str) to Spending
        By element and selecting condition of the context model.
    decoded_payload_bits : int
        Length of the payloads that ``payload`` covers.
    level_bits : float
        Bits of the tensors that have levels, side information included.
    entropy_bits : float
        Empirical entropy of their coded values; see `LevelStatistics.entropy`.
    """

    classes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CLASSES, 0))
    headers: Counter[str] = field(default_factory=Counter)
    payload: dict[str, Spending] = field(default_factory=dict)
    contexts: dict[tuple[str, str], Spending] = field(default_factory=dict)
    decoded_payload_bits: int = 0
    n_payloads: int = 0
    discrepancy_bits: float = 0.0
    n_levels: int = 0
    level_bits: float = 0.0
    entropy_bits: float = 0.0

    @property
    def total_bits(self) -> int:
        """Sum over the classes."""
        return sum(self.classes.values())

    def is_exact(self, size_bytes: int) -> bool:
        """Return whether the classes add up to a file of this size."""
        return self.total_bits == 8 * size_bytes

    def add(self, piece: UnitReport | StrayBytes) -> None:
        """Add a piece of the stream."""
        if isinstance(piece, StrayBytes):
            self.classes["gaps"] += 8 * piece.size_bytes
            return
        for event in piece.events:
            name = self._class_of(event.element, piece.span.nnr_unit_type)
            self.classes[name] += event.n_bits
            if name in ("headers", "alignment"):
                self.headers[event.element] += event.n_bits
        self.classes["gaps"] += sum(gap.n_bits for gap in piece.gaps)
        if piece.payload is not None:
            self._add_payload(piece.payload)

    def _class_of(self, element: str, nnr_unit_type: int) -> str:
        if element in PAYLOADS:
            return "payload" if nnr_unit_type == NnrUnitType.NNR_NDU else "bodies"
        if element in BODIES:
            return "bodies"
        return "alignment" if element == "byte_alignment" else "headers"

    def _add_payload(self, payload: PayloadAccount) -> None:
        self.n_payloads += 1
        self.decoded_payload_bits += payload.n_bits
        self.discrepancy_bits += abs(payload.discrepancy_bits)
        if payload.termination_bits:
            self._spend(TERMINATION, 0, 0, payload.termination_bits)
        if payload.unread_bits:
            self._spend(UNREAD, 0, 0, payload.unread_bits)
        for tensor in payload.tensors:
            self._add_tensor(tensor)

    def _add_tensor(self, tensor: TensorAccount) -> None:
        for element, price in tensor.elements.items():
            self._spend(element, *price)
        for use in tensor.contexts:
            key = (
                element_of_context(use.index, tensor.unary_length),
                condition_of_context(use.index, tensor.unary_length),
            )
            self.contexts.setdefault(key, Spending()).add(use.n_bins, use.n_ones, use.bits)
        if tensor.levels is not None:
            self.n_levels += tensor.levels.count
            self.level_bits += tensor.bits
            self.entropy_bits += tensor.levels.entropy * tensor.levels.count

    def _spend(self, element: str, n_bins: int, n_ones: int, bits: float) -> None:
        self.payload.setdefault(element, Spending()).add(n_bins, n_ones, bits)
