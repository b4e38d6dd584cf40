# SPDX-License-Identifier: Apache-2.0
"""1 Descriptors: values as bits."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .errors import Limit, Malformed, Truncated

# 1.2: syntax elements have at most 32 bits, apart from the class bit mask.
LARGEST_UE = (1 << 32) - 1


@dataclass(frozen=True)
class Field:
    """Syntax element that was read; ``bit_offset`` counts from the stream's first bit."""

    path: str
    descriptor: str
    bit_offset: int
    n_bits: int
    value: object


class BitReader:
    """Reader of descriptors, most significant bit first.

    Parameters
    ----------
    source : bytes
        Content of the container.
    path : str
        Prefix of the elements' paths.
    origin : list of (int, int)
        Start of each piece of ``source``, ascending: its byte offset in ``source`` and its byte offset in the stream.
    log : list of Field, optional
        Receives every element that is read.
    """

    def __init__(
        self, source: bytes, path: str, origin: list[tuple[int, int]], log: list[Field] | None = None
    ) -> None:
        self.source = source
        self.path = path
        self.origin = origin
        self.log = log
        self.position = 0  # bits from the start of source
        self.end = 8 * len(source)

    def absolute(self, position: int) -> int:
        """Convert a bit position in ``source`` to a bit offset in the stream."""
        source_byte, stream_byte = self.origin[0]
        for piece_source, piece_stream in self.origin:
            if 8 * piece_source <= position:
                source_byte, stream_byte = piece_source, piece_stream
        return position - 8 * source_byte + 8 * stream_byte

    def malformed(self, message: str, element: str, position: int, clause: str) -> Malformed:
        """Return a Malformed error at bit ``position`` of ``source``."""
        return Malformed(
            message, path=f"{self.path}.{element}", bit_offset=self.absolute(position), clause=clause
        )

    def limit(self, message: str, element: str, position: int) -> Limit:
        """Return a Limit error at bit ``position`` of ``source``."""
        return Limit(message, path=f"{self.path}.{element}", bit_offset=self.absolute(position), clause="7.3")

    def _note(self, element: str, descriptor: str, start: int, value: object) -> None:
        if self.log is not None:
            self.log.append(
                Field(
                    f"{self.path}.{element}", descriptor, self.absolute(start), self.position - start, value
                )
            )

    def _bits(self, count: int, element: str, start: int) -> int:
        """Read ``count`` bits as an unsigned integer, for the element that begins at bit ``start``."""
        stop = self.position + count
        if stop > self.end:
            raise Truncated(
                f"{stop - self.end} bits of {element} are missing",
                path=f"{self.path}.{element}",
                bit_offset=self.absolute(start),
                clause="1",
            )
        begin_byte, end_byte = self.position >> 3, (stop + 7) >> 3
        whole = int.from_bytes(self.source[begin_byte:end_byte], "big")
        self.position = stop
        return (whole >> (8 * end_byte - stop)) & ((1 << count) - 1)

    # 1.1 fixed lengths

    def u(self, count: int, element: str) -> int:
        """Read u(count)."""
        start = self.position
        value = self._bits(count, element, start)
        self._note(element, f"u({count})", start, value)
        return value

    def flag(self, element: str) -> bool:
        """Read u(1)."""
        return self.u(1, element) == 1

    def i(self, count: int, element: str) -> int:
        """Read i(count), two's complement."""
        start = self.position
        value = self._bits(count, element, start)
        if value >> (count - 1):
            value -= 1 << count
        self._note(element, f"i({count})", start, value)
        return value

    def flt32(self, element: str) -> float:
        """Read flt(32): four groups of 8 bits, the least significant byte first."""
        start = self.position
        pattern = self._bits(32, element, start).to_bytes(4, "big")
        value = float(struct.unpack("<f", pattern)[0])
        # A Python float does not preserve every NaN: log the pattern where it would change.
        exact = struct.pack("<f", value) == pattern
        self._note(element, "flt(32)", start, value if exact else pattern)
        return value

    def reserved_zero(self, count: int, clause: str) -> None:
        """Read u(count), which shall be 0."""
        name = f"nnr_reserved_zero_{count}bit{'s' if count > 1 else ''}"
        start = self.position
        if self.u(count, name) != 0:
            raise self.malformed(f"{name} is not zero", name, start, clause)

    # 1.2 Exp-Golomb

    def _exp_golomb(self, order: int, element: str, largest: int) -> int:
        start = self.position
        value = 0
        while self._bits(1, element, start) == 0:
            value += 1 << order
            order += 1
            if value > largest:
                raise self.malformed(f"an Exp-Golomb value above {largest}", element, start, "1.2")
        value += self._bits(order, element, start)
        if value > largest:
            raise self.malformed(f"an Exp-Golomb value above {largest}", element, start, "1.2")
        return value

    def ue(self, order: int, element: str, largest: int = LARGEST_UE) -> int:
        """Read ue(order)."""
        start = self.position
        value = self._exp_golomb(order, element, largest)
        self._note(element, f"ue({order})", start, value)
        return value

    def ie(self, order: int, element: str) -> int:
        """Read ie(order)."""
        start = self.position
        code = self._exp_golomb(order, element, LARGEST_UE)
        value = (code + 1) // 2 if code & 1 else -(code // 2)
        self._note(element, f"ie({order})", start, value)
        return value

    # 1.3 strings and alignment

    def st(self, element: str) -> str:
        """Read st(v). Every st(v) of the syntax starts on a byte boundary."""
        start = self.position
        begin = start >> 3
        stop = self.source.find(b"\0", begin)
        if stop < 0:
            raise Truncated(
                f"{element} has no zero byte at its end",
                path=f"{self.path}.{element}",
                bit_offset=self.absolute(start),
                clause="1.3",
            )
        self.position = 8 * (stop + 1)
        try:
            text = self.source[begin:stop].decode("utf-8")
        except UnicodeDecodeError:
            raise self.malformed(f"{element} is not UTF-8", element, start, "1.3") from None
        self._note(element, "st(v)", start, text)
        return text

    def rest(self, element: str) -> bytes:
        """Read bs(v), the remaining bytes."""
        start = self.position
        value = self.source[start >> 3 :]
        self.position = self.end
        self._note(element, "bs(v)", start, value)
        return value

    def byte_alignment(self) -> None:
        """Read byte_alignment(): a 1, then 0 up to a byte boundary; at least one bit."""
        start = self.position
        if self._bits(1, "byte_alignment", start) != 1:
            raise self.malformed("an alignment does not start with 1", "byte_alignment", start, "1.3")
        while self.position & 7:
            if self._bits(1, "byte_alignment", start) != 0:
                raise self.malformed("an alignment bit is not 0", "byte_alignment", start, "1.3")
        self._note("byte_alignment", "byte_alignment()", start, self.position - start)

    def expect_end(self, clause: str) -> None:
        """Check that the payload ends with its unit."""
        if self.position != self.end:
            raise self.malformed(
                f"{self.end - self.position} bits follow the payload", "nnr_unit_size", self.position, clause
            )
