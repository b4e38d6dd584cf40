# SPDX-License-Identifier: Apache-2.0
"""Units cut into parts.

The format says only that ``partial_data_counter`` is the number of parts still to come. Here, every part
repeats the
headers of the unit and carries the next piece of its payload; the parts of a unit follow each other, and
their
counters go down by one to 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nnr_codec.errors import LimitExceeded, MalformedBitstream, NotEncodable, TruncatedBitstream
from nnr_codec.model import AnyUnit, Limits
from nnr_codec.syntax.state import SyntaxState
from nnr_codec.syntax.stream import UnitSpan, iter_unit_spans, size_field
from nnr_codec.syntax.walk import parse_tree, parse_unit

_PART_FLAG = 1
_TYPE_AND_COUNTER_BYTES = 2
_VARYING = ("nnr_unit_size_flag", "nnr_unit_size", "partial_data_counter", "nnr_partial_unit_payload")


def is_part(buffer: Any, span: UnitSpan) -> bool:
    """Tell whether a unit is a part, by its first byte behind the size."""
    return bool(buffer[span.byte_offset + span.header_offset] & _PART_FLAG)


def _counter(buffer: Any, span: UnitSpan) -> int:
    if span.size_bytes < span.header_offset + _TYPE_AND_COUNTER_BYTES:
        raise _bad_part(span, "the unit ends before its partial_data_counter")
    return int(buffer[span.byte_offset + span.header_offset + 1])


def join_parts(
    buffer: Any, spans: Sequence[UnitSpan], state: SyntaxState, *, limits: Limits | None = None
) -> bytes:
    """Join the parts of a unit into the unit.

    Parameters
    ----------
    buffer : bytes-like
        The whole stream.
    spans : sequence of UnitSpan
        All parts of one unit, in order.
    state : SyntaxState
        What the units before said.

    Returns
    -------
    bytes
        The unit as it would stand in a stream, uncut.

    Raises
    ------
    MalformedBitstream
        When the counters do not go down to 0 or the headers differ.
    LimitExceeded
        When the unit would be larger than max_unit_bytes.

    Clause: format 2
    """
    limits = limits or Limits()
    trees = [parse_tree(buffer, span, state, limits=limits, strict=True) for span in spans]
    expected = {name: value for name, value in trees[0].items() if name not in _VARYING}
    for span, tree, counter in zip(spans, trees, range(len(spans) - 1, -1, -1), strict=True):
        if tree.get("partial_data_counter") != counter:
            raise _bad_part(span, f"{counter} parts follow, and the counter says otherwise")
        if {name: value for name, value in tree.items() if name not in _VARYING} != expected:
            raise _bad_part(span, "the headers of a unit's parts differ")
    first = spans[0]
    start = first.byte_offset + first.header_offset
    payload_bytes = len(trees[0]["nnr_partial_unit_payload"])
    header = bytes(memoryview(buffer)[start : first.byte_offset + first.size_bytes - payload_bytes])
    size = len(header) - 1 + sum(len(tree["nnr_partial_unit_payload"]) for tree in trees)
    bound = limits.max_unit_bytes
    if bound is not None and size + 4 > bound:
        raise LimitExceeded(
            f"the joined unit is larger than max_unit_bytes, which is {bound}",
            path=first.path,
            bit_offset=8 * first.byte_offset,
        )
    head = bytes([header[0] & ~_PART_FLAG]) + header[_TYPE_AND_COUNTER_BYTES:]
    return b"".join([size_field(size), head, *(tree["nnr_partial_unit_payload"] for tree in trees)])


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

    Yields
    ------
    UnitSpan
        Where the unit is; the first part's for a joined one.
    Unit
        In a joined unit, errors give positions from the joined unit's first bit.
    SyntaxState
        What was known before the unit.
    """
    state = state or SyntaxState()
    parts: list[UnitSpan] = []
    for span in iter_unit_spans(buffer, limits) if spans is None else spans:
        if is_part(buffer, span):
            counter = _counter(buffer, span)
            if parts and counter != _counter(buffer, parts[-1]) - 1:
                raise _bad_part(
                    span, f"partial_data_counter is {counter} and does not follow the part before"
                )
            parts.append(span)
            if counter:
                continue
            octets = join_parts(buffer, parts, state, limits=limits)
            span = UnitSpan(parts[0].index, 0, len(octets), span.nnr_unit_type, 4 if octets[0] & 0x80 else 2)
            unit = parse_unit(octets, span, state, limits=limits, stream_bytes=memoryview(buffer).nbytes)
            span, parts = parts[0], []
        elif parts:
            raise _bad_part(span, "a unit comes before the last part of the one before")
        else:
            unit = parse_unit(buffer, span, state, limits=limits)
        yield span, unit, state
        state = state.after(unit)
    if parts:
        end = 8 * (parts[-1].byte_offset + parts[-1].size_bytes)
        raise TruncatedBitstream(
            "the stream ends before the last part of a unit",
            path=f"{parts[-1].path}.partial_data_counter",
            bit_offset=end,
            element="partial_data_counter",
            clause="format 2",
        )


def _bad_part(span: UnitSpan, message: str) -> MalformedBitstream:
    return MalformedBitstream(
        message,
        path=f"{span.path}.partial_data_counter",
        bit_offset=8 * (span.byte_offset + span.header_offset + 1),
        element="partial_data_counter",
        clause="format 2",
    )
