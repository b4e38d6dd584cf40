# SPDX-License-Identifier: Apache-2.0
"""Table views of the ledger: bits by class and element, and the context models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnr_codec.inspect.read import Summary
from nnr_codec.inspect.read.accounts import TERMINATION
from nnr_codec.inspect.read.ledger import CLASS_MEANINGS, CLASSES
from nnr_codec.inspect.views.tables.cells import bits_text, change_text, count_text, rate_text, share_text
from nnr_codec.inspect.views.tables.table import Column, Table

STAT_COLUMNS = (
    Column("class", "class", style="dim", rank=1),
    Column("element", "element", style="name"),
    Column("bins", "bins", count_text, right=True, rank=2),
    Column("ones", "ones", share_text, right=True, rank=3),
    Column("bits", "bits", bits_text, right=True, style="value", rank=2),
    Column("share", "of the file", share_text, right=True),
    Column("bits_per_weight", "bits/weight", lambda rate: f"{rate:.4f}", right=True, rank=4),
    Column("meaning", "", rank=5),
)


def stat_table(summary: Summary, size_bytes: int) -> Table:
    """Return the ledger as a table: bits by class, of headers by element, of payloads by element, each with its sum."""
    return Table("stat", STAT_COLUMNS, _stat_rows(summary, size_bytes))


def _stat_rows(summary: Summary, size_bytes: int) -> Iterator[tuple[Any, ...]]:
    ledger, n_weights = summary.ledger, summary.n_weights

    def row(
        kind: str, element: str, bits: float, bins: int = 0, ones: int = 0, note: str = ""
    ) -> tuple[Any, ...]:
        share = bits / (8 * size_bytes) if size_bytes else 0.0
        rate = bits / n_weights if n_weights else None
        return kind, element, bins or None, ones / bins if bins else None, bits, share, rate, note

    for name in CLASSES:
        yield row("file", name, ledger.classes[name], note=CLASS_MEANINGS[name])
    yield row("file", "sum", ledger.total_bits, note=f"the file has {8 * size_bytes:,}")
    for element, bits in ledger.headers.most_common():
        yield row("headers", element, bits)
    yield row("headers", "sum", ledger.headers.total(), note="headers and alignment")
    for element, spent in sorted(ledger.payload.items(), key=lambda item: -item[1].bits):
        note = "terminating bins, stop bits, zeros" if element == TERMINATION else ""
        yield row("payload", element, spent.bits, spent.n_bins, spent.n_ones, note)
    if ledger.payload:
        total = sum(spent.bits for spent in ledger.payload.values())
        yield row("payload", "sum", total, note=f"decoded payloads have {ledger.decoded_payload_bits:,}")
        yield row(
            "payload",
            "empirical entropy",
            ledger.entropy_bits,
            note="of the coded values, given state and neighbour",
        )


CONTEXT_COLUMNS = (
    Column("element", "element", style="name"),
    Column("context", "context"),
    Column("bins", "bins", count_text, right=True, rank=2),
    Column("ones", "ones", share_text, right=True, rank=3),
    Column("bits", "bits", bits_text, right=True, style="value", rank=2),
    Column("bits_per_bin", "bits/bin", rate_text, right=True),
    Column("entropy_per_bin", "entropy/bin", rate_text, right=True, rank=2),
    Column("adaptation", "vs entropy", change_text, right=True),
)


def context_table(summary: Summary) -> Table:
    """Return the table of the context models, over all tensors."""
    return Table("context", CONTEXT_COLUMNS, _context_rows(summary))


def _context_rows(summary: Summary) -> Iterator[tuple[Any, ...]]:
    for (element, context), spent in sorted(summary.ledger.contexts.items(), key=lambda item: -item[1].bits):
        entropy = spent.entropy_per_bin
        rate = spent.bits / spent.n_bins
        excess = rate / entropy - 1 if entropy else None
        yield element, context, spent.n_bins, spent.n_ones / spent.n_bins, spent.bits, rate, entropy, excess
