# SPDX-License-Identifier: Apache-2.0
"""The summary: a stream on one screen."""

from __future__ import annotations

from collections.abc import Iterator

from nnr_codec.inspect.fault import Fault
from nnr_codec.inspect.ledger import CLASSES, Ledger
from nnr_codec.inspect.overview import Overview, TensorLine
from nnr_codec.inspect.paint import Paint, plain, size_text

_MOST_TENSORS = 10
_MOST_FAULTS = 12
_MOST_ELEMENTS = 8


def summary_text(name: str, size_bytes: int, overview: Overview, paint: Paint) -> Iterator[str]:
    """Yield the lines of the summary."""
    ledger = overview.ledger
    yield paint("title", plain(name))
    yield from _facts(size_bytes, overview, paint)
    yield ""
    yield paint("bold", "Where the bytes are")
    for kind in CLASSES:
        bits = ledger.classes[kind]
        if bits or kind in ("headers", "payload"):
            yield _bar_line(kind, bits, 8 * size_bytes, paint)
    if ledger.payload:
        yield ""
        yield paint("bold", "What the payload says") + paint("dim", _payload_note(ledger))
        yield from _payload_lines(overview, paint)
    if overview.tensors:
        yield ""
        yield from _tensor_lines(overview, paint)
    yield ""
    yield from verdict_lines(size_bytes, overview, paint)


def _facts(size_bytes: int, overview: Overview, paint: Paint) -> Iterator[str]:
    units = ", ".join(f"{count} {kind}" for kind, count in overview.unit_counts.items())
    profile = "?" if overview.profile is None else overview.profile
    yield paint.clip(
        f"{size_text(size_bytes)} ({size_bytes:,} bytes), profile {profile}: {units or 'no unit'}"
    )
    if overview.n_weights:
        rate = 8 * size_bytes / overview.n_weights
        line = f"{len(overview.tensors):,} tensors, {overview.n_weights:,} weights, "
        line += f"{rate:.3f} bits per weight in all"
        if overview.ledger.n_levels:
            coded = overview.ledger.level_bits / overview.ledger.n_levels
            entropy = overview.ledger.entropy_bits / overview.ledger.n_levels
            line += f"; levels {coded:.3f}, their entropy {entropy:.3f}"
        yield paint.clip(line)
    for quantization in overview.quantization[:2]:
        yield paint.clip(quantization)


def _bar_line(name: str, bits: float, total: float, paint: Paint, extra: str = "") -> str:
    share = bits / total if total else 0.0
    amount = f"{bits / 8:>14,.1f}"
    columns = 24 if paint.width is None or paint.width >= 78 else 10
    label = name if len(name) <= 31 else name[:30] + "~"
    start = f"  {label:<31} {amount} B {100 * share:>5.1f} %  "
    return start + paint("value", paint.bar(share, columns)).rstrip() + (f"  {extra}" if extra else "")


def _payload_note(ledger: Ledger) -> str:
    plural = "payload" if ledger.n_payloads == 1 else "payloads"
    return f"   {ledger.n_payloads:,} {plural} decoded, prices from the arithmetic decoder's own ranges"


def _payload_lines(overview: Overview, paint: Paint) -> Iterator[str]:
    ledger = overview.ledger
    lines = sorted(ledger.payload.items(), key=lambda item: -item[1].bits)
    for element, spent in lines[:_MOST_ELEMENTS]:
        yield _bar_line(element, spent.bits, ledger.decoded_payload_bits, paint)
    rest = sum(spent.bits for _, spent in lines[_MOST_ELEMENTS:])
    if rest:
        yield _bar_line(f"{len(lines) - _MOST_ELEMENTS} others", rest, ledger.decoded_payload_bits, paint)


def _tensor_lines(overview: Overview, paint: Paint) -> Iterator[str]:
    largest = sorted(overview.tensors, key=lambda line: -line.bits)[:_MOST_TENSORS]
    widest = max(len(plain(line.name)) for line in largest)
    room = 24 if paint.width is None else max(10, min(widest, paint.width - 56))
    room = min(room, widest) if paint.width is not None else widest
    title = "Largest tensors" if len(overview.tensors) > _MOST_TENSORS else "Tensors"
    header = f"{title:<{room + 2}} {'shape':>15} {'weights':>11} {'size':>8} {'bits/w':>7} {'entropy':>7}"
    yield paint("bold", paint.clip(header))
    for line in largest:
        yield _tensor_line(line, max(room, len(title) - 2), paint)
    if len(overview.tensors) > _MOST_TENSORS:
        rest = overview.tensors
        bits = sum(line.bits for line in rest) - sum(line.bits for line in largest)
        more = f"  {len(rest) - _MOST_TENSORS} more, {size_text(bits / 8)} (--view tensors)"
        yield paint("dim", paint.clip(more))


def _tensor_line(line: TensorLine, room: int, paint: Paint) -> str:
    name = plain(line.name)
    if len(name) > room:
        name = "~" + name[len(name) - room + 1 :] if not paint.unicode else "…" + name[len(name) - room + 1 :]
    shape = "x".join(map(str, line.shape)) or "scalar"
    rate = "" if line.bits_per_weight is None else f"{line.bits_per_weight:.3f}"
    entropy = "" if line.entropy is None else f"{line.entropy:.3f}"
    figures = f"{shape:>15} {line.n_weights:>11,} {size_text(line.bits / 8):>8} {rate:>7} {entropy:>7}"
    return "  " + paint("name", name.ljust(room)) + " " + paint.clip(figures, room + 3)


def verdict_lines(size_bytes: int, overview: Overview, paint: Paint) -> Iterator[str]:
    """Yield whether the stream is sound, and what is wrong with it if not."""
    ledger = overview.ledger
    for note in overview.notes[:_MOST_FAULTS]:
        yield paint("guess", "note ") + plain(note)
    if not ledger.is_exact(size_bytes):
        yield paint(
            "bad",
            f"{ledger.total_bits} bits are booked and the file has {8 * size_bytes}: a bug of this tool",
        )
    word, _, rest = verdict_of(overview).partition(": ")
    yield paint("bad" if overview.faults else "good", f"{word}: ") + rest
    for fault in overview.faults[:_MOST_FAULTS]:
        yield from fault_lines(fault, paint)
    if len(overview.faults) > _MOST_FAULTS:
        yield f"  and {len(overview.faults) - _MOST_FAULTS} more (--view tree)"


def verdict_of(overview: Overview) -> str:
    """Return in a line whether a stream is sound."""
    if overview.faults:
        return "malformed: " + ("1 fault" if len(overview.faults) == 1 else f"{len(overview.faults)} faults")
    ledger = overview.ledger
    unchecked = bool(ledger.classes["payload"]) and not ledger.n_payloads
    checked = " (payloads were not decoded: --payloads does)" if unchecked else ""
    return f"sound: every bit belongs to a field{checked}"


def fault_lines(fault: Fault, paint: Paint, indent: str = "  ") -> Iterator[str]:
    """Yield a fault's lines."""
    mark = "✗" if paint.unicode else "x"
    yield indent + paint("bad", f"{mark} {plain(str(fault))}")
    details = []
    if fault.path:
        details.append(f"in {fault.path}")
    if fault.expected:
        details.append(f"expected {fault.expected}")
    if fault.found:
        details.append(f"found {fault.found}")
    if fault.guess:
        details.append("a guess of the inspector's")
    if details:
        yield indent + "  " + paint("dim", plain("; ".join(details)))
