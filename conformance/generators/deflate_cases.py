# SPDX-License-Identifier: Apache-2.0
"""Cases of deflate streams (RFC 1951) that compressors seldom write, for decoders with an inflater of their own."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

from conformance.generators import draft as d
from conformance.generators.case import Collection
from conformance.generators.damage import Damager
from conformance.generators.plain import SHAPE, ramp
from conformance.generators.resource_cases import topology_stream

_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_END = 256
_STORED, _FIXED, _DYNAMIC = range(3)
_MATCH_OF_3, _MATCH_OF_258 = 257, 285

_Item = int | tuple[int, int, int, int, int]
"""Literal, or match: symbol, number of extra bits (all 0), distance symbol, extra bits, and their number."""


class _Writer:
    """Bits of a deflate stream, the first in the least significant bit of a byte."""

    def __init__(self) -> None:
        self.bits: list[int] = []

    def put(self, value: int, n_bits: int) -> None:
        self.bits += [value >> shift & 1 for shift in range(n_bits)]

    def code(self, word: tuple[int, int]) -> None:
        """Write a codeword, its most significant bit first."""
        value, n_bits = word
        self.bits += [value >> shift & 1 for shift in reversed(range(n_bits))]

    def block(self, kind: int, *, last: bool = False) -> None:
        self.put(int(last), 1)
        self.put(kind, 2)

    def stored(self, content: bytes, *, last: bool = False, complement: int = 0xFFFF) -> None:
        self.block(_STORED, last=last)
        self.bits += [0] * (-len(self.bits) % 8)
        self.put(len(content), 16)
        self.put(len(content) ^ complement, 16)
        for byte in content:
            self.put(byte, 8)

    def octets(self) -> bytes:
        padded = self.bits + [0] * (-len(self.bits) % 8)
        return bytes(
            sum(bit << shift for shift, bit in enumerate(padded[at : at + 8]))
            for at in range(0, len(padded), 8)
        )


def _canonical(lengths: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    """Codewords (value, bits) of a canonical code by symbol."""
    words, value, before = {}, 0, 0
    for symbol, length in sorted(lengths.items(), key=lambda item: (item[1], item[0])):
        value <<= length - before
        words[symbol] = (value, length)
        value, before = value + 1, length
    return words


_FIXED_CODE = _canonical({s: 8 if s < 144 else 9 if s < 256 else 7 if s < 280 else 8 for s in range(288)})


def _fixed(content: Sequence[_Item]) -> bytes:
    """Write one block of the fixed code from literals and matches."""
    writer = _Writer()
    writer.block(_FIXED, last=True)
    _write_fixed(writer, content)
    return writer.octets()


def _write_fixed(writer: _Writer, content: Sequence[_Item]) -> None:
    for item in content:
        if isinstance(item, int):
            writer.code(_FIXED_CODE[item])
        else:
            length, extra_bits, distance, extra, n_extra = item
            writer.code(_FIXED_CODE[length])
            writer.put(0, extra_bits)
            writer.code((distance, 5))
            writer.put(extra, n_extra)
    writer.code(_FIXED_CODE[_END])


def _dynamic(
    literals: Mapping[int, int],
    distances: Mapping[int, int],
    symbols: Sequence[int],
    *,
    n_literals: int = 258,
    surplus: int = 0,
) -> bytes:
    """Write one block of a code of its own; ``surplus`` lengthens the last run of zeros beyond the lengths."""
    writer = _Writer()
    writer.block(_DYNAMIC, last=True)
    lengths = [literals.get(s, 0) for s in range(n_literals)] + [distances.get(0, 0)]
    words = _canonical({0: 2, 1: 2, 2: 2, 18: 2})
    writer.put(n_literals - 257, 5)
    writer.put(0, 5)
    writer.put(len(_ORDER) - 1 - 4, 4)
    for symbol in _ORDER[:-1]:
        writer.put(2 if symbol in words else 0, 3)
    at = 0
    while at < len(lengths):
        run = next((n for n, length in enumerate(lengths[at:]) if length), len(lengths) - at)
        if run >= 11:
            run = min(run, 138)
            writer.code(words[18])
            writer.put(run - 11 + (surplus if at + run == len(lengths) else 0), 7)
            at += run
        else:
            writer.code(words[lengths[at]])
            at += 1
    codes = _canonical({s: length for s, length in literals.items() if length})
    for symbol in symbols:
        writer.code(codes[symbol] if symbol >= 0 else (0, 1))
    return writer.octets()


def _valid_streams() -> dict[str, tuple[bytes, str]]:
    far: list[_Item] = [97, 98, *[(_MATCH_OF_258, 0, 0, 0, 0)] * 96, (_MATCH_OF_3, 0, 29, 24770 - 24577, 13)]
    mixed = _Writer()
    mixed.block(_FIXED)
    _write_fixed(mixed, [97])
    mixed.stored(b"bc")
    mixed.block(_FIXED, last=True)
    _write_fixed(mixed, [100])
    return {
        "match-at-the-start": (
            _fixed([97, (_MATCH_OF_3, 0, 0, 0, 0)]),
            "a match that goes back to the first byte",
        ),
        "match-of-258": (_fixed([97, 98, (_MATCH_OF_258, 0, 1, 0, 0), 99]), "the longest match"),
        "farthest-distance": (_fixed(far), "distances of 13 extra bits"),
        "one-distance-code": (
            _dynamic({97: 1, _END: 2, _MATCH_OF_3: 2}, {0: 1}, [97, _MATCH_OF_3, -1, _END]),
            "a code of one distance, which is incomplete",
        ),
        "stored-between": (mixed.octets(), "a stored block behind bits of the byte before"),
    }


def _faulty_streams() -> dict[str, tuple[bytes, str]]:
    lying = _Writer()
    lying.stored(b"abc", last=True, complement=0xFFFE)
    plain = zlib.compress(b"a graph")
    both = {97: 1, _END: 1}
    # The check bits are those of a header with the flag of a dictionary, but there is none.
    header = next(bytes([0x78, 0x20 | low]) for low in range(32) if (0x7820 | low) % 31 == 0)
    return {
        "stored-complement": (lying.octets(), "the complement of a stored length"),
        "dictionary-flag": (header + plain[2:], "the flag of a preset dictionary"),
        "literal-codes-287": (_dynamic(both, {0: 1}, [97, _END], n_literals=287), "the number of literal codes"),
        "no-end-of-block": (_dynamic({97: 1, 98: 1}, {0: 1}, [97, 98] * 20), "that a code can end its block"),
        "incomplete-code": (_dynamic({97: 2, _END: 2}, {0: 1}, [97, _END]), "that a code is complete"),
        "lengths-beyond": (_dynamic(both, {}, [97, _END], n_literals=286, surplus=1), "that a run ends with the lengths"),
    }  # fmt: skip


def add_inflation(suite: Collection, p: int) -> None:
    """Add valid deflate streams in topology units."""
    for name, (octets, what) in _valid_streams().items():
        zlib.decompressobj(-15).decompress(octets)
        data = d.data_unit("w", SHAPE, ramp(), profile=p)
        suite.add(f"topology/deflate-{name}", f"An inflater that does not know {what}.", "topology",
                  d.write_stream([d.start(p), d.mps(p), d.topology(octets, 3, 1), data]), clauses=("2.8",))  # fmt: skip


def add_inflation_faults(m: Damager) -> None:
    """Add deflate streams with a fault that an inflater may overlook."""
    for name, (octets, what) in _faulty_streams().items():
        m.add(f"topology/deflate-{name}", f"An inflater that does not check {what}.", "topology",
              topology_stream(d.topology(octets, 3, 1)), "malformed", "header", parent="core/topology/deflate-zlib",
              mutation=f"deflate stream: {name}", element="topology_data", clauses=("2.8",))  # fmt: skip
