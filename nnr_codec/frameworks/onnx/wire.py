# SPDX-License-Identifier: Apache-2.0
"""Protocol-buffer wire format: fields read from a file through a window, and fields built.

Model files are read here directly because the library parses whole files in memory, with all their weights, and ends at
2 GiB. Offsets are bytes from the start of the file.

Clause: Protocol Buffers encoding (varint, I64, LEN, I32)
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.file_reads import naming, read_fully

VARINT, I64, LEN, I32 = 0, 1, 2, 5
#: A varint of 64 bits takes at most this many bytes.
MAX_VARINT_BYTES = 10

_WINDOW_BYTES = 1 << 18
#: After so many scalars of one field in a row, the rest of them is skipped with NumPy.
_LONG_RUN = 32
_FIRST_LOOK_BYTES = 1 << 10


class Field(NamedTuple):
    """One field of a message."""

    number: int
    wire_type: int
    start: int  #: offset of the tag
    begin: int  #: offset of the value; of LEN fields, behind the length
    stop: int  #: offset behind the value
    value: int  #: of VARINT fields; 0 otherwise


class Run(NamedTuple):
    """Consecutive fields of one number and wire type, which together hold a repeated field's values."""

    number: int
    wire_type: int
    start: int
    begin: int  #: offset of the first value
    stop: int


class WireReader:
    """Protocol-buffer fields of a seekable file; safe to use from several threads for `read` and `read_into`.

    Parameters
    ----------
    file : binary file
    path : str
        Names the file in errors.
    """

    def __init__(self, file: BinaryIO, path: str) -> None:
        self.path = path
        with naming(path):
            self.size = file.seek(0, 2)
        self._file = file
        self._lock = threading.Lock()
        self._window, self._base = b"", 0

    def read(self, begin: int, stop: int) -> bytes:
        """Read bytes ``begin`` to ``stop``, which lie inside the file."""
        octets, base = self._window, self._base
        if base <= begin and stop <= base + len(octets):
            return octets[begin - base : stop - base]
        buffer = bytearray(stop - begin)
        self.read_into(begin, memoryview(buffer))
        return bytes(buffer)

    def read_into(self, begin: int, view: memoryview) -> None:
        """Fill ``view`` from offset ``begin``."""
        with self._lock, naming(self.path):
            self._file.seek(begin)
            if read_fully(self._file, view) != len(view):
                raise NotEncodable("the file became shorter while it was read", path=self.path)

    def text(self, item: Field | Run) -> str:
        """Read a LEN field as text."""
        try:
            return self.read(item.begin, item.stop).decode()
        except UnicodeDecodeError:
            raise self._malformed(item.begin, "a text is no UTF-8") from None

    def fields(self, begin: int, stop: int) -> Iterator[Field | Run]:
        """Walk over one message's fields; long runs of equal scalars come as one `Run`.

        Raises
        ------
        NotEncodable
            The bytes are no fields, or one reaches beyond ``stop``.
        """
        position, previous_tag, repeats = begin, -1, 0
        octets, base, safe = b"", 0, -1
        while position < stop:
            # Locals, as a walk over an inner message may have moved the window meanwhile.
            if not base <= position < safe:
                octets, base = self._at(position)
                safe = base + len(octets) - (2 * MAX_VARINT_BYTES if base + len(octets) < self.size else 0)
            at = position - base + 1
            tag = octets[at - 1]
            if tag >= 0x80:
                tag, at = self._varint(octets, base, at - 1, stop)
            wire_type, value = tag & 7, 0
            if wire_type == LEN:
                if at < len(octets) and octets[at] < 0x80:
                    at += 1
                    behind = at + octets[at - 1]
                else:
                    length, at = self._varint(octets, base, at, stop)
                    behind = at + length
            elif wire_type == VARINT:
                value, behind = self._varint(octets, base, at, stop)
            elif wire_type == I32:
                behind = at + 4
            elif wire_type == I64:
                behind = at + 8
            else:
                raise self._malformed(position, f"wire type {wire_type} is not used")
            if not 8 <= tag < 1 << 32:
                raise self._malformed(position, "a field number is out of range")
            if base + behind > stop:
                excess = base + behind - stop
                if stop == self.size:
                    raise NotEncodable(f"the file is cut short by {excess} bytes or more", path=self.path)
                raise self._malformed(position, "a field reaches beyond its message")
            yield Field(tag >> 3, wire_type, position, base + at, base + behind, value)
            repeats = repeats + 1 if tag == previous_tag and wire_type != LEN else 0
            previous_tag, position = tag, base + behind
            if repeats > _LONG_RUN and tag < 0x80:
                end = self._end_of_run(position, stop, tag)
                if end > position:
                    yield Run(tag >> 3, wire_type, position, position + 1, end)
                position, repeats = end, 0

    def _at(self, position: int) -> tuple[bytes, int]:
        """Return the window, with a tag and a length readable at ``position``, and its offset."""
        octets, base = self._window, self._base
        if base <= position and (
            position + 2 * MAX_VARINT_BYTES <= base + len(octets) or base + len(octets) == self.size
        ):
            return octets, base
        size = min(_WINDOW_BYTES, self.size - position)
        buffer = bytearray(size)
        self.read_into(position, memoryview(buffer))
        self._window, self._base = bytes(buffer), position
        return self._window, position

    def _varint(self, octets: bytes, base: int, at: int, stop: int) -> tuple[int, int]:
        value = shift = 0
        while at < len(octets):
            byte = octets[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, at
            shift += 7
            if shift == 7 * MAX_VARINT_BYTES:
                raise self._malformed(base + at, "a number is longer than 64 bits")
        if stop == self.size:
            raise NotEncodable("the file is cut short", path=self.path)
        raise self._malformed(base + at, "a number reaches beyond its message")

    def _end_of_run(self, position: int, stop: int, tag: int) -> int:
        """Return the offset behind the scalars tagged ``tag`` that follow ``position`` in the window."""
        octets, base = self._at(position)
        codes = np.frombuffer(octets, np.uint8)[position - base : stop - base]
        size = _FIRST_LOOK_BYTES
        length = _length_of_run(codes[:size], tag)
        # Looking further only while the run goes on keeps the time proportional to the length of runs.
        while length > size // 2 and size < len(codes):
            size *= 4
            length = _length_of_run(codes[:size], tag)
        return position + length

    def _malformed(self, position: int, reason: str) -> NotEncodable:
        return NotEncodable(f"not an ONNX model: {reason}, at byte {position}", path=self.path)


def _length_of_run(codes: npt.NDArray[np.uint8], tag: int) -> int:
    """Return the bytes of whole fields tagged ``tag`` at the start of ``codes``."""
    if tag & 7 == VARINT:
        # Bytes below 0x80 end a varint. In a run every other one of them is a tag, directly behind a value.
        ends = np.flatnonzero(codes < 0x80)
        ends = ends[: len(ends) // 2 * 2]
        tags, values = ends[0::2], ends[1::2]
        behind = np.concatenate([[0], values[:-1] + 1])[: len(tags)]
        regular = (codes[tags] == tag) & (tags == behind) & (values - tags <= MAX_VARINT_BYTES)
        n = len(regular) if regular.all() else int(np.argmin(regular))
        return int(values[n - 1]) + 1 if n else 0
    step = 5 if tag & 7 == I32 else 9
    tagged = codes[: len(codes) // step * step : step] == tag
    return step * (len(tagged) if tagged.all() else int(np.argmin(tagged)))


def varint(value: int) -> bytes:
    """Encode an unsigned integer.

    >>> varint(300).hex()
    'ac02'
    """
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def length_prefix(number: int, length: int) -> bytes:
    """Encode tag and length of a LEN field."""
    return varint(number << 3 | LEN) + varint(length)


def field(number: int, value: int | bytes) -> bytes:
    """Encode one field: integers as VARINT, bytes as LEN."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    return length_prefix(number, len(value)) + value


def decode_varints(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Decode consecutive varints.

    Parameters
    ----------
    codes : uint8[n_bytes]

    Returns
    -------
    uint64[n]

    Raises
    ------
    ValueError
        The last varint has no end, or one is longer than 64 bits.
    """
    ends = np.flatnonzero(codes < 0x80)
    if len(codes) and (not len(ends) or ends[-1] != len(codes) - 1):
        raise ValueError("the last number has no end")
    starts = np.concatenate([np.zeros(1, ends.dtype), ends[:-1] + 1])[: len(ends)]
    lengths = ends - starts + 1
    longest = int(lengths.max(initial=0))
    if longest > MAX_VARINT_BYTES:
        raise ValueError("a number is longer than 64 bits")
    values = np.zeros(len(ends), np.uint64)
    for index in range(longest):
        longer = np.flatnonzero(lengths > index)
        part = codes[starts[longer] + index].astype(np.uint64) & np.uint64(0x7F)
        values[longer] |= part << np.uint64(7 * index)
    return values
