# SPDX-License-Identifier: Apache-2.0
"""Summary view: a stream on one screen."""

from __future__ import annotations

from collections.abc import Iterator

from nnr_codec.inspect.read import Summary, TensorLine
from nnr_codec.inspect.read.ledger import CLASSES, Ledger
from nnr_codec.inspect.views.paint import Paint, plain, size_text
from nnr_codec.inspect.views.verdict import verdict_lines

_MOST_TENSORS = 10
_MOST_ELEMENTS = 8
_FIGURE_COLUMNS = 56  # columns of a tensor's line without its name


def summary_lines(name: str, size_bytes: int, summary: Summary, paint: Paint) -> Iterator[str]:
    """Yield the summary as text."""
    ledger = summary.ledger
    yield paint("title", plain(name))
    yield from _facts(size_bytes, summary, paint)
    yield ""
    yield paint("bold", "File")
    for kind in CLASSES:
        bits = ledger.classes[kind]
        if bits or kind in ("headers", "payload"):
            yield _bar_line(kind, bits, 8 * size_bytes, paint)
    if ledger.payload:
        yield ""
        yield paint("bold", "Payload") + paint("dim", _payload_note(ledger))
        yield from _payload_lines(summary, paint)
    if summary.tensors:
        yield ""
        yield from _tensor_lines(summary, paint)
    yield ""
    yield from verdict_lines(size_bytes, summary, paint)


def _facts(size_bytes: int, summary: Summary, paint: Paint) -> Iterator[str]:
    units = ", ".join(f"{count} {kind}" for kind, count in summary.unit_counts.items())
    profile = "?" if summary.profile is None else summary.profile
    yield paint.clip(
        f"{size_text(size_bytes)} ({size_bytes:,} bytes), profile {profile}: {units or 'no unit'}"
    )
    if summary.n_weights:
        rate = 8 * size_bytes / summary.n_weights
        line = f"{len(summary.tensors):,} tensors, {summary.n_weights:,} weights, "
        line += f"{rate:.3f} bits per weight overall"
        if summary.ledger.n_levels:
            coded = summary.ledger.level_bits / summary.ledger.n_levels
            entropy = summary.ledger.entropy_bits / summary.ledger.n_levels
            line += f"; levels {coded:.3f} (entropy {entropy:.3f})"
        yield paint.clip(line)
    for quantization in summary.quantization[:2]:
        yield paint.clip(quantization)


def _bar_line(name: str, bits: float, total: float, paint: Paint) -> str:
    share = bits / total if total else 0.0
    amount = f"{bits / 8:>14,.1f}"
    columns = 24 if paint.width is None or paint.width >= 78 else 10
    label = name if len(name) <= 31 else name[:30] + "~"
    start = f"  {label:<31} {amount} B {100 * share:>5.1f} %  "
    return start + paint("value", paint.bar(share, columns)).rstrip()


def _payload_note(ledger: Ledger) -> str:
    plural = "payload" if ledger.n_payloads == 1 else "payloads"
    return f"   {ledger.n_payloads:,} {plural} decoded; cost of a bin: -log2 of its share of the range"


def _payload_lines(summary: Summary, paint: Paint) -> Iterator[str]:
    ledger = summary.ledger
    lines = sorted(ledger.payload.items(), key=lambda item: -item[1].bits)
    # A single further element is shown, not counted.
    n_shown = len(lines) if len(lines) <= _MOST_ELEMENTS + 1 else _MOST_ELEMENTS
    for element, spent in lines[:n_shown]:
        yield _bar_line(element, spent.bits, ledger.decoded_payload_bits, paint)
    others = lines[n_shown:]
    if others:
        bits = sum(spent.bits for _, spent in others)
        yield _bar_line(f"{len(others)} others", bits, ledger.decoded_payload_bits, paint)


def _tensor_lines(summary: Summary, paint: Paint) -> Iterator[str]:
    largest = sorted(summary.tensors, key=lambda line: -line.bits)[:_MOST_TENSORS]
    title = "Largest tensors" if len(summary.tensors) > _MOST_TENSORS else "Tensors"
    name_columns = max(len(plain(line.name)) for line in largest)
    if paint.width is not None:
        name_columns = min(name_columns, max(10, paint.width - _FIGURE_COLUMNS))
    name_columns = max(name_columns, len(title) - 2)
    figures = f"{'shape':>15} {'weights':>11} {'size':>8} {'bits/w':>7} {'entropy':>7}"
    yield paint("bold", paint.clip(f"{title:<{name_columns + 2}} {figures}"))
    for line in largest:
        yield _tensor_line(line, name_columns, paint)
    n_hidden = len(summary.tensors) - len(largest)
    if n_hidden:
        bits = sum(line.bits for line in summary.tensors) - sum(line.bits for line in largest)
        yield paint("dim", paint.clip(f"  {n_hidden} more, {size_text(bits / 8)} (--view tensors)"))


def _tensor_line(line: TensorLine, name_columns: int, paint: Paint) -> str:
    name = plain(line.name)
    if len(name) > name_columns:
        name = ("…" if paint.unicode else "~") + name[len(name) - name_columns + 1 :]
    shape = "x".join(map(str, line.shape)) or "scalar"
    rate = "" if line.bits_per_weight is None else f"{line.bits_per_weight:.3f}"
    entropy = "" if line.entropy is None else f"{line.entropy:.3f}"
    figures = f"{shape:>15} {line.n_weights:>11,} {size_text(line.bits / 8):>8} {rate:>7} {entropy:>7}"
    return "  " + paint("name", name.ljust(name_columns)) + " " + paint.clip(figures, name_columns + 3)
