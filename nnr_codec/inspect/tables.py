# SPDX-License-Identifier: Apache-2.0
"""The views that are tables: units, tensors, stats, contexts and the flat trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from nnr_codec.inspect.examine import PAYLOADS, Gap, StrayBytes, UnitReport
from nnr_codec.inspect.fault import wanted_bits
from nnr_codec.inspect.ledger import CLASS_MEANINGS, CLASSES
from nnr_codec.inspect.overview import Overview, TensorLine, tensor_lines
from nnr_codec.inspect.paint import value_text
from nnr_codec.inspect.payload import TERMINATION
from nnr_codec.inspect.table import Column, Table
from nnr_codec.syntax import TraceEvent

Pieces = Iterable[UnitReport | StrayBytes]


def _count(value: int) -> str:
    return f"{value:,}"


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def _change(value: float) -> str:
    return f"{100 * value:+.1f} %"


def _two(value: float) -> str:
    return f"{value:,.2f}"


def _three(value: float) -> str:
    return f"{value:.3f}"


def _bits(value: float) -> str:
    return f"{value:,.1f}"


def _shape(value: tuple[int, ...]) -> str:
    return "x".join(map(str, value)) or "scalar"


def _value(value: Any) -> str:
    return value_text(value, longest=12)


UNIT_COLUMNS = (
    Column("unit", "#", right=True),
    Column("byte_offset", "offset", _count, right=True, place=True, style="dim"),
    Column("size_bytes", "bytes", _count, right=True),
    Column("nnr_unit_type", "unit", style="name"),
    Column("header_bits", "header bits", _count, right=True, rank=1),
    Column("payload_bytes", "payload", _count, right=True),
    Column("gap_bits", "gap bits", _count, right=True, rank=2),
    Column("status", "status"),
    Column("what", "what"),
)


def unit_table(pieces: Pieces) -> Table:
    """Return a row per unit, and per stretch of stray bytes."""
    return Table("unit", UNIT_COLUMNS, (_unit_row(piece) for piece in pieces))


def _unit_row(piece: UnitReport | StrayBytes) -> tuple[Any, ...]:
    if isinstance(piece, StrayBytes):
        status = piece.faults[0].kind if piece.faults else "stray"
        bits = 8 * piece.size_bytes
        return None, piece.byte_offset, piece.size_bytes, "stray bytes", 0, 0, bits, status, ""
    payload = sum(event.n_bits for event in piece.events if event.element in PAYLOADS)
    gap = sum(gap.n_bits for gap in piece.gaps)
    status = piece.faults[0].kind if piece.faults else "ok"
    status += " (a guess)" if piece.guess else ""
    header = 8 * piece.span.size_bytes - payload - gap
    span = piece.span
    return (
        span.index,
        span.byte_offset,
        span.size_bytes,
        piece.type_name,
        header,
        payload // 8,
        gap,
        status,
        summary_of(piece),
    )


def summary_of(piece: UnitReport) -> str:
    """Say in a few words what a unit is about."""
    words = [
        f"{name} {piece.value(element)}"
        for element, name in (
            ("general_profile_idc", "profile"),
            ("partial_data_counter", "parts to come"),
            ("mps_quantization_parameter", "quantization_parameter"),
            ("lps_quantization_parameter", "quantization_parameter"),
            ("topology_storage_format", "storage"),
        )
        if piece.value(element) is not None
    ]
    kind = piece.event("nnr_compressed_data_unit_payload_type")
    if kind is not None:
        words.append((kind.symbol or str(kind.value)).removeprefix("NNR_PT_"))
    dimensions = [event.value for event in piece.events if event.element == "tensor_dimensions"]
    if dimensions:
        words.append("x".join(map(str, dimensions)))
    words += piece.names
    return ", ".join(words)


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
    Column("shape", "shape", _shape, right=True),
    Column("n_weights", "weights", _count, right=True),
    Column("bits", "bits", _bits, right=True, rank=2),
    Column("bits_per_weight", "bits/weight", _three, right=True, style="value"),
    Column("entropy", "entropy", _three, right=True),
    Column("over_entropy", "vs entropy", _change, right=True, rank=3),
    Column("nonzero", "non-zero", _share, right=True, rank=4),
    Column("minimum", "min", right=True, rank=7),
    Column("maximum", "max", right=True, rank=7),
    Column("qp", "QP", right=True, rank=8),
    Column("step_size", "step", lambda step: f"{step:.4g}", right=True, rank=8),
    Column("dq_flag", "dq", lambda flag: "yes" if flag else "", right=True, rank=8),
    Column("scan_order", "scan", right=True, rank=9),
    Column("codebook_size", "codebook", lambda size: str(size or ""), right=True, rank=9),
    Column("n_skipped_rows", "skipped rows", lambda n: str(n or ""), right=True, rank=10),
)


def tensor_table(pieces: Pieces) -> Table:
    """Return a row per tensor."""
    lines = (line for piece in pieces if isinstance(piece, UnitReport) for line in tensor_lines(piece))
    return tensor_lines_table(lines)


def tensor_lines_table(lines: Iterable[TensorLine]) -> Table:
    """Return a row per line of an overview."""
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


STAT_COLUMNS = (
    Column("class", "class", style="dim", rank=1),
    Column("element", "element", style="name"),
    Column("bins", "bins", _count, right=True, rank=2),
    Column("ones", "ones", _share, right=True, rank=3),
    Column("bits", "bits", _bits, right=True, style="value", rank=2),
    Column("share", "of the file", _share, right=True),
    Column("bits_per_weight", "bits/weight", lambda rate: f"{rate:.4f}", right=True, rank=4),
    Column("meaning", "", rank=5),
)


def stat_table(overview: Overview, size_bytes: int) -> Table:
    """Return the ledger: bits by class, headers by element, payloads by element; each adds up to its sum."""
    return Table("stat", STAT_COLUMNS, _stat_rows(overview, size_bytes))


def _stat_rows(overview: Overview, size_bytes: int) -> Iterator[tuple[Any, ...]]:
    ledger, n_weights = overview.ledger, overview.n_weights

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
        yield row("payload", "empirical entropy", ledger.entropy_bits, note="of levels, tensor by tensor")


CONTEXT_COLUMNS = (
    Column("element", "element", style="name"),
    Column("context", "context"),
    Column("bins", "bins", _count, right=True, rank=2),
    Column("ones", "ones", _share, right=True, rank=3),
    Column("bits", "bits", _bits, right=True, style="value", rank=2),
    Column("bits_per_bin", "bits/bin", _three, right=True),
    Column("entropy_per_bin", "entropy/bin", _three, right=True, rank=2),
    Column("adaptation", "vs entropy", _change, right=True),
)


def context_table(overview: Overview) -> Table:
    """Return a row per context model, over all tensors."""
    return Table("context", CONTEXT_COLUMNS, _context_rows(overview))


def _context_rows(overview: Overview) -> Iterator[tuple[Any, ...]]:
    for (element, context), spent in sorted(overview.ledger.contexts.items(), key=lambda item: -item[1].bits):
        floor = spent.entropy_per_bin
        rate = spent.bits / spent.n_bins
        gain = rate / floor - 1 if floor else None
        yield element, context, spent.n_bins, spent.n_ones / spent.n_bins, spent.bits, rate, floor, gain


TRACE_COLUMNS = (
    Column("bit_offset", "bit", right=True, place=True, style="dim"),
    Column("n_bits", "bits", right=True),
    Column("descriptor", "type", style="dim", rank=1),
    Column("path", "element", style="name"),
    Column("raw", "raw", right=False, place=True, style="dim", rank=2),
    Column("value", "value", _value, style="value"),
    Column("symbol", "symbol", rank=3),
    Column("clause", "clause", style="dim", rank=4),
    Column("status", "status", lambda status: "" if status == "ok" else str(status), style="bad"),
)


def trace_table(pieces: Pieces) -> Table:
    """Return a row per element, gap and stretch of stray bytes, in stream order."""
    return Table("element", TRACE_COLUMNS, _trace_rows(pieces))


def _trace_rows(pieces: Pieces) -> Iterator[tuple[Any, ...]]:
    for piece in pieces:
        if isinstance(piece, StrayBytes):
            yield gap_row(Gap(8 * piece.byte_offset, 8 * piece.size_bytes), "stray bytes")
            continue
        for event in piece.events:
            yield event_row(event)
        for gap in piece.gaps:
            yield gap_row(gap, f"{piece.span.path}.gap")


def event_row(event: TraceEvent) -> tuple[Any, ...]:
    """Return an element's row of the trace."""
    return (
        event.bit_offset,
        event.n_bits,
        event.descriptor,
        event.path,
        raw_text(event),
        event.value,
        event.symbol,
        event.clause,
        status_of(event),
    )


def gap_row(gap: Gap, name: str) -> tuple[Any, ...]:
    """Return a row of the trace for bits that nothing claims."""
    return gap.bit_offset, gap.n_bits, "", name, None, None, None, "", "gap"


def raw_text(event: TraceEvent, longest: int = 8) -> str:
    """Return an element's bits: short ones in binary, longer ones in hexadecimal."""
    if isinstance(event.raw, bytes | memoryview):
        return value_text(event.raw, longest=longest)
    if event.n_bits <= 8:
        return f"{event.raw:0{event.n_bits}b}" if event.n_bits else ""
    text = f"{event.raw:0{(event.n_bits + 3) // 4}x}"
    return f"0x{text}" if len(text) <= 3 * longest else f"0x{text[: 3 * longest]}…"


def status_of(event: TraceEvent) -> str:
    """Return ``ok``, or what is wrong with an element."""
    fault = event.fault
    if fault is None:
        return "ok"
    if type(fault).__name__ == "TruncatedBitstream":
        wanted, at_least = wanted_bits(event)
        return f"TruncatedBitstream: {event.n_bits} of {'at least ' if at_least else ''}{wanted} bits"
    return f"{type(fault).__name__}: {fault.message}"
