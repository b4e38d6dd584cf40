# SPDX-License-Identifier: Apache-2.0
"""Summary of one pass over a stream: unit counts, one line per tensor, the ledger, the faults."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from nnr_codec.inspect.read.accounts import TensorAccount
from nnr_codec.inspect.read.fault import Fault
from nnr_codec.inspect.read.ledger import Ledger
from nnr_codec.inspect.read.unit import StrayBytes, UnitReport
from nnr_codec.model import DataUnit, NnrUnitType

FIRST_UNSPECIFIED_TYPE = 32


@dataclass(frozen=True)
class TensorLine:
    """Figures of one tensor; those of its levels are None if its payload was not decoded."""

    unit: int
    name: str
    role: str
    payload_type: str
    shape: tuple[int, ...]
    n_weights: int
    bits: float
    entropy: float | None = None
    n_nonzero: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    qp: int | None = None
    step_size: float | None = None
    dependent: bool = False
    scan_order: int = 0
    codebook_size: int = 0
    n_skipped_rows: int = 0
    histogram: tuple[int, ...] | None = None
    bin_width: int = 1

    @property
    def bits_per_weight(self) -> float | None:
        """Bits per weight; None for an empty tensor."""
        return self.bits / self.n_weights if self.n_weights else None

    @property
    def over_entropy(self) -> float | None:
        """Bits beyond the entropy of the coded values, as a share of it; negative below the entropy."""
        if not self.entropy or not self.n_weights:
            return None
        return self.bits / (self.entropy * self.n_weights) - 1


@dataclass
class Summary:
    """Figures of a stream, gathered piece by piece."""

    profile: int | None = None
    unit_counts: Counter[str] = field(default_factory=Counter)
    tensors: list[TensorLine] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    quantization: list[str] = field(default_factory=list)
    n_guesses: int = 0
    n_stray: int = 0

    @property
    def n_weights(self) -> int:
        """Number of weights of all tensors."""
        return sum(tensor.n_weights for tensor in self.tensors)

    def add(self, piece: UnitReport | StrayBytes) -> None:
        """Add a piece of the stream."""
        self.ledger.add(piece)
        self.faults += piece.faults
        if isinstance(piece, StrayBytes):
            self.n_stray += bool(piece.size_bytes)
            return
        self.unit_counts[piece.type_name] += 1
        self.n_guesses += piece.guess
        if self.profile is None:
            self.profile = piece.value("general_profile_idc")
        for prefix in ("mps", "lps"):
            density = piece.value(f"{prefix}_qp_density")
            if density is not None:
                parameter = piece.value(f"{prefix}_quantization_parameter")
                self.quantization.append(
                    f"{prefix}_qp_density {density}, {prefix}_quantization_parameter {parameter}"
                )
        if piece.payload is not None and piece.payload.note is not None:
            self.notes.append(f"{piece.span.path}: {piece.payload.note}")
        if piece.span.nnr_unit_type > max(NnrUnitType):
            kind = "reserved" if piece.span.nnr_unit_type < FIRST_UNSPECIFIED_TYPE else "unspecified"
            self.notes.append(f"{piece.span.path}: {piece.type_name} is {kind}; decoders skip it")
        self.tensors += tensor_lines(piece)


def summarize(pieces: Iterable[UnitReport | StrayBytes]) -> Summary:
    """Return the summary of a stream's pieces."""
    summary = Summary()
    for piece in pieces:
        summary.add(piece)
    return summary


def tensor_lines(report: UnitReport) -> list[TensorLine]:
    """Return a line for each tensor of a unit: from its payload if that was decoded, else from its header."""
    if report.payload is not None and report.payload.tensors:
        return [_line(report.span.index, tensor) for tensor in report.payload.tensors]
    if not isinstance(report.unit, DataUnit):
        return []
    header = report.unit.header
    shape = header.tensor_dimensions or ()
    n_weights = 0 if header.tensor_dimensions is None else math.prod(shape)
    return [
        TensorLine(
            report.span.index,
            ", ".join(report.names),
            "" if len(report.names) == 1 else f"{len(report.names)} tensors",
            header.payload_type.name,
            shape,
            n_weights,
            8 * len(report.unit.payload),
            dependent=header.dq_flag,
            scan_order=header.scan_order,
            codebook_size=len(header.codebook.values) if header.codebook is not None else 0,
        )
    ]


def _line(unit: int, tensor: TensorAccount) -> TensorLine:
    levels = tensor.levels
    return TensorLine(
        unit,
        tensor.name,
        tensor.role,
        tensor.payload_type,
        tensor.shape,
        tensor.n_weights,
        tensor.bits,
        None if levels is None else levels.entropy,
        None if levels is None else levels.n_nonzero,
        None if levels is None else levels.minimum,
        None if levels is None else levels.maximum,
        tensor.qp,
        tensor.step_size,
        tensor.dependent,
        tensor.scan_order,
        tensor.codebook_size,
        tensor.n_skipped_rows,
        None if levels is None else levels.histogram,
        1 if levels is None else levels.bin_width,
    )
