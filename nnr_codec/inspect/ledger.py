# SPDX-License-Identifier: Apache-2.0
"""Where the bits went: bits of the file by class and element, fractional ones of payloads by element."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from nnr_codec.inspect.contexts import describe_context, element_of_context
from nnr_codec.inspect.examine import BODIES, PAYLOADS, StrayBytes, UnitReport
from nnr_codec.inspect.payload import TERMINATION, UNREAD, PayloadReport, TensorReport
from nnr_codec.model import NnrUnitType

CLASSES = ("headers", "payload", "bodies", "alignment", "gaps")
CLASS_MEANINGS = {
    "headers": "sizes, flags, names, dimensions, parameters",
    "payload": "codewords and raw values of tensors",
    "bodies": "topology, quantisation and unknown units' content",
    "alignment": "byte_alignment() of headers",
    "gaps": "bits that no element claims",
}


@dataclass
class Spending:
    """Bins and bits of one line of the accounts."""

    n_bins: int = 0
    n_ones: int = 0
    bits: float = 0.0

    def add(self, n_bins: int, n_ones: int, bits: float) -> None:
        """Book more on this line."""
        self.n_bins += n_bins
        self.n_ones += n_ones
        self.bits += bits

    @property
    def entropy_per_bin(self) -> float:
        """What a bin would cost at least if its probability never changed."""
        if not 0 < self.n_ones < self.n_bins:
            return 0.0
        p = self.n_ones / self.n_bins
        return -(p * math.log2(p) + (1 - p) * math.log2(1 - p))


@dataclass
class Ledger:
    """The accounts of a stream; pieces are added in any order.

    Attributes
    ----------
    classes : dict of str to int
        Bits of the file by class. They add up to the file's size exactly, or bits were claimed twice.
    headers : Counter of str
        Bits by element, payloads and bodies aside.
    payload : dict of str to Spending
        Fractional bits by element of the payloads that were decoded, terminations and what follows a fault
        included.
    contexts : dict of (str, str) to Spending
        By element and by what the context model is for.
    decoded_payload_bits : int
        Length of the payloads that ``payload`` accounts for.
    """

    classes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CLASSES, 0))
    headers: Counter[str] = field(default_factory=Counter)
    payload: dict[str, Spending] = field(default_factory=dict)
    contexts: dict[tuple[str, str], Spending] = field(default_factory=dict)
    decoded_payload_bits: int = 0
    n_payloads: int = 0
    discrepancy_bits: float = 0.0
    n_levels: int = 0
    level_bits: float = 0.0  # what coded levels cost, side information included
    entropy_bits: float = 0.0

    @property
    def total_bits(self) -> int:
        """All bits booked."""
        return sum(self.classes.values())

    def is_exact(self, size_bytes: int) -> bool:
        """Tell whether the accounts add up to a file of this size."""
        return self.total_bits == 8 * size_bytes

    def add(self, piece: UnitReport | StrayBytes) -> None:
        """Book a piece of the stream."""
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

    def _add_payload(self, payload: PayloadReport) -> None:
        self.n_payloads += 1
        self.decoded_payload_bits += payload.n_bits
        self.discrepancy_bits += abs(payload.discrepancy_bits)
        if payload.termination_bits:
            self._spend(TERMINATION, 0, 0, payload.termination_bits)
        if payload.unread_bits:
            self._spend(UNREAD, 0, 0, payload.unread_bits)
        for tensor in payload.tensors:
            self._add_tensor(tensor)

    def _add_tensor(self, tensor: TensorReport) -> None:
        for element, price in tensor.elements.items():
            self._spend(element, *price)
        for use in tensor.contexts:
            key = (
                element_of_context(use.index, tensor.unary_length),
                describe_context(use.index, tensor.unary_length),
            )
            self.contexts.setdefault(key, Spending()).add(use.n_bins, use.n_ones, use.bits)
        if tensor.levels is not None:
            self.n_levels += tensor.levels.count
            self.level_bits += tensor.bits
            self.entropy_bits += tensor.levels.entropy * tensor.levels.count

    def _spend(self, element: str, n_bins: int, n_ones: int, bits: float) -> None:
        self.payload.setdefault(element, Spending()).add(n_bins, n_ones, bits)
