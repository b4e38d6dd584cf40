# SPDX-License-Identifier: Apache-2.0
"""Index of a stream: a file beside it that finds one tensor in logarithmic time.

The file starts with one line of JSON, which identifies the stream and lists the units that are no data units. A table of
fixed-size records follows, sorted by the hash of the name, for binary search without reading the whole table. An index that
belongs to another stream or to an earlier state of the stream is ignored.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
from collections.abc import Collection, Iterator
from typing import Any

from nnr_codec.codec.stream.input import opened
from nnr_codec.codec.stream.stream_reader import OtherUnit, StreamReader, unit_names
from nnr_codec.model import Limits

#: Added to the stream's name.
SUFFIX = ".idx"

_VERSION = 1
_KEY = "nnr_codec.unit_index"
# Hash of the name, fingerprint of the unit's position and first bytes, byte offset, size with all parts, and unit number.
# A carried tensor has a record for each unit with a piece of it.
_RECORD = struct.Struct("<8s8sQQQ")
_PLACE = struct.Struct("<QQQ")
_FINGERPRINTED_BYTES = 256
# The line lists the units that are no data units, usually about three.
_MAX_LINE_BYTES = 1 << 24


class UnitIndex:
    """Index of a stream, verified to belong to it.

    Parameters
    ----------
    table : bytes-like
        Records, sorted.
    others : list of (fingerprint, offset, size, number)
        Units that are no data units.
    """

    def __init__(self, table: memoryview, others: list[tuple[bytes, int, int, int]]) -> None:
        self._table = table
        self._others = others

    @classmethod
    def beside(cls, stream: str | os.PathLike[str]) -> UnitIndex | None:
        """Open the index file beside a stream; return None if it is missing or belongs to another state of the stream."""
        try:
            with open(os.fspath(stream) + SUFFIX, "rb") as file:
                line = file.readline(_MAX_LINE_BYTES)
                content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            head = json.loads(line)
            others = [
                (bytes.fromhex(mark), int(at), int(size), int(number))
                for mark, at, size, number in head["others"]
            ]
            table = content[len(line) :]
            if (
                head[_KEY] != _VERSION
                or head["stream"] != _identity(stream)
                or len(table) != _RECORD.size * head["records"]
            ):
                return None
            return cls(table, others)
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            # A damaged or foreign file is ignored; decoding then walks over the units.
            return None

    @classmethod
    def of(cls, buffer: memoryview, *, limits: Limits | None = None) -> UnitIndex | None:
        """Build an index in memory by walking over a stream; return None for a stream of updates.

        Raises
        ------
        BitstreamError
        """
        records, others, incremental = _walk(buffer, limits or Limits())
        return None if incremental else cls(memoryview(b"".join(sorted(records))), others)

    @staticmethod
    def write(stream: str | os.PathLike[str], file: Any, *, limits: Limits | None = None) -> int:
        """Build and write the index of a stream.

        Parameters
        ----------
        stream : path-like
        file : binary file
        limits : Limits, optional

        Returns
        -------
        int
            Number of names.

        Raises
        ------
        BitstreamError
            The units of the stream are malformed.
        """
        identity = _identity(stream)
        with opened(os.fspath(stream)) as buffer:
            records, others, incremental = _walk(buffer, limits or Limits())
        head = {
            _KEY: _VERSION,
            "stream": identity,
            "records": 0 if incremental else len(records),
            # Updates depend on each other, so single tensors are never decoded.
            "others": [] if incremental else [(mark.hex(), *place) for mark, *place in others],
        }
        file.write(json.dumps(head, separators=(",", ":")).encode() + b"\n")
        if not incremental:
            file.writelines(sorted(records))
        return len(records)

    def units(self, buffer: memoryview, names: Collection[str]) -> list[tuple[int, int, int]] | None:
        """Find the units needed to decode some tensors.

        Parameters
        ----------
        buffer : memoryview
            The stream.
        names : collection of str
            Names of tensors, or of weights that are stored as two factors.

        Returns
        -------
        list of (offset, size, number) or None
            In stream order, with the parameter sets before them; None if a name is not in the index, or a unit has
            changed since the index was made.
        """
        places: dict[tuple[int, int, int], bytes] = {}
        for name in names:
            records = [record for unit in unit_names(name) for record in self._records(_hash(unit.encode()))]
            if not records:
                return None
            places |= {(at, size, number): mark for _, mark, at, size, number in records}
        last = max((number for _, _, number in places), default=len(buffer))
        places |= {(at, size, number): mark for mark, at, size, number in self._others if number < last}
        if any(_fingerprint(buffer, *place) != mark for place, mark in places.items()):
            return None
        return sorted(places)

    def _records(self, name_hash: bytes) -> Iterator[tuple[bytes, bytes, int, int, int]]:
        low, high = 0, len(self._table) // _RECORD.size
        while low < high:
            middle = (low + high) // 2
            at = middle * _RECORD.size
            if bytes(self._table[at : at + 8]) < name_hash:
                low = middle + 1
            else:
                high = middle
        while low < len(self._table) // _RECORD.size:
            record = _RECORD.unpack_from(self._table, low * _RECORD.size)
            if record[0] != name_hash:
                return
            yield record
            low += 1


def _walk(buffer: memoryview, limits: Limits) -> tuple[list[bytes], list[tuple[bytes, int, int, int]], bool]:
    """Return the records, the positions of units that are no data units, and True for a stream of updates."""
    # Byte offset, index and names of each unit; no names for one that holds no tensor.
    walked: list[tuple[int, int, tuple[str, ...] | None]] = []
    reader = StreamReader(buffer, limits, {}, headers_only=True)
    for step in reader:
        if isinstance(step, OtherUnit):
            walked.append(
                (step.unit.byte_offset, step.unit.index, None if step.piece is None else (step.piece,))
            )
        else:
            walked += ((unit.byte_offset, unit.index, unit.names) for unit in step)
        reader.passed(walked[-1][0])
    records, others = [], []
    ends = [byte_offset for byte_offset, _, _ in walked[1:]] + [len(buffer)]
    for (byte_offset, index, names), end in zip(walked, ends, strict=True):
        place = (byte_offset, end - byte_offset, index)
        mark = _fingerprint(buffer, *place) or b""
        if names is None:
            others.append((mark, *place))
        records += [_RECORD.pack(_hash(name.encode()), mark, *place) for name in names or ()]
    return records, others, reader.parent_signalling


def _hash(name: bytes) -> bytes:
    return hashlib.blake2b(name, digest_size=8).digest()


def _fingerprint(buffer: memoryview, at: int, size: int, number: int) -> bytes | None:
    """Return the fingerprint of a unit; None for a position outside the stream."""
    if not 0 <= at <= at + size <= len(buffer):
        return None
    head = bytes(buffer[at : at + min(size, _FINGERPRINTED_BYTES)])
    return hashlib.blake2b(_PLACE.pack(at, size, number) + head, digest_size=8).digest()


def _identity(stream: str | os.PathLike[str]) -> list[int]:
    """Return the size and modification time of a file, which change when it is rewritten."""
    status = os.stat(stream)
    return [status.st_size, status.st_mtime_ns]
