# SPDX-License-Identifier: Apache-2.0
"""Fault-tolerant walk over a stream: every bit belongs to a unit or to stray bytes."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from nnr_codec.codec.stream.deadline import Deadline
from nnr_codec.errors import BitstreamError, LimitExceeded
from nnr_codec.inspect.read import framing_faults
from nnr_codec.inspect.read.accounts import PayloadAccount
from nnr_codec.inspect.read.fault import fault_of
from nnr_codec.inspect.read.payload import PayloadReader
from nnr_codec.inspect.read.resync import Framing, UnitFinder, framing_at
from nnr_codec.inspect.read.unit import StrayBytes, UnitReport, examine, state_after
from nnr_codec.model import DataUnit, Limits, NnrUnitType
from nnr_codec.syntax import SyntaxState, UnitSpan, join_parts, parse_unit

Piece = UnitReport | StrayBytes

#: Size up to which `nnr dump` decodes payloads by default.
AUTO_DECODE_BYTES = 1 << 24


class Survey:
    """The pieces of a stream in order. Every iteration walks the stream again.

    Parameters
    ----------
    buffer : bytes-like
        The whole stream. The pages of a memory map are released once they are read.
    limits : Limits, optional
    payloads : bool
        Decode payloads and count their bits.
    keep : bool
        Keep levels and values in the tensor accounts.
    watch_bit : int, optional
        Absolute bit; the account of the payload that holds it names its bin.
    after : sequence of bytes-like
        Earlier streams of a series of updates, in order.
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
        self._released_bytes = 0

    @property
    def size_bytes(self) -> int:
        """Size of the stream."""
        return len(self.view)

    def __iter__(self) -> Iterator[Piece]:
        """Yield the pieces.

        Yields
        ------
        UnitReport or StrayBytes

        Raises
        ------
        LimitExceeded
            The stream's size, number of units, unit size or time is beyond the limits.
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
            yield StrayBytes(0, 0, [framing_faults.empty_stream()])
        self._check_limit(len(self.view), "max_stream_bytes", 0)
        while offset < len(self.view):
            deadline.check(f"nnr_unit[{index}]", offset)
            self._check_limit(index + 1, "max_units", offset)
            piece = self._piece_at(offset, index, state)
            if isinstance(piece, UnitReport):
                index += 1
                state = self._read_content(piece, state, parts, payloads)
                offset = piece.span.byte_offset + piece.span.size_bytes
            else:
                offset = piece.byte_offset + piece.size_bytes
            yield piece
            self._release(offset)
        if parts:
            _end_parts(parts, "the stream ends before the last part of a unit")

    def _check_limit(self, value: int, name: str, offset: int) -> None:
        bound = getattr(self._limits, name)
        if bound is not None and value > bound:
            raise LimitExceeded(
                f"{value} is beyond {name}, which is {bound}", path="nnr_bitstream", bit_offset=8 * offset
            )

    # Extents of units.

    def _piece_at(self, offset: int, index: int, state: SyntaxState) -> Piece:
        framing = framing_at(self.view, offset)
        if framing is None:
            return self._stray(offset, index, state)
        following = offset + framing.size_bytes
        report = self._examined(offset, index, framing, state)
        state_behind = state_after(report)
        if following == len(self.view) or (
            following < len(self.view) and self._finder.plausible(following, state_behind)
        ):
            return report
        resumed = self._finder.next_unit(offset + framing.header_offset + 1, state_behind)
        if framing.nnr_unit_type > max(NnrUnitType):
            return self._stray(offset, index, state)
        if following > len(self.view) and resumed is None:
            n_remaining = len(self.view) - offset
            fault = framing_faults.truncated_unit(offset, index, framing.size_bytes, n_remaining)
            report.faults.insert(0, fault)
            return report
        if resumed is None or (following < resumed and not self._runs_out(report)):
            return report
        inferred_bytes = resumed - offset
        report = self._examined(offset, index, framing._replace(size_bytes=inferred_bytes), state)
        report.guess = True
        fault = framing_faults.wrong_size(offset, index, framing.size_bytes, inferred_bytes)
        report.faults.insert(0, fault)
        return report

    def _examined(self, offset: int, index: int, framing: Framing, state: SyntaxState) -> UnitReport:
        size = min(framing.size_bytes, len(self.view) - offset)
        self._check_limit(size, "max_unit_bytes", offset)
        span = UnitSpan(index, offset, size, framing.nnr_unit_type, framing.header_offset)
        return examine(self.view, span, state, self._limits)

    def _stray(self, offset: int, index: int, state: SyntaxState) -> StrayBytes:
        resumed = self._finder.next_unit(offset + 1, state)
        end = len(self.view) if resumed is None else resumed
        fault = framing_faults.no_unit_here(self.view, offset, index, framing_at(self.view, offset))
        return StrayBytes(offset, end - offset, [fault])

    def _runs_out(self, report: UnitReport) -> bool:
        """Return whether a unit ends before its content, so that its size must be wrong."""
        if any(fault.kind == "TruncatedBitstream" for fault in report.faults):
            return True
        if not isinstance(report.unit, DataUnit):
            return False
        account = self._payload(report, report.unit, PayloadReader())
        return account.fault is not None and account.fault.kind == "TruncatedBitstream"

    # Content of units.

    def _read_content(
        self, report: UnitReport, state: SyntaxState, parts: list[UnitReport], payloads: PayloadReader
    ) -> SyntaxState:
        """Decode the payload on request; return the state after the unit."""
        if report.value("partial_data_counter_present_flag") == 1:
            return self._join(report, state, parts, payloads)
        if parts:
            _end_parts(parts, "a unit comes before the last part of the one before")
        if isinstance(report.unit, DataUnit) and self._payloads:
            _set_payload(report, self._payload(report, report.unit, payloads))
        return state_after(report)

    def _payload(self, report: UnitReport, unit: DataUnit, payloads: PayloadReader) -> PayloadAccount:
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
        previous = parts[-1].value("partial_data_counter") if parts else None
        # A damaged part may lack its counter.
        if parts and (previous is None or counter != previous - 1):
            message = "partial_data_counter does not follow the part before"
            report.faults.append(framing_faults.part_fault(report, message))
            parts.clear()
        parts.append(report)
        if counter != 0:
            return state
        spans = [part.span for part in parts]
        parts.clear()
        try:
            octets = join_parts(self.view, spans, state, limits=self._limits)
            header_offset = 4 if octets[0] & 0x80 else 2
            span = replace(spans[0], byte_offset=0, size_bytes=len(octets), header_offset=header_offset)
            unit = parse_unit(octets, span, state, limits=self._limits, stream_bytes=len(self.view))
        except BitstreamError as error:
            # Positions in the joined unit are no positions in the stream.
            error.bit_offset = 8 * report.span.byte_offset
            report.faults.append(fault_of(error))
            return state
        if isinstance(unit, DataUnit) and self._payloads:
            start = 8 * report.span.byte_offset
            account = payloads.read(unit, state, path=report.span.path, bit_offset=start, names=report.names)
            _set_payload(report, account)
        return state.after(unit)

    def _release(self, offset: int) -> None:
        """Release the pages of a memory map before an offset; another walk reads them again."""
        mapped = self.view.obj
        if not isinstance(mapped, mmap.mmap) or not hasattr(mapped, "madvise"):
            return
        end = offset - offset % mmap.PAGESIZE
        if end > self._released_bytes:
            with suppress(OSError, ValueError):
                mapped.madvise(mmap.MADV_DONTNEED, self._released_bytes, end - self._released_bytes)
            self._released_bytes = end


def _set_payload(report: UnitReport, account: PayloadAccount) -> None:
    report.payload = account
    if account.fault is not None:
        report.faults.append(account.fault)


def _end_parts(parts: list[UnitReport], message: str) -> None:
    parts[-1].faults.append(framing_faults.part_fault(parts[-1], message))
    parts.clear()
