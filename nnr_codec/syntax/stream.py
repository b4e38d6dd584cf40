# SPDX-License-Identifier: Apache-2.0
"""The stream of units: found by their sizes, without looking inside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from nnr_codec.errors import LimitExceeded, MalformedBitstream, NotEncodable, TruncatedBitstream
from nnr_codec.model import Limits, NnrUnitType


@dataclass(slots=True, unsafe_hash=True)
class UnitSpan:
    """Where a unit is. Nobody changes it; it is not frozen because there is one for each tensor, as with `SyntaxState`.

    Attributes
    ----------
    index : int
        0 for the first unit.
    byte_offset, size_bytes : int
        Its place in the stream; the size includes the size field.
    nnr_unit_type : int
        0..63.
    header_offset : int
        Bytes of the size field, behind which the header starts: 2 or 4.
    """

    index: int
    byte_offset: int
    size_bytes: int
    nnr_unit_type: int
    header_offset: int = 2

    @property
    def path(self) -> str:
        """The unit's path, ``nnr_unit[3]``."""
        return f"nnr_unit[{self.index}]"


def iter_unit_spans(
    buffer: Any, limits: Limits | None = None, *, start: int = 0, end: int | None = None, index: int = 0
) -> Iterator[UnitSpan]:
    """Go through the units by their sizes.

    Parameters
    ----------
    buffer : bytes-like
        The whole stream; a memory map is only touched at the first bytes of units.
    limits : Limits, optional
    start, end : int
        Bytes between which to look, where it is known that units start and end there.
    index : int
        The number of the unit at `start`.

    Yields
    ------
    UnitSpan

    Raises
    ------
    TruncatedBitstream
        When a unit reaches beyond the buffer.
    MalformedBitstream
        When a unit is smaller than its own size field and type, or the stream is empty.
    LimitExceeded
        For max_stream_bytes, max_units and max_unit_bytes.

    Clause: format 2
    """
    limits = limits or Limits()
    view = memoryview(buffer).cast("B")
    _limit(len(view), limits.max_stream_bytes, "max_stream_bytes", "nnr_bitstream", 0)
    end = len(view) if end is None else end
    if end == 0:
        raise MalformedBitstream("the stream is empty", path="nnr_bitstream", bit_offset=0, clause="format 2")
    _check_count(view, start, end, limits)
    offset = start
    max_units = end if limits.max_units is None else limits.max_units
    max_unit_bytes = end if limits.max_unit_bytes is None else limits.max_unit_bytes
    while offset < end:
        field_bytes = 4 if view[offset] & 0x80 else 2
        size = int.from_bytes(view[offset : offset + field_bytes], "big")
        size &= (1 << (8 * field_bytes - 1)) - 1  # without nnr_unit_size_flag
        fits = offset + field_bytes <= end and field_bytes < size <= end - offset
        if not fits or index >= max_units or size > max_unit_bytes:
            _refuse(index, offset, end, field_bytes, size, limits)
        yield UnitSpan(index, offset, size, view[offset + field_bytes] >> 2, field_bytes)
        offset += size
        index += 1


def _refuse(index: int, offset: int, end: int, field_bytes: int, size: int, limits: Limits) -> NoReturn:
    path = f"nnr_unit[{index}]"
    if offset + field_bytes > end:
        raise TruncatedBitstream(
            f"a unit's size takes {field_bytes} bytes and {end - offset} are left",
            path=f"{path}.nnr_unit_size",
            bit_offset=8 * offset + 1,
            element="nnr_unit_size",
            clause="format 2",
        )
    if size <= field_bytes:
        raise MalformedBitstream(
            f"nnr_unit_size is {size}, less than the unit's own header",
            path=f"{path}.nnr_unit_size",
            bit_offset=8 * offset + 1,
            element="nnr_unit_size",
            clause="format 2",
        )
    _limit(index + 1, limits.max_units, "max_units", path, 8 * offset)
    _limit(size, limits.max_unit_bytes, "max_unit_bytes", path, 8 * offset)
    raise TruncatedBitstream(
        f"nnr_unit_size is {size} and {end - offset} bytes are left",
        path=f"{path}.nnr_unit_size",
        bit_offset=8 * offset + 1,
        element="nnr_unit_size",
        clause="format 2",
    )


def _check_count(view: memoryview, start: int, end: int, limits: Limits) -> None:
    """Refuse a stream of too many units before the walk over them, ten times faster than that."""
    bound = limits.max_units
    largest = end if limits.max_unit_bytes is None else limits.max_unit_bytes
    # A unit has 3 bytes at least: most streams cannot hold too many.
    if bound is None or end - start <= 3 * bound:
        return
    offset = start
    for count in range(bound + 1):
        if offset + 4 > end:
            return
        size, field_bytes = view[offset] << 8 | view[offset + 1], 2
        if size & 0x8000:
            size, field_bytes = int.from_bytes(view[offset : offset + 4], "big") & 0x7FFFFFFF, 4
        if size <= field_bytes or size > largest:
            return  # the walk tells what is wrong
        if count == bound:
            _limit(count + 1, bound, "max_units", f"nnr_unit[{count}]", 8 * offset)
        offset += size


def quick_name(buffer: Any, span: UnitSpan) -> bytes | None:
    """Read the name of a unit's only tensor, without the grammar: a hundred times faster, to look for one.

    Returns
    -------
    bytes or None
        None when it takes the grammar to tell: another type of unit, several tensors, a part of a unit, a
        name that does not end. In a stream that refers to its tensors by index the answer means nothing.

    Clause: format 3
    """
    start = span.byte_offset + span.header_offset
    end = span.byte_offset + span.size_bytes
    if span.nnr_unit_type != NnrUnitType.NNR_NDU or start + 2 >= end:
        return None
    # partial_data_counter_present_flag, and nnr_multiple_topology_elements_present_flag.
    if buffer[start] & 0x01 or buffer[start + 1] & 0x04:
        return None
    reach = 64
    while True:
        head = bytes(buffer[start + 2 : min(end, start + 2 + reach)])
        length = head.find(0)
        if length >= 0:
            return head[:length]
        if start + 2 + reach >= end:
            return None
        reach *= 8


def size_field(n_bytes: int) -> bytes:
    """Return the size field that goes before ``n_bytes`` of header and payload; the short one where it
    suffices.

    Clause: format 2
    """
    if n_bytes + 2 < 1 << 15:
        return (n_bytes + 2).to_bytes(2, "big")
    if n_bytes + 4 >= 1 << 31:
        raise NotEncodable("a unit has less than 2 GiB", element="nnr_unit_size", clause="format 2")
    return (n_bytes + 4 | 1 << 31).to_bytes(4, "big")


def _limit(value: int, bound: int | None, name: str, path: str, bit_offset: int) -> None:
    if bound is not None and value > bound:
        raise LimitExceeded(
            f"{value} is beyond {name}, which is {bound}",
            path=path,
            bit_offset=bit_offset,
            element="nnr_unit_size",
        )
