# SPDX-License-Identifier: Apache-2.0
"""Faults: the errors that a decoder raises, with the expected and the actual content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnr_codec.errors import NnrError, TruncatedBitstream
from nnr_codec.inspect.explain import declarations
from nnr_codec.syntax import TraceEvent


@dataclass(frozen=True)
class Fault:
    """One fault of a stream.

    Attributes
    ----------
    kind : str
        Name of the error class that a decoder raises.
    bit_offset : int or None
        Absolute.
    expected, actual : str or None
        For people.
    guess : bool
        The inspector inferred it; no rule that a decoder checks says so.
    """

    kind: str
    message: str
    path: str | None
    bit_offset: int | None
    element: str | None
    clause: str | None
    expected: str | None = None
    actual: str | None = None
    guess: bool = False

    def __str__(self) -> str:
        place = (
            "" if self.bit_offset is None else f" at bit {self.bit_offset} (byte {self.bit_offset >> 3:#x})"
        )
        clause = f" [{self.clause}]" if self.clause else ""
        return f"{self.kind}{place}{clause}: {self.message}"


def fault_of(error: NnrError, event: TraceEvent | None = None) -> Fault:
    """Return the fault that an error reports.

    Parameters
    ----------
    error : NnrError
    event : TraceEvent, optional
        Event of the element at fault; it supplies the expected and the actual content.
    """
    expected, actual = (None, None) if event is None else _expectation(error, event)
    return Fault(
        type(error).__name__,
        error.message,
        error.path,
        error.bit_offset,
        error.element,
        error.clause,
        expected,
        actual,
    )


def status_of(event: TraceEvent) -> str:
    """Return ``ok``, or the error class and message of an element's fault."""
    fault = event.fault
    if fault is None:
        return "ok"
    if isinstance(fault, TruncatedBitstream):
        n_bits, at_least = required_bits(event)
        return f"TruncatedBitstream: {event.n_bits} of {'at least ' if at_least else ''}{n_bits} bits"
    return f"{type(fault).__name__}: {fault.message}"


def required_bits(event: TraceEvent) -> tuple[int, bool]:
    """Return the number of bits that a truncated element needs.

    Returns
    -------
    n_bits : int
    at_least : bool
        ``n_bits`` is only a lower bound, because the missing bits decide the length.
    """
    kind, _, inside = event.descriptor.partition("(")
    size = inside.rstrip(")")
    if kind in ("u", "i", "flt") and size.isdigit():
        return int(size), False
    if kind == "byte_alignment":
        return 8 - (event.bit_offset & 7), False
    if kind in ("ue", "ie") and size.isdigit() and isinstance(event.raw, int):
        zeros = event.n_bits - event.raw.bit_length()
        return 2 * zeros + int(size) + 1, event.raw == 0
    return event.n_bits + 1, True


def _expectation(error: NnrError, event: TraceEvent) -> tuple[str | None, str | None]:
    if isinstance(error, TruncatedBitstream):
        n_bits, at_least = required_bits(event)
        return f"{'at least ' if at_least else ''}{n_bits} bits", f"{event.n_bits} bits"
    if event.element == "byte_alignment":
        n_bits = event.n_bits
        return f"{0x80 >> (event.bit_offset & 7):0{n_bits}b}", f"{event.raw:0{n_bits}b}"
    for declaration in declarations().get(event.element, ()):
        return declaration.values, actual_text(event.value)
    return None, actual_text(event.value)


def actual_text(value: Any) -> str | None:
    """Return a value as text: the size of bytes, None for None."""
    if value is None:
        return None
    return f"{len(value)} bytes" if isinstance(value, bytes | memoryview) else str(value)
