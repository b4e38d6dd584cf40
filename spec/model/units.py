# SPDX-License-Identifier: Apache-2.0
"""2 Stream and units: the frame of every unit, and the joining of partial ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .descriptors import BitReader, Field
from .errors import Malformed, Truncated

NNR_STR, NNR_MPS, NNR_LPS, NNR_TPL, NNR_QNT, NNR_NDU, NNR_AGG = range(7)
UNIT_NAMES = ("NNR_STR", "NNR_MPS", "NNR_LPS", "NNR_TPL", "NNR_QNT", "NNR_NDU", "NNR_AGG")


@dataclass(frozen=True)
class Unit:
    """A unit: its frame, and a reader that stands at the header of the unit's own type."""

    index: int
    first_byte: int
    size: int
    nnr_unit_type: int
    independently_decodable_flag: bool
    partial_data_counter: int | None
    reader: BitReader

    @property
    def path(self) -> str:
        """The path of everything in the unit starts with this."""
        return f"nnr_unit[{self.index}]"


def iterate_units(
    stream: bytes, check_order: Callable[[int, int, BitReader], None], log: list[Field] | None = None
) -> Iterator[Unit]:
    """2.1 The units of a stream, one behind the other to the last byte.

    ``check_order`` is called with each unit's index, type and reader before the rest of the frame is read.
    """
    first, index = 0, 0
    if not stream:
        raise Malformed("an empty stream", path="nnr_unit[0]", bit_offset=0, clause="2.1")
    while first < len(stream):
        path = f"nnr_unit[{index}]"
        frame = BitReader(stream[first : first + 4], path, [(0, first)], log)
        long_form = frame.flag("nnr_unit_size_flag")
        size = frame.u(31 if long_form else 15, "nnr_unit_size")
        size_bytes = frame.position // 8
        if size < size_bytes + 1:
            raise frame.malformed("a unit smaller than its own frame", "nnr_unit_size", 1, "2.2")
        if first + size > len(stream):
            raise Truncated(
                f"the unit's last {first + size - len(stream)} bytes are missing",
                path=f"{path}.nnr_unit_size",
                bit_offset=8 * first + 1,
                clause="2.2",
            )
        content = stream[first + size_bytes : first + size]
        reader = BitReader(content, path, [(0, first + size_bytes)], log)
        nnr_unit_type = reader.u(6, "nnr_unit_type")
        check_order(index, nnr_unit_type, reader)
        independent = reader.flag("independently_decodable_flag")
        partial = reader.flag("partial_data_counter_present_flag")
        counter = reader.u(8, "partial_data_counter") if partial else None
        yield Unit(index, first, size, nnr_unit_type, independent, counter, reader)
        first += size
        index += 1


class PartJoiner:
    """2.4 Joins the payloads of partial units.

    Every part repeats the header of its type, bit for bit; the counter falls by one to 0 at the last part;
    nothing stands between the parts.
    """

    def __init__(self) -> None:
        self.open: Unit | None = None
        self.header = b""
        self.payload = b""
        self.origin: list[tuple[int, int]] = []

    def add(self, unit: Unit, header_end: int) -> BitReader | None:
        """Take a unit whose type header ends at bit ``header_end``; return its whole payload, if complete."""
        reader = unit.reader
        counter = unit.partial_data_counter or 0
        header_start = 16 if unit.partial_data_counter is not None else 8
        header = reader.source[header_start // 8 : header_end // 8]
        payload = reader.source[header_end // 8 :]
        place = reader.absolute(header_end) // 8
        if self.open is None:
            self.header, self.payload, self.origin = header, payload, [(0, place)]
        else:
            expected = (self.open.partial_data_counter or 0) - 1
            if unit.nnr_unit_type != self.open.nnr_unit_type or unit.partial_data_counter != expected:
                raise self._broken(unit, f"part {expected} of {self.open.path} was expected")
            if header != self.header:
                raise self._broken(unit, "the header differs from the first part's")
            self.origin.append((len(self.payload), place))
            self.payload += payload
        self.open = unit if counter else None
        if counter:
            return None
        return BitReader(self.payload, unit.path, self.origin, reader.log)

    def expect_closed(self, stream_bytes: int) -> None:
        """Turn down a stream that ends between parts."""
        if self.open is not None:
            raise Truncated(
                "the stream ends before the unit's last part",
                path=self.open.path,
                bit_offset=8 * stream_bytes,
                clause="2.4",
            )

    def expects(self, unit: Unit) -> None:
        """Turn down a unit of another type between parts, before its header is read."""
        if self.open is not None and unit.nnr_unit_type != self.open.nnr_unit_type:
            raise self._broken(unit, f"another unit between the parts of {self.open.path}")

    @staticmethod
    def _broken(unit: Unit, message: str) -> Malformed:
        place = 0 if unit.partial_data_counter is None else 8
        return unit.reader.malformed(message, "partial_data_counter", place, "2.4")
