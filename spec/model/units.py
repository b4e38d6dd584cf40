# SPDX-License-Identifier: Apache-2.0
"""2 Stream and units: the frame of a unit, and the joining of parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .descriptors import BitReader, Field
from .errors import Malformed, Truncated

NNR_STR, NNR_MPS, NNR_LPS, NNR_TPL, NNR_QNT, NNR_NDU, NNR_AGG = range(7)
UNIT_NAMES = ("NNR_STR", "NNR_MPS", "NNR_LPS", "NNR_TPL", "NNR_QNT", "NNR_NDU", "NNR_AGG")


@dataclass(frozen=True)
class Unit:
    """Frame of a unit, and a reader at the header of its type."""

    index: int
    first_byte: int
    size: int
    nnr_unit_type: int
    independently_decodable_flag: bool
    partial_data_counter: int | None
    reader: BitReader

    @property
    def path(self) -> str:
        """Prefix of the paths of all elements of the unit."""
        return f"nnr_unit[{self.index}]"


def iterate_units(
    stream: bytes, check_order: Callable[[int, int, BitReader], None], log: list[Field] | None = None
) -> Iterator[Unit]:
    """Yield the units of a stream.

    Parameters
    ----------
    check_order : callable
        Receives the index, the type and the reader of a unit before the rest of its frame is read.

    Raises
    ------
    Malformed, Truncated
        When the stream is empty, or a size does not fit its frame or the stream.

    Clause: 2.1, 2.2
    """
    byte_offset, index = 0, 0
    if not stream:
        raise Malformed("an empty stream", path="nnr_unit[0]", bit_offset=0, clause="2.1")
    while byte_offset < len(stream):
        path = f"nnr_unit[{index}]"
        frame = BitReader(stream[byte_offset : byte_offset + 4], path, [(0, byte_offset)], log)
        long_form = frame.flag("nnr_unit_size_flag")
        size = frame.u(31 if long_form else 15, "nnr_unit_size")
        size_bytes = frame.position // 8
        if size < size_bytes + 1:
            raise frame.malformed("a unit smaller than its own frame", "nnr_unit_size", 1, "2.2")
        if byte_offset + size > len(stream):
            raise Truncated(
                f"the unit's last {byte_offset + size - len(stream)} bytes are missing",
                path=f"{path}.nnr_unit_size",
                bit_offset=8 * byte_offset + 1,
                clause="2.2",
            )
        content = stream[byte_offset + size_bytes : byte_offset + size]
        reader = BitReader(content, path, [(0, byte_offset + size_bytes)], log)
        nnr_unit_type = reader.u(6, "nnr_unit_type")
        check_order(index, nnr_unit_type, reader)
        independent = reader.flag("independently_decodable_flag")
        partial = reader.flag("partial_data_counter_present_flag")
        counter = reader.u(8, "partial_data_counter") if partial else None
        yield Unit(index, byte_offset, size, nnr_unit_type, independent, counter, reader)
        byte_offset += size
        index += 1


class PartJoiner:
    """Joiner of parts.

    Every part repeats the header of its type, bit for bit. The counter decreases by one to 0 at the last part. No
    other unit stands between the parts.

    Clause: 2.4
    """

    def __init__(self) -> None:
        self.open: Unit | None = None
        self.header = b""
        self.payload = b""
        self.origin: list[tuple[int, int]] = []

    def add(self, unit: Unit, header_end: int) -> BitReader | None:
        """Add a unit whose type header ends at bit ``header_end``; return the joined payload when it is complete."""
        reader = unit.reader
        counter = unit.partial_data_counter or 0
        header_start = 16 if unit.partial_data_counter is not None else 8
        header = reader.source[header_start // 8 : header_end // 8]
        payload = reader.source[header_end // 8 :]
        payload_byte = reader.absolute(header_end) // 8
        if self.open is None:
            self.header, self.payload, self.origin = header, payload, [(0, payload_byte)]
        else:
            expected = (self.open.partial_data_counter or 0) - 1
            if unit.nnr_unit_type != self.open.nnr_unit_type or unit.partial_data_counter != expected:
                raise self._broken(unit, f"part {expected} of {self.open.path} was expected")
            if header != self.header:
                raise self._broken(unit, "the header differs from the first part's")
            self.origin.append((len(self.payload), payload_byte))
            self.payload += payload
        self.open = unit if counter else None
        if counter:
            return None
        return BitReader(self.payload, unit.path, self.origin, reader.log)

    def expect_closed(self, stream_bytes: int) -> None:
        """Reject a stream that ends between parts."""
        if self.open is not None:
            raise Truncated(
                "the stream ends before the unit's last part",
                path=self.open.path,
                bit_offset=8 * stream_bytes,
                clause="2.4",
            )

    def expects(self, unit: Unit) -> None:
        """Reject a unit of another type between parts, before its header is read."""
        if self.open is not None and unit.nnr_unit_type != self.open.nnr_unit_type:
            raise self._broken(unit, f"another unit between the parts of {self.open.path}")

    @staticmethod
    def _broken(unit: Unit, message: str) -> Malformed:
        position = 0 if unit.partial_data_counter is None else 8
        return unit.reader.malformed(message, "partial_data_counter", position, "2.4")
