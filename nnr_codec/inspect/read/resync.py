# SPDX-License-Identifier: Apache-2.0
"""Resynchronisation: the next unit of a stream whose sizes cannot be trusted. Its results are guesses."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nnr_codec.errors import BitstreamError
from nnr_codec.model import Limits, NnrUnitType
from nnr_codec.syntax import SyntaxState, Trace, UnitSpan, parse_tree

#: Search distance for the next unit. Random bytes look like two units in a row about once in a few gigabytes.
REACH_BYTES = 1 << 26
_CHUNK_BYTES = 1 << 20
# Random sizes and types chain this often at fewer than one place in 40 000.
_TRUSTED_CHAIN = 5
_LAST_KNOWN_TYPE = int(max(NnrUnitType))


class Framing(NamedTuple):
    """Size and type at the start of a unit."""

    size_bytes: int
    nnr_unit_type: int
    header_offset: int


def framing_at(view: memoryview, offset: int) -> Framing | None:
    """Return the size and type of a unit at an offset, None if no unit can start there."""
    if offset >= len(view):
        return None
    n_bytes = 4 if view[offset] & 0x80 else 2
    if offset + n_bytes >= len(view):
        return None
    size = int.from_bytes(view[offset : offset + n_bytes], "big") & ((1 << (8 * n_bytes - 1)) - 1)
    return Framing(size, view[offset + n_bytes] >> 2, n_bytes) if size > n_bytes else None


class UnitFinder:
    """Search for places of a stream at which a unit could start."""

    def __init__(self, view: memoryview, limits: Limits) -> None:
        self._view = view
        self._limits = limits

    def clean_size(self, offset: int, state: SyntaxState) -> int | None:
        """Return the size of the unit at an offset if its type is known and all its elements are sound, else None."""
        framing = framing_at(self._view, offset)
        if framing is None or framing.nnr_unit_type > _LAST_KNOWN_TYPE:
            return None
        if offset + framing.size_bytes > len(self._view):
            return None
        span = UnitSpan(0, offset, framing.size_bytes, framing.nnr_unit_type, framing.header_offset)
        trace = Trace()
        try:
            parse_tree(self._view, span, state, limits=self._limits, trace=trace)
        except BitstreamError:
            return None
        whole = trace[-1].bit_offset + trace[-1].n_bits == 8 * (offset + framing.size_bytes)
        clean = whole and all(event.fault is None and _readable(event.value) for event in trace)
        return framing.size_bytes if clean else None

    def plausible(self, offset: int, state: SyntaxState) -> bool:
        """Return whether a unit seems to start here: it is clean, or its size leads to a clean one or to the end."""
        if self._chains(offset) or self.clean_size(offset, state) is not None:
            return True
        framing = framing_at(self._view, offset)
        if framing is None:
            return False
        following = offset + framing.size_bytes
        return following == len(self._view) or self.clean_size(following, state) is not None

    def _chains(self, offset: int) -> bool:
        """Return whether sizes alone chain several units of known types: a fast test for the common case."""
        for _ in range(_TRUSTED_CHAIN):
            framing = framing_at(self._view, offset)
            if framing is None or framing.nnr_unit_type > _LAST_KNOWN_TYPE:
                return False
            offset += framing.size_bytes
            if offset == len(self._view):
                return True
        return True

    def next_unit(self, start: int, state: SyntaxState) -> int | None:
        """Return the offset of the next clean unit that leads to another one or to the stream's end."""
        end = min(len(self._view), start + REACH_BYTES)
        for chunk in range(start, end, _CHUNK_BYTES):
            for offset in self._candidates(chunk, min(end, chunk + _CHUNK_BYTES)):
                size = self.clean_size(offset, state)
                if size is None:
                    continue
                following = offset + size
                if following == len(self._view) or self.clean_size(following, state) is not None:
                    return offset
        return None

    def _candidates(self, start: int, end: int) -> list[int]:
        """Return the offsets with a possible size and type, and a possible type at the following unit."""
        octets = np.frombuffer(self._view, np.uint8)
        places = np.arange(start, min(end, octets.size - 4))
        if not places.size:
            return []
        window = octets[start : start + places.size + 4].astype(np.int64)
        n = places.size
        long = window[:n] >= 0x80
        short_size = window[:n] << 8 | window[1 : n + 1]
        long_size = (
            (window[:n] & 0x7F) << 24 | window[1 : n + 1] << 16 | window[2 : n + 2] << 8 | window[3 : n + 3]
        )
        size = np.where(long, long_size, short_size)
        kind = np.where(long, window[4 : n + 4], window[2 : n + 2]) >> 2
        following = places + size
        good = (kind <= _LAST_KNOWN_TYPE) & (size > 2) & (following <= octets.size)
        good &= (kind != NnrUnitType.NNR_STR) | (size - 2 * long == 4)
        places, following = places[good], following[good]
        head = np.minimum(following, octets.size - 1)
        behind = np.minimum(head + np.where(octets[head] >= 0x80, 4, 2), octets.size - 1)
        known = (following == octets.size) | (octets[behind] >> 2 <= _LAST_KNOWN_TYPE)
        return [int(place) for place in places[known]]


def _readable(value: Any) -> bool:
    """Return whether a value is no text, or printable text: names in random bytes rarely are."""
    return not isinstance(value, str) or value.isprintable()
