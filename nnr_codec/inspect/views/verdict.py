# SPDX-License-Identifier: Apache-2.0
"""Verdict on a stream, and its faults as text."""

from __future__ import annotations

from collections.abc import Iterator

from nnr_codec.inspect.read import Fault, Summary
from nnr_codec.inspect.views.paint import Paint, plain

_MOST_FAULTS = 12


def verdict_of(summary: Summary) -> str:
    """Return in one line whether a stream is sound."""
    if summary.faults:
        n_faults = len(summary.faults)
        return f"malformed: {n_faults} {'fault' if n_faults == 1 else 'faults'}"
    ledger = summary.ledger
    unread = bool(ledger.classes["payload"]) and not ledger.n_payloads
    return f"sound: every bit belongs to a field{' (payloads not decoded; --payloads)' if unread else ''}"


def verdict_lines(size_bytes: int, summary: Summary, paint: Paint) -> Iterator[str]:
    """Yield notes, verdict and faults as text."""
    ledger = summary.ledger
    for note in summary.notes[:_MOST_FAULTS]:
        yield paint("guess", "note ") + plain(note)
    if not ledger.is_exact(size_bytes):
        message = f"the ledger has {ledger.total_bits} bits and the file {8 * size_bytes}: a bug of nnr dump"
        yield paint("bad", message)
    word, _, detail = verdict_of(summary).partition(": ")
    yield paint("bad" if summary.faults else "good", f"{word}: ") + detail
    for fault in summary.faults[:_MOST_FAULTS]:
        yield from fault_lines(fault, paint)
    if len(summary.faults) > _MOST_FAULTS:
        yield f"  and {len(summary.faults) - _MOST_FAULTS} more (--view tree)"


def fault_lines(fault: Fault, paint: Paint, indent: str = "  ") -> Iterator[str]:
    """Yield a fault as text: its message, then its path, the expected and the actual content."""
    mark = "✗" if paint.unicode else "x"
    yield indent + paint("bad", f"{mark} {plain(str(fault))}")
    details = []
    if fault.path:
        details.append(f"in {fault.path}")
    if fault.expected:
        details.append(f"expected {fault.expected}")
    if fault.actual:
        details.append(f"found {fault.actual}")
    if fault.guess:
        details.append("inferred by the inspector")
    if details:
        yield indent + "  " + paint("dim", plain("; ".join(details)))
