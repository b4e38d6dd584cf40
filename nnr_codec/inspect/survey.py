# SPDX-License-Identifier: Apache-2.0
"""A walk over a stream that goes on behind every fault: each bit comes out in a unit or as stray bytes."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from nnr_codec.codec.stream.deadline import Deadline
from nnr_codec.errors import BitstreamError, LimitExceeded
from nnr_codec.inspect.examine import StrayBytes, UnitReport, examine, state_after
from nnr_codec.inspect.fault import Fault, fault_of
from nnr_codec.inspect.payload import PayloadReader, PayloadReport
from nnr_codec.inspect.resync import Framing, UnitFinder, framing_at
from nnr_codec.model import DataUnit, Limits, NnrUnitType
from nnr_codec.syntax import SyntaxState, UnitSpan, join_parts, parse_unit

Piece = UnitReport | StrayBytes

#: Payloads are decoded without being asked for in streams up to this size.
EASY_BYTES = 1 << 24

_SMALLEST_UNIT = 3


class Survey:
    """The pieces of a stream in order; iterating a second time walks again.

    Parameters
    ----------
    buffer : bytes-like
        The whole stream. Of a memory map, pages that are done with are given back.
    limits : Limits, optional
    payloads : bool
        Whether payloads are decoded and accounted for.
    keep : bool
        Whether tensor reports keep levels and values.
    watch_bit : int, optional
        An absolute bit whose bin is wanted, where it lies in a payload.
    after : sequence of bytes-like
        Earlier streams of a series of updates, oldest first.
    """

    def __init__(
        self,
        buffer: Any,
        *,
        limits: Limits | None = None,
        payloads: bool = True,
        keep: bool = False,
        watch_bit: int | None = None,
        after: Sequence[Any] = (),
    ) -> None:
        self.view = memoryview(buffer).cast("B")
        self._limits = limits or Limits()
        self._payloads = payloads
        self._keep = keep
        self._watch_bit = watch_bit
        self._after = after
        self._finder = UnitFinder(self.view, self._limits)
        self._released = 0

    @property
    def size_bytes(self) -> int:
        """Size of the stream."""
        return len(self.view)

    def __iter__(self) -> Iterator[Piece]:
        """Yield the pieces.

        Yields
        ------
        UnitReport or StrayBytes
        """
        payloads = PayloadReader(keep=self._keep)
        for earlier in self._after:
            for _ in Survey(earlier, limits=self._limits)._pieces(payloads):
                pass
        yield from self._pieces(payloads)

    def _pieces(self, payloads: PayloadReader) -> Iterator[Piece]:
        state = SyntaxState()
        parts: list[UnitReport] = []
        offset = index = 0
        deadline = Deadline(self._limits)
        if not self.view:
            yield StrayBytes(0, 0, [_fault("the stream is empty", 0, "a start unit", "nothing")])
        self._allow(len(self.view), "max_stream_bytes", 0)
        while offset < len(self.view):
            deadline.check(f"nnr_unit[{index}]", offset)
            self._allow(index + 1, "max_units", offset)
            piece = self._piece_at(offset, index, state)
            if isinstance(piece, UnitReport):
                index += 1
                state = self._account(piece, state, parts, payloads)
                offset = piece.span.byte_offset + piece.span.size_bytes
            else:
                offset = piece.byte_offset + piece.size_bytes
            yield piece
            self._release(offset)
        if parts:
            _end_parts(parts, "the stream ends before the last part of a unit")

    def _allow(self, value: int, name: str, offset: int) -> None:
        bound = getattr(self._limits, name)
        if bound is not None and value > bound:
            raise LimitExceeded(
                f"{value} is beyond {name}, which is {bound}", path="nnr_bitstream", bit_offset=8 * offset
            )

    # Where units are.

    def _piece_at(self, offset: int, index: int, state: SyntaxState) -> Piece:
        framing = framing_at(self.view, offset)
        if framing is None:
            return self._stray(offset, index, state)
        following = offset + framing.size_bytes
        report = self._examined(offset, index, framing, state)
        behind = state_after(report)
        if following == len(self.view) or (
            following < len(self.view) and self._finder.plausible(following, behind)
        ):
            return report
        found = self._finder.next_unit(offset + framing.header_offset + 1, behind)
        if framing.nnr_unit_type > max(NnrUnitType):
            return self._stray(offset, index, state)
        if following > len(self.view) and found is None:
            report.faults.insert(0, self._truncated(offset, index, framing))
            return report
        if found is None or (following < found and not self._runs_out(report)):
            return report
        resized = framing._replace(size_bytes=found - offset)
        report = self._examined(offset, index, resized, state)
        report.guess = True
        report.faults.insert(0, _wrong_size(offset, index, framing.size_bytes, found - offset))
        return report

    def _examined(self, offset: int, index: int, framing: Framing, state: SyntaxState) -> UnitReport:
        size = min(framing.size_bytes, len(self.view) - offset)
        self._allow(size, "max_unit_bytes", offset)
        span = UnitSpan(index, offset, size, framing.nnr_unit_type, framing.header_offset)
        return examine(self.view, span, state, self._limits)

    def _stray(self, offset: int, index: int, state: SyntaxState) -> StrayBytes:
        found = self._finder.next_unit(offset + 1, state)
        end = len(self.view) if found is None else found
        framing = framing_at(self.view, offset)
        if framing is not None:
            why = f"its size leads to none and its type would be {framing.nnr_unit_type}"
        elif len(self.view) - offset < _SMALLEST_UNIT:
            why = "the stream ends"
        else:
            why = "its size would be less than its header"
        fault = _fault(
            f"no unit starts here: {why}",
            offset,
            "a unit",
            bytes(self.view[offset : offset + 5]).hex(" "),
            path=f"nnr_unit[{index}]",
            kind="TruncatedBitstream" if len(self.view) - offset < _SMALLEST_UNIT else "MalformedBitstream",
        )
        return StrayBytes(offset, end - offset, [fault])

    def _truncated(self, offset: int, index: int, framing: Framing) -> Fault:
        left = len(self.view) - offset
        return Fault(
            "TruncatedBitstream",
            f"nnr_unit_size is {framing.size_bytes} and {left} bytes are left",
            f"nnr_unit[{index}].nnr_unit_size",
            8 * offset + 1,
            "nnr_unit_size",
            "format 2",
            f"{framing.size_bytes} bytes",
            f"{left} bytes",
        )

    def _runs_out(self, report: UnitReport) -> bool:
        """Whether a unit ends before what is in it does, so that its size must be wrong."""
        if any(fault.kind == "TruncatedBitstream" for fault in report.faults):
            return True
        if not isinstance(report.unit, DataUnit):
            return False
        outcome = self._payload(report, report.unit, PayloadReader())
        return outcome.fault is not None and outcome.fault.kind == "TruncatedBitstream"

    # What is in them.

    def _account(
        self, report: UnitReport, state: SyntaxState, parts: list[UnitReport], payloads: PayloadReader
    ) -> SyntaxState:
        """Read the payload where that is wanted; return the state behind the unit."""
        if report.value("partial_data_counter_present_flag") == 1:
            return self._join(report, state, parts, payloads)
        if parts:
            _end_parts(parts, "a unit comes before the last part of the one before")
        if isinstance(report.unit, DataUnit) and self._payloads:
            report.payload = self._payload(report, report.unit, payloads)
            if report.payload.fault is not None:
                report.faults.append(report.payload.fault)
        return state_after(report)

    def _payload(self, report: UnitReport, unit: DataUnit, payloads: PayloadReader) -> PayloadReport:
        start = 8 * (report.span.byte_offset + report.span.size_bytes - len(unit.payload))
        watch = None if self._watch_bit is None else self._watch_bit - start
        inside = watch is not None and 0 <= watch < 8 * len(unit.payload)
        return payloads.read(
            unit,
            report.state,
            path=report.span.path,
            bit_offset=start,
            names=report.names,
            watch_bit=watch if inside else None,
        )

    def _join(
        self, report: UnitReport, state: SyntaxState, parts: list[UnitReport], payloads: PayloadReader
    ) -> SyntaxState:
        counter = report.value("partial_data_counter")
        before = parts[-1].value("partial_data_counter") if parts else None
        # Of a damaged part the counter may be missing.
        if parts and (before is None or counter != before - 1):
            report.faults.append(_part_fault(report, "partial_data_counter does not follow the part before"))
            parts.clear()
        parts.append(report)
        if counter != 0:
            return state
        spans = [part.span for part in parts]
        parts.clear()
        try:
            octets = join_parts(self.view, spans, state, limits=self._limits)
            span = replace(
                spans[0], byte_offset=0, size_bytes=len(octets), header_offset=4 if octets[0] & 0x80 else 2
            )
            unit = parse_unit(octets, span, state, limits=self._limits, stream_bytes=len(self.view))
        except BitstreamError as error:
            error.bit_offset = (
                8 * report.span.byte_offset
            )  # positions in the joined unit are no positions here
            report.faults.append(fault_of(error))
            return state
        if isinstance(unit, DataUnit) and self._payloads:
            report.payload = payloads.read(
                unit, state, path=report.span.path, bit_offset=8 * report.span.byte_offset, names=report.names
            )
            if report.payload.fault is not None:
                report.faults.append(report.payload.fault)
        return state.after(unit)

    def _release(self, offset: int) -> None:
        """Give back the pages of a map that lie before an offset; they can be read again."""
        mapped = self.view.obj
        if not isinstance(mapped, mmap.mmap) or not hasattr(mapped, "madvise"):
            return
        end = offset - offset % mmap.PAGESIZE
        if end > self._released:
            with suppress(OSError, ValueError):
                mapped.madvise(mmap.MADV_DONTNEED, self._released, end - self._released)
            self._released = end


def _fault(
    message: str,
    offset: int,
    expected: str,
    found: str,
    *,
    path: str = "nnr_bitstream",
    kind: str = "MalformedBitstream",
) -> Fault:
    return Fault(kind, message, path, 8 * offset, "nnr_unit_size", "format 2", expected, found)


def _wrong_size(offset: int, index: int, size: int, guessed: int) -> Fault:
    return Fault(
        "MalformedBitstream",
        f"nnr_unit_size is {size} and leads to no unit; one seems to start {guessed} bytes on",
        f"nnr_unit[{index}].nnr_unit_size",
        8 * offset + 1,
        "nnr_unit_size",
        "format 2",
        f"{guessed}, by the unit found next",
        str(size),
        guess=True,
    )


def _part_fault(report: UnitReport, message: str) -> Fault:
    event = report.event("partial_data_counter")
    return Fault(
        "MalformedBitstream",
        message,
        f"{report.span.path}.partial_data_counter",
        None if event is None else event.bit_offset,
        "partial_data_counter",
        "format 2",
        found=None if event is None else str(event.value),
    )


def _end_parts(parts: list[UnitReport], message: str) -> None:
    parts[-1].faults.append(_part_fault(parts[-1], message))
    parts.clear()
