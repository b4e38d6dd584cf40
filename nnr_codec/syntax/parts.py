# SPDX-License-Identifier: Apache-2.0
"""Units cut into parts.

The format says only that ``partial_data_counter`` is the number of parts still to come. Here, every part
repeats the
headers of the unit and carries the next piece of its payload; the parts of a unit follow each other, and
their
counters go down by one to 0.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nnr_codec.errors import (
    BitstreamError,
    LimitExceeded,
    MalformedBitstream,
    NotEncodable,
    TruncatedBitstream,
)
from nnr_codec.model import AnyUnit, Limits, NnrUnitType
from nnr_codec.syntax.grammar import Tree
from nnr_codec.syntax.state import SyntaxState
from nnr_codec.syntax.stream import UnitSpan, iter_unit_spans, size_field
from nnr_codec.syntax.trace import Trace
from nnr_codec.syntax.walk import check_header, parse_unit

_PART_FLAG = 1
_TYPE_AND_COUNTER_BYTES = 2
# What need not be the same in all parts: the frame, and the pieces of the payload.
_VARYING = (
    "nnr_unit_size_flag",
    "nnr_unit_size",
    "independently_decodable_flag",
    "partial_data_counter",
    "nnr_partial_unit_payload",
)


def is_part(buffer: Any, span: UnitSpan) -> bool:
    """Tell whether a unit is a part, by its first byte behind the size."""
    return bool(buffer[span.byte_offset + span.header_offset] & _PART_FLAG)


class PartJoiner:
    """Takes the parts of one unit in their order, and checks each when it comes.

    Parameters
    ----------
    buffer : bytes-like
        The whole stream.
    limits : Limits, optional

    Clause: format 2
    """

    def __init__(self, buffer: Any, limits: Limits | None = None) -> None:
        self._buffer = buffer
        self._limits = limits or Limits()
        self._spans: list[UnitSpan] = []
        self._payloads: list[memoryview] = []
        self._header: Tree = {}
        self._counter = 0

    @property
    def first(self) -> UnitSpan:
        """The first part."""
        return self._spans[0]

    @property
    def open(self) -> UnitSpan | None:
        """The last part taken, when more are to come."""
        return self._spans[-1] if self._spans and self._counter else None

    def check_type(self, span: UnitSpan, state: SyntaxState) -> None:
        """Check that a unit of this type may come now.

        Raises
        ------
        MalformedBitstream
            It may come nowhere here, or not between these parts.
        TruncatedBitstream
            It may not come between these parts, and ends before its counter.
        """
        try:
            in_data = self.open is not None and self.open.nnr_unit_type == NnrUnitType.NNR_NDU
            replace(state, data_seen=state.data_seen or in_data).check_order(span.nnr_unit_type)
        except MalformedBitstream as error:
            error.path = f"{span.path}.nnr_unit_type"
            error.bit_offset = 8 * (span.byte_offset + span.header_offset)
            raise
        if self.open is not None and span.nnr_unit_type != self._spans[0].nnr_unit_type:
            self._require_counter(span)
            raise self._bad_part(span, "a unit of another type comes before the last part of the one before")

    def add(self, span: UnitSpan, state: SyntaxState, trace: Trace | None = None) -> bool:
        """Take a part; tells whether it is the last.

        ``trace`` receives the part's elements.

        Raises
        ------
        BitstreamError
            Its header is wrong or differs from the first part's, or its counter does not follow.
        LimitExceeded
            The unit would be larger than max_unit_bytes.
        """
        if not is_part(self._buffer, span):
            if span.nnr_unit_type == NnrUnitType.NNR_NDU:
                check_header(self._buffer, span, state, self._limits)
            raise self._bad_part(span, "a whole unit comes before the last part of the one before")
        place = span.header_offset + 1
        starts = span.nnr_unit_type == NnrUnitType.NNR_STR and span.size_bytes > place
        if starts and self._buffer[span.byte_offset + place]:
            # The profile is in it, without which no other part could be read.
            raise self._bad_part(span, "a start unit does not come in parts")
        tree = check_header(self._buffer, span, state, self._limits, trace)
        counter = tree["partial_data_counter"]
        if self._spans and counter != self._counter - 1:
            raise self._bad_part(span, f"part {self._counter - 1} was to follow the part before")
        header = {name: value for name, value in tree.items() if name not in _VARYING}
        if self._spans and header != self._header:
            raise self._bad_part(span, "the headers of a unit's parts differ")
        self._header, self._counter = header, counter
        self._spans.append(span)
        self._payloads.append(tree["nnr_partial_unit_payload"])
        bound = self._limits.max_unit_bytes
        if bound is not None and sum(map(len, self._payloads)) + span.size_bytes > bound:
            raise LimitExceeded(
                f"the joined unit is larger than max_unit_bytes, which is {bound}",
                path=self._spans[0].path,
                bit_offset=8 * self._spans[0].byte_offset,
            )
        return self._counter == 0

    def join(self) -> tuple[bytes, PartPlaces]:
        """Return the unit as it would stand in a stream, uncut, and where its pieces come from."""
        first = self._spans[0]
        start = first.byte_offset + first.header_offset
        end = first.byte_offset + first.size_bytes - len(self._payloads[0])
        header = bytes(memoryview(self._buffer)[start:end])
        head = bytes([header[0] & ~_PART_FLAG]) + header[_TYPE_AND_COUNTER_BYTES:]
        size = size_field(len(head) + sum(map(len, self._payloads)))
        places = [
            (0, first.byte_offset),
            (len(size), start),
            (len(size) + 1, start + _TYPE_AND_COUNTER_BYTES),
        ]
        joined = len(size) + len(head)
        for span, payload in zip(self._spans, self._payloads, strict=True):
            places.append((joined, span.byte_offset + span.size_bytes - len(payload)))
            joined += len(payload)
        return b"".join([size, head, *self._payloads]), PartPlaces(tuple(places))

    def _require_counter(self, span: UnitSpan) -> None:
        if is_part(self._buffer, span) and span.size_bytes == span.header_offset + 1:
            raise _ends_too_early(span, "the unit ends before its counter")

    def _bad_part(self, span: UnitSpan, message: str) -> MalformedBitstream:
        start = span.byte_offset + span.header_offset
        return MalformedBitstream(
            message,
            path=f"{span.path}.partial_data_counter",
            bit_offset=8 * (start + is_part(self._buffer, span)),
            element="partial_data_counter",
            clause="format 2",
        )


@dataclass(frozen=True)
class PartPlaces:
    """Where the bytes of a joined unit stand in the stream: (byte of the unit, byte of the stream), ascending."""

    pieces: tuple[tuple[int, int], ...]

    def absolute(self, bit: int) -> int:
        """Return the place in the stream of a bit of the joined unit."""
        index = bisect_right(self.pieces, (bit >> 3, sys.maxsize)) - 1
        joined, placed = self.pieces[max(0, index)]
        return bit - 8 * joined + 8 * placed


@dataclass(slots=True, unsafe_hash=True)
class JoinedUnitSpan(UnitSpan):
    """The first part's place, for a unit that was joined: its size joined, and where its bytes stand."""

    joined_bytes: int = 0
    places: PartPlaces = PartPlaces(())


def join_parts(
    buffer: Any, spans: Sequence[UnitSpan], state: SyntaxState, *, limits: Limits | None = None
) -> bytes:
    """Join all parts of one unit, given in order, into the unit as it would stand in a stream, uncut.

    Raises
    ------
    BitstreamError
        As `PartJoiner.add`, and when the counters do not go down to 0.

    Clause: format 2
    """
    joiner = PartJoiner(buffer, limits)
    for span in spans:
        joiner.check_type(span, state)
        joiner.add(span, state)
    if joiner.open is not None:
        raise _ends_too_early(joiner.open, "the stream ends before the last part of a unit")
    return joiner.join()[0]


def split_unit(unit: bytes, payload_bytes: int, part_bytes: int) -> list[bytes]:
    """Cut a built unit into parts.

    Parameters
    ----------
    unit : bytes
        From `build_unit`.
    payload_bytes : int
        How much of its end is payload.
    part_bytes : int
        How much payload a part carries at most.

    Raises
    ------
    NotEncodable
        When that makes more than 256 parts.
    """
    header_offset = 4 if unit[0] & 0x80 else 2
    header, payload = unit[header_offset : len(unit) - payload_bytes], unit[len(unit) - payload_bytes :]
    pieces = [payload[start : start + part_bytes] for start in range(0, max(1, len(payload)), part_bytes)]
    if len(pieces) > 256:
        raise NotEncodable(f"a unit has at most 256 parts, not {len(pieces)}", element="partial_data_counter")
    parts = []
    for counter, piece in zip(range(len(pieces) - 1, -1, -1), pieces, strict=True):
        body = bytes([header[0] | _PART_FLAG, counter]) + header[1:] + piece
        parts.append(size_field(len(body)) + body)
    return parts


def iter_units(
    buffer: Any,
    *,
    state: SyntaxState | None = None,
    limits: Limits | None = None,
    spans: Iterable[UnitSpan] | None = None,
    traced: Callable[[UnitSpan, Trace], object] | None = None,
) -> Iterator[tuple[UnitSpan, AnyUnit, SyntaxState]]:
    """Parse all units of a stream, joining parts.

    Parameters
    ----------
    buffer : bytes-like
        The whole stream.
    state : SyntaxState, optional
        What the units before the first said.
    limits : Limits, optional
    spans : iterable of UnitSpan, optional
        The units to parse, instead of all.
    traced : callable, optional
        Receives the trace of each unit, and of each part before it is joined. The units are then read with the grammar
        itself instead of the faster generated parser.

    Yields
    ------
    UnitSpan
        Where the unit is; a `JoinedUnitSpan` for a joined one.
    Unit
    SyntaxState
        What was known before the unit.
    """
    state = state or SyntaxState()
    joiner: PartJoiner | None = None
    for span in iter_unit_spans(buffer, limits) if spans is None else spans:
        joins = is_part(buffer, span) and span.nnr_unit_type < NnrUnitType.NNR_AGG
        trace = None if traced is None else Trace()
        if joiner is None and not joins:
            unit = parse_unit(buffer, span, state, trace, limits=limits)
            if traced is not None and trace is not None:
                traced(span, trace)
        else:
            joiner = joiner or PartJoiner(buffer, limits)
            joiner.check_type(span, state)
            is_last = joiner.add(span, state, trace)
            if traced is not None and trace is not None:
                traced(span, trace)
            if not is_last:
                continue
            octets, places = joiner.join()
            first, joiner = joiner.first, None
            inner = UnitSpan(first.index, 0, len(octets), span.nnr_unit_type, 4 if octets[0] & 0x80 else 2)
            try:
                unit = parse_unit(octets, inner, state, limits=limits, stream_bytes=memoryview(buffer).nbytes)
            except BitstreamError as error:
                error.bit_offset = None if error.bit_offset is None else places.absolute(error.bit_offset)
                raise
            span = JoinedUnitSpan(first.index, first.byte_offset, first.size_bytes, first.nnr_unit_type,
                                  first.header_offset, len(octets), places)  # fmt: skip
        yield span, unit, state
        state = state.after(unit)
    if joiner is not None and joiner.open is not None:
        raise _ends_too_early(joiner.open, "the stream ends before the last part of a unit")


def _ends_too_early(last: UnitSpan, message: str) -> TruncatedBitstream:
    return TruncatedBitstream(
        message,
        path=f"{last.path}.partial_data_counter",
        bit_offset=8 * (last.byte_offset + last.size_bytes),
        element="partial_data_counter",
        clause="format 2",
    )
