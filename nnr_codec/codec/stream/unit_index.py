# SPDX-License-Identifier: Apache-2.0
"""Where each tensor of a stream lies, stored beside it, to find one in a time that does not grow with the model.

The file is one line of JSON, which says which stream it belongs to and where the units are that are no data
units, and a table of fixed records in the order of the names' hashes, searched by halving without being read
whole. An index is only a hint: one that belongs to another stream, or to an older state of it, is not used.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
from collections.abc import Collection, Iterator
from typing import Any

from nnr_codec.codec.stream.carrier import CarriedKind, is_carrier, piece_of
from nnr_codec.codec.stream.deadline import Deadline
from nnr_codec.codec.stream.input import PagesRead, opened
from nnr_codec.codec.stream.stream_reader import tensor_names, unit_names
from nnr_codec.codec.stream.topology_reader import TopologyReader
from nnr_codec.model import DataUnit, Limits, TopologyUnit
from nnr_codec.syntax import SyntaxState, UnitSpan, iter_unit_spans, iter_units, quick_name

#: Added to the stream's name.
SUFFIX = ".idx"

_VERSION = 1
_KEY = "nnr_codec.unit_index"
# Hash of the name, fingerprint of the unit's place and first bytes, the unit's offset, its size with all its
# parts, and its number. A carried tensor has a record for each unit with a piece of it.
_RECORD = struct.Struct("<8s8sQQQ")
_PLACE = struct.Struct("<QQQ")
_FINGERPRINTED_BYTES = 256
# The line grows with the units that are no data units only, of which there are three or so.
_MAX_LINE_BYTES = 1 << 24


class UnitIndex:
    """An index that was found to belong to a stream.

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
        """Open the index beside a stream; None when there is none that belongs to the stream as it is now."""
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
            # Damaged, or not ours: without it everything is found too, by walking.
            return None

    @classmethod
    def of(cls, buffer: memoryview, *, limits: Limits | None = None) -> UnitIndex | None:
        """Walk over a stream and keep its index in memory; None for one of a series of updates.

        Raises
        ------
        BitstreamError
        """
        records, others, incremental = _walk(buffer, limits or Limits())
        return None if incremental else cls(memoryview(b"".join(sorted(records))), others)

    @staticmethod
    def write(stream: str | os.PathLike[str], file: Any, *, limits: Limits | None = None) -> int:
        """Walk over a stream and write its index.

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
            The units do not follow each other as they must.
        """
        identity = _identity(stream)
        with opened(os.fspath(stream)) as buffer:
            records, others, incremental = _walk(buffer, limits or Limits())
        head = {
            _KEY: _VERSION,
            "stream": identity,
            "records": 0 if incremental else len(records),
            # Updates build on each other and are never decoded one by one.
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
            Of tensors, or of weights that are sent as two factors.

        Returns
        -------
        list of (offset, size, number) or None
            In the stream's order, with the parameter sets before them; None when a name is not in the index,
            or a unit is not what it was when the index was made.
        """
        found: dict[tuple[int, int, int], bytes] = {}
        for name in names:
            records = [record for unit in unit_names(name) for record in self._records(_hash(unit.encode()))]
            if not records:
                return None
            found |= {(at, size, number): mark for _, mark, at, size, number in records}
        last = max((number for _, _, number in found), default=len(buffer))
        found |= {(at, size, number): mark for mark, at, size, number in self._others if number < last}
        if any(_fingerprint(buffer, *place) != mark for place, mark in found.items()):
            return None
        return sorted(found)

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
    """Return records, the places of units that are no data units, and whether the stream is of updates."""
    walked: list[tuple[UnitSpan, tuple[bytes, ...] | None]] = []
    state = SyntaxState()
    pages, deadline = PagesRead(buffer), Deadline(limits)
    topologies = TopologyReader(limits, buffer.nbytes, frozenset[str]().__contains__)

    def spans() -> Iterator[UnitSpan]:
        """Yield the units that take the grammar, and note the others."""
        for span in iter_unit_spans(buffer, limits):
            deadline.check(span.path, span.byte_offset)
            pages.passed(span.byte_offset)
            indexed = state.mps is None or state.mps.topology_indexed_reference_flag
            name = None if indexed or topologies.names else quick_name(buffer, span)
            if name is None:
                yield span
            else:
                walked.append((span, (name,)))

    for span, unit, state in iter_units(buffer, limits=limits, spans=spans()):
        if isinstance(unit, DataUnit):
            walked.append(
                (
                    span,
                    tuple(name.encode() for name in tensor_names(unit.header, state, span, topologies.names)),
                )
            )
        else:
            walked.append((span, _carried_name(unit, limits) if isinstance(unit, TopologyUnit) else None))
        if isinstance(unit, TopologyUnit):
            topologies.add(unit, span, state.total_elements)
        state = state.after(unit)
    records, others = [], []
    ends = [span.byte_offset for span, _ in walked[1:]] + [len(buffer)]
    for (span, names), end in zip(walked, ends, strict=True):
        place = (span.byte_offset, end - span.byte_offset, span.index)
        mark = _fingerprint(buffer, *place) or b""
        if names is None:
            others.append((mark, *place))
        records += [_RECORD.pack(_hash(name), mark, *place) for name in names or ()]
    incremental = state.mps is not None and state.mps.parent_signalling_enabled_flag
    return records, others, incremental


def _carried_name(unit: TopologyUnit, limits: Limits) -> tuple[bytes, ...] | None:
    """Return the name of the tensor of which a unit carries a piece; None for other units."""
    if not is_carrier(unit):
        return None
    piece = piece_of(unit, limits)
    return (piece.name.encode(),) if piece.kind == CarriedKind.TENSOR else None


def _hash(name: bytes) -> bytes:
    return hashlib.blake2b(name, digest_size=8).digest()


def _fingerprint(buffer: memoryview, at: int, size: int, number: int) -> bytes | None:
    """Return what tells a unit and its place from others; None for a place outside the stream."""
    if not 0 <= at <= at + size <= len(buffer):
        return None
    head = bytes(buffer[at : at + min(size, _FINGERPRINTED_BYTES)])
    return hashlib.blake2b(_PLACE.pack(at, size, number) + head, digest_size=8).digest()


def _identity(stream: str | os.PathLike[str]) -> list[int]:
    """What changes when a file is written anew: its size and when it was written."""
    status = os.stat(stream)
    return [status.st_size, status.st_mtime_ns]
