# SPDX-License-Identifier: Apache-2.0
"""Joining and splitting of units that are sent in parts.

The format defines ``partial_data_counter`` as the number of parts that follow, and no more. This implementation requires that
every part repeats the headers of the unit and holds the next piece of its payload, that the parts of a unit are consecutive,
and that their counters decrease by one to 0.
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
    error_place,
)
from nnr_codec.model import AnyUnit, Limits, NnrUnitType
from nnr_codec.syntax.grammar import Tree
from nnr_codec.syntax.state import SyntaxState
from nnr_codec.syntax.stream import UnitSpan, iter_unit_spans, size_field
from nnr_codec.syntax.trace import Trace
from nnr_codec.syntax.walk import check_header, parse_unit

_PART_FLAG = 1
_TYPE_AND_COUNTER_BYTES = 2
# Elements that may differ between the parts of a unit.
_VARYING = (
    "nnr_unit_size_flag",
    "nnr_unit_size",
    "independently_decodable_flag",
    "partial_data_counter",
    "nnr_partial_unit_payload",
)


#: Bytes of the header of each unit type that has one of fixed size.
_HEADER_BYTES: dict[int, int] = {NnrUnitType.NNR_LPS: 1, NnrUnitType.NNR_TPL: 2, NnrUnitType.NNR_QNT: 2}


def is_part(buffer: Any, span: UnitSpan) -> bool:
    """Return True if a unit is a part, from the first byte after its size field."""
    return bool(buffer[span.byte_offset + span.header_offset] & _PART_FLAG)


class PartJoiner:
    """Collector of the parts of one unit, in stream order. Each part is checked when it is added.

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
        """The last part added, if more parts must follow; otherwise None."""
        return self._spans[-1] if self._spans and self._counter else None

    def check_type(self, span: UnitSpan, state: SyntaxState) -> None:
        """Check that a unit of this type is allowed at this point of the stream.

        Raises
        ------
        MalformedBitstream
            The type is not allowed at this point of the stream, or not between these parts.
        TruncatedBitstream
            The type is not allowed between these parts, and the unit ends before its counter.
        """
        bit_offset = 8 * (span.byte_offset + span.header_offset)
        with error_place(path=f"{span.path}.nnr_unit_type", bit_offset=bit_offset):
            in_data = self.open is not None and self.open.nnr_unit_type == NnrUnitType.NNR_NDU
            replace(state, data_seen=state.data_seen or in_data).check_order(span.nnr_unit_type)
        if self.open is not None and span.nnr_unit_type != self._spans[0].nnr_unit_type:
            self._require_counter(span)
            raise self._bad_part(span, "a unit of another type interrupts the parts of a unit")

    def _check_header_of_whole_unit(self, span: UnitSpan, state: SyntaxState) -> None:
        """Check a header, which precedes the missing counter in the order of faults; the payload is not checked.

        Clause: format 7.4
        """
        n_bytes = _HEADER_BYTES.get(span.nnr_unit_type)
        is_data = span.nnr_unit_type == NnrUnitType.NNR_NDU
        if n_bytes is None and not is_data:
            return
        try:
            check_header(self._buffer, span, state, self._limits)
        except BitstreamError as error:
            payload_bit = 8 * (span.byte_offset + span.header_offset + 1 + (n_bytes or 0))
            if is_data or error.bit_offset is None or error.bit_offset < payload_bit:
                raise

    def add(self, span: UnitSpan, state: SyntaxState, trace: Trace | None = None) -> bool:
        """Take a part; tells whether it is the last.

        ``trace`` receives the part's elements.

        Raises
        ------
        BitstreamError
            The header is wrong or differs from that of the first part, or the counter is not one less than before.
        LimitExceeded
            The joined unit is larger than max_unit_bytes.
        """
        if not is_part(self._buffer, span):
            self._check_header_of_whole_unit(span, state)
            raise self._bad_part(span, "a whole unit interrupts the parts of a unit")
        place = span.header_offset + 1
        starts = span.nnr_unit_type == NnrUnitType.NNR_STR and span.size_bytes > place
        if starts and self._buffer[span.byte_offset + place]:
            # The syntax of parts depends on the profile, which the start unit holds.
            raise self._bad_part(span, "a start unit cannot be sent in parts")
        tree = check_header(self._buffer, span, state, self._limits, trace)
        counter = tree["partial_data_counter"]
        if self._spans and counter != self._counter - 1:
            raise self._bad_part(span, f"partial_data_counter is {counter}, not {self._counter - 1}")
        header = {name: value for name, value in tree.items() if name not in _VARYING}
        if self._spans and header != self._header:
            raise self._bad_part(span, "the parts of a unit have different headers")
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
        """Return the unit as if it had not been split, and the positions of its pieces."""
        span = self._spans[0]
        start = span.byte_offset + span.header_offset
        end = span.byte_offset + span.size_bytes - len(self._payloads[0])
        part_header = bytes(memoryview(self._buffer)[start:end])
        header = bytes([part_header[0] & ~_PART_FLAG]) + part_header[_TYPE_AND_COUNTER_BYTES:]
        size = size_field(len(header) + sum(map(len, self._payloads)))
        places = [
            (0, span.byte_offset),
            (len(size), start),
            (len(size) + 1, start + _TYPE_AND_COUNTER_BYTES),
        ]
        joined = len(size) + len(header)
        for span, payload in zip(self._spans, self._payloads, strict=True):
            places.append((joined, span.byte_offset + span.size_bytes - len(payload)))
            joined += len(payload)
        return b"".join([size, header, *self._payloads]), PartPlaces(tuple(places))

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
    """Map from positions in a joined unit to positions in the stream.

    Attributes
    ----------
    pieces : tuple of (int, int)
        Start of each piece: byte in the unit, byte in the stream; ascending.
    """

    pieces: tuple[tuple[int, int], ...]

    def absolute(self, bit: int) -> int:
        """Return the position in the stream of a bit of the joined unit."""
        index = bisect_right(self.pieces, (bit >> 3, sys.maxsize)) - 1
        unit_byte, stream_byte = self.pieces[max(0, index)]
        return bit - 8 * unit_byte + 8 * stream_byte


@dataclass(slots=True, unsafe_hash=True)
class JoinedUnitSpan(UnitSpan):
    """Span of the first part of a joined unit, with the joined size and the positions of its bytes."""

    joined_bytes: int = 0
    places: PartPlaces = PartPlaces(())


def join_parts(
    buffer: Any, spans: Sequence[UnitSpan], state: SyntaxState, *, limits: Limits | None = None
) -> bytes:
    """Join all parts of one unit, in stream order, into an unsplit unit.

    Raises
    ------
    BitstreamError
        See `PartJoiner.add`; also if the last counter is not 0.

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
    """Split a built unit into parts.

    Parameters
    ----------
    unit : bytes
        Result of `build_unit`.
    payload_bytes : int
        Size of the payload at the end of the unit.
    part_bytes : int
        Largest size of the payload of a part.

    Returns
    -------
    list of bytes

    Raises
    ------
    NotEncodable
        There would be more than 256 parts.
    """
    header_offset = 4 if unit[0] & 0x80 else 2
    header, payload = unit[header_offset : len(unit) - payload_bytes], unit[len(unit) - payload_bytes :]
    pieces = [payload[start : start + part_bytes] for start in range(0, max(1, len(payload)), part_bytes)]
    if len(pieces) > 256:
        raise NotEncodable(
            f"a unit must have at most 256 parts, not {len(pieces)}", element="partial_data_counter"
        )
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
        State before the first unit.
    limits : Limits, optional
    spans : iterable of UnitSpan, optional
        The units to parse, instead of all.
    traced : callable, optional
        Receives the trace of each unit, and of each part before it is joined. The units are then read with the grammar
        itself instead of the faster generated parser.

    Yields
    ------
    UnitSpan
        Position of the unit; a `JoinedUnitSpan` for a joined unit.
    Unit
    SyntaxState
        State before the unit.
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
