# SPDX-License-Identifier: Apache-2.0
"""Faults as the inspector shows them: what a decoder would raise, with what it expected and what it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnr_codec.errors import NnrError, TruncatedBitstream
from nnr_codec.inspect.declarations import declarations
from nnr_codec.syntax import TraceEvent


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a stream.

    Attributes
    ----------
    kind : str
        The class of error that a decoder raises.
    bit_offset : int or None
        Absolute.
    expected, found : str or None
        In words.
    guess : bool
        Whether it is the inspector's conclusion rather than a rule that a decoder checks.
    """

    kind: str
    message: str
    path: str | None
    bit_offset: int | None
    element: str | None
    clause: str | None
    expected: str | None = None
    found: str | None = None
    guess: bool = False

    def __str__(self) -> str:
        place = (
            "" if self.bit_offset is None else f" at bit {self.bit_offset} (byte {self.bit_offset >> 3:#x})"
        )
        clause = f" [{self.clause}]" if self.clause else ""
        return f"{self.kind}{place}{clause}: {self.message}"


def fault_of(error: NnrError, event: TraceEvent | None = None, *, guess: bool = False) -> Fault:
    """Return what an error says; ``event`` is the element it is about, where there is one."""
    expected = found = None
    if event is not None:
        expected, found = _expectation(error, event)
    return Fault(
        type(error).__name__,
        error.message,
        error.path,
        error.bit_offset,
        error.element,
        error.clause,
        expected,
        found,
        guess,
    )


def wanted_bits(event: TraceEvent) -> tuple[int, bool]:
    """Return how many bits a truncated element wants, and whether that is only the least it can be."""
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
        wanted, at_least = wanted_bits(event)
        return f"{'at least ' if at_least else ''}{wanted} bits", f"{event.n_bits} bits"
    if event.element == "byte_alignment":
        n_bits = event.n_bits
        return f"{0x80 >> (event.bit_offset & 7):0{n_bits}b}", f"{event.raw:0{n_bits}b}"
    for declaration in declarations().get(event.element, ()):
        return declaration.values, found_text(event.value)
    return None, found_text(event.value)


def found_text(value: Any) -> str | None:
    """Return a value in words, None for none."""
    if value is None:
        return None
    return f"{len(value)} bytes" if isinstance(value, bytes | memoryview) else str(value)
