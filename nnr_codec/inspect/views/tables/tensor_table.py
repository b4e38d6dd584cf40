# SPDX-License-Identifier: Apache-2.0
"""Table view of the tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nnr_codec.inspect.read import Piece, TensorLine, UnitReport
from nnr_codec.inspect.read.summary import tensor_lines
from nnr_codec.inspect.views.tables.cells import (
    bits_text,
    change_text,
    count_text,
    rate_text,
    shape_text,
    share_text,
)
from nnr_codec.inspect.views.tables.table import Column, Table

TENSOR_COLUMNS = (
    Column("unit", "#", right=True),
    Column("name", "tensor", style="name"),
    Column("role", "role", rank=5),
    Column(
        "nnr_compressed_data_unit_payload_type",
        "payload",
        lambda kind: str(kind).removeprefix("NNR_PT_"),
        rank=6,
    ),
    Column("shape", "shape", shape_text, right=True),
    Column("n_weights", "weights", count_text, right=True),
    Column("bits", "bits", bits_text, right=True, rank=2),
    Column("bits_per_weight", "bits/weight", rate_text, right=True, style="value"),
    Column("entropy", "entropy", rate_text, right=True),
    Column("over_entropy", "vs entropy", change_text, right=True, rank=3),
    Column("nonzero", "non-zero", share_text, right=True, rank=4),
    Column("minimum", "min", right=True, rank=7),
    Column("maximum", "max", right=True, rank=7),
    Column("qp", "QP", right=True, rank=8),
    Column("step_size", "step", lambda step: f"{step:.4g}", right=True, rank=8),
    Column("dq_flag", "dq", lambda flag: "yes" if flag else "", right=True, rank=8),
    Column("scan_order", "scan", right=True, rank=9),
    Column("codebook_size", "codebook", lambda size: str(size or ""), right=True, rank=9),
    Column("n_skipped_rows", "skipped rows", lambda n: str(n or ""), right=True, rank=10),
)


def tensor_table(pieces: Iterable[Piece]) -> Table:
    """Return the table of a stream's tensors."""
    lines = (line for piece in pieces if isinstance(piece, UnitReport) for line in tensor_lines(piece))
    return tensor_lines_table(lines)


def tensor_lines_table(lines: Iterable[TensorLine]) -> Table:
    """Return the table of the tensors of a summary."""
    return Table("tensor", TENSOR_COLUMNS, (_tensor_row(line) for line in lines))


def _tensor_row(line: TensorLine) -> tuple[Any, ...]:
    nonzero = None if line.n_nonzero is None or not line.n_weights else line.n_nonzero / line.n_weights
    return (
        line.unit,
        line.name,
        line.role,
        line.payload_type,
        line.shape,
        line.n_weights,
        line.bits,
        line.bits_per_weight,
        line.entropy,
        line.over_entropy,
        nonzero,
        line.minimum,
        line.maximum,
        line.qp,
        line.step_size,
        line.dependent,
        line.scan_order,
        line.codebook_size,
        line.n_skipped_rows,
    )
