# SPDX-License-Identifier: Apache-2.0
"""Faults of the framing: sizes that lead to no unit, stray bytes, missing parts."""

from __future__ import annotations

from nnr_codec.inspect.read.fault import Fault
from nnr_codec.inspect.read.resync import Framing
from nnr_codec.inspect.read.unit import UnitReport

_SMALLEST_UNIT_BYTES = 3
_SHOWN_BYTES = 5  # of the bytes at which no unit starts


def empty_stream() -> Fault:
    """Return the fault of a stream without a byte."""
    return _size_fault(
        "MalformedBitstream", "the stream is empty", "nnr_bitstream", 0, "a start unit", "nothing"
    )


def no_unit_here(view: memoryview, offset: int, index: int, framing: Framing | None) -> Fault:
    """Return the fault of a place at which no unit starts.

    Parameters
    ----------
    view : memoryview
        The whole stream.
    offset : int
        In bytes.
    index : int
        Number of the missing unit.
    framing : Framing or None
        Size and type as read at this place.
    """
    kind = "MalformedBitstream"
    if framing is not None:
        reason = f"the size leads to no unit and the type would be {framing.nnr_unit_type}"
    elif len(view) - offset < _SMALLEST_UNIT_BYTES:
        kind, reason = "TruncatedBitstream", "the stream ends"
    else:
        reason = "the size is smaller than the header"
    actual = bytes(view[offset : offset + _SHOWN_BYTES]).hex(" ")
    return _size_fault(
        kind, f"no unit starts here: {reason}", f"nnr_unit[{index}]", 8 * offset, "a unit", actual
    )


def truncated_unit(offset: int, index: int, size_bytes: int, n_remaining: int) -> Fault:
    """Return the fault of a unit whose size exceeds the remaining bytes of the stream."""
    return _size_fault(
        "TruncatedBitstream",
        f"nnr_unit_size is {size_bytes} and {n_remaining} bytes remain",
        f"nnr_unit[{index}].nnr_unit_size",
        8 * offset + 1,
        f"{size_bytes} bytes",
        f"{n_remaining} bytes",
    )


def wrong_size(offset: int, index: int, size_bytes: int, inferred_bytes: int) -> Fault:
    """Return the fault of a unit whose size leads to no unit, with the size inferred from the next unit."""
    return _size_fault(
        "MalformedBitstream",
        f"nnr_unit_size is {size_bytes} and leads to no unit; the next unit seems to start after {inferred_bytes} bytes",
        f"nnr_unit[{index}].nnr_unit_size",
        8 * offset + 1,
        str(inferred_bytes),
        str(size_bytes),
        guess=True,
    )


def part_fault(report: UnitReport, message: str) -> Fault:
    """Return the fault of a part that does not belong where it stands."""
    event = report.event("partial_data_counter")
    return Fault(
        "MalformedBitstream",
        message,
        f"{report.span.path}.partial_data_counter",
        None if event is None else event.bit_offset,
        "partial_data_counter",
        "format 2",
        actual=None if event is None else str(event.value),
    )


def _size_fault(
    kind: str, message: str, path: str, bit_offset: int, expected: str, actual: str, *, guess: bool = False
) -> Fault:
    return Fault(kind, message, path, bit_offset, "nnr_unit_size", "format 2", expected, actual, guess)
