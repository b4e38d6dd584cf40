# SPDX-License-Identifier: Apache-2.0
"""Iteration over the units of a stream by their size fields, without parsing them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from nnr_codec.errors import LimitExceeded, MalformedBitstream, NotEncodable, TruncatedBitstream
from nnr_codec.model import Limits


@dataclass(slots=True, unsafe_hash=True)
class UnitSpan:
    """Position of a unit in its stream. Treat it as immutable; it is not frozen for speed, like `SyntaxState`.

    Attributes
    ----------
    index : int
        Index of the unit; 0 for the first unit.
    byte_offset, size_bytes : int
        Position and size in the stream, including the size field.
    nnr_unit_type : int
        0..63.
    header_offset : int
        Size of the size field, in bytes: 2 or 4. The unit header follows it.
    """

    index: int
    byte_offset: int
    size_bytes: int
    nnr_unit_type: int
    header_offset: int = 2

    @property
    def path(self) -> str:
        """Path of the unit, such as ``nnr_unit[3]``."""
        return f"nnr_unit[{self.index}]"


def iter_unit_spans(
    buffer: Any, limits: Limits | None = None, *, start: int = 0, end: int | None = None, index: int = 0
) -> Iterator[UnitSpan]:
    """Yield the span of each unit.

    Parameters
    ----------
    buffer : bytes-like
        The whole stream. Only the first bytes of each unit are read, so a memory map loads few pages.
    limits : Limits, optional
    start, end : int
        Range of bytes; both must be unit boundaries. By default the whole stream.
    index : int
        Index of the unit at `start`.

    Yields
    ------
    UnitSpan

    Raises
    ------
    TruncatedBitstream
        A unit extends beyond the buffer.
    MalformedBitstream
        A unit is smaller than its size field and header, or the stream is empty.
    LimitExceeded
        The stream exceeds max_stream_bytes, max_units or max_unit_bytes.

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
        size &= (1 << (8 * field_bytes - 1)) - 1  # remove nnr_unit_size_flag
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
    """Raise for a stream of too many units. This loop is ten times as fast as the iteration over spans."""
    bound = limits.max_units
    largest = end if limits.max_unit_bytes is None else limits.max_unit_bytes
    # A unit has at least 3 bytes, so most streams are too short for too many units.
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
            return  # the iteration raises the error
        if count == bound:
            _limit(count + 1, bound, "max_units", f"nnr_unit[{count}]", 8 * offset)
        offset += size


def size_field(n_bytes: int) -> bytes:
    """Return the size field of a unit with ``n_bytes`` of header and payload, in the shortest form.

    Raises
    ------
    NotEncodable
        The unit would have 2 GiB or more.

    Clause: format 2
    """
    if n_bytes + 2 < 1 << 15:
        return (n_bytes + 2).to_bytes(2, "big")
    if n_bytes + 4 >= 1 << 31:
        raise NotEncodable("a unit must be smaller than 2 GiB", element="nnr_unit_size", clause="format 2")
    return (n_bytes + 4 | 1 << 31).to_bytes(4, "big")


def _limit(value: int, bound: int | None, name: str, path: str, bit_offset: int) -> None:
    if bound is not None and value > bound:
        raise LimitExceeded(
            f"{value} exceeds {name}, which is {bound}",
            path=path,
            bit_offset=bit_offset,
            element="nnr_unit_size",
        )
