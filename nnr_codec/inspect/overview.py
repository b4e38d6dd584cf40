# SPDX-License-Identifier: Apache-2.0
"""One pass over a stream, boiled down to one screen: a line per tensor, the accounts, the faults."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from nnr_codec.inspect.examine import StrayBytes, UnitReport
from nnr_codec.inspect.fault import Fault
from nnr_codec.inspect.ledger import Ledger
from nnr_codec.inspect.payload import TensorReport
from nnr_codec.model import DataUnit, NnrUnitType

FIRST_UNSPECIFIED_TYPE = 32


@dataclass(frozen=True)
class TensorLine:
    """A tensor in a list; figures of its levels are None where its payload was not decoded."""

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
        """None for an empty tensor."""
        return self.bits / self.n_weights if self.n_weights else None

    @property
    def over_entropy(self) -> float | None:
        """Bits spent beyond the entropy, as a share of it; negative where contexts did better."""
        if not self.entropy or not self.n_weights:
            return None
        return self.bits / (self.entropy * self.n_weights) - 1


@dataclass
class Overview:
    """What one pass found."""

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
        """Weights of all tensors."""
        return sum(tensor.n_weights for tensor in self.tensors)

    def add(self, piece: UnitReport | StrayBytes) -> None:
        """Take in a piece of the stream."""
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
            self.notes.append(f"{piece.span.path}: {piece.type_name} is {kind}; a decoder skips the unit")
        self.tensors += tensor_lines(piece)


def overview_of(pieces: Iterable[UnitReport | StrayBytes]) -> Overview:
    """Return what a pass over the pieces finds."""
    overview = Overview()
    for piece in pieces:
        overview.add(piece)
    return overview


def tensor_lines(report: UnitReport) -> list[TensorLine]:
    """Return a line for each tensor of a unit: of its payload where that was decoded, else of its header."""
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


def _line(unit: int, tensor: TensorReport) -> TensorLine:
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
