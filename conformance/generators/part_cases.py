# SPDX-License-Identifier: Apache-2.0
"""Cases of units in parts other than data units, and of deflate streams that look like zlib's."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

from conformance.generators import draft as d
from conformance.generators.case import Collection
from conformance.generators.damage import PLAIN0, Damager, with_unit
from conformance.generators.plain import SHAPE, ramp
from conformance.generators.resource_cases import topology_stream
from nnr_codec.syntax import iter_unit_spans
from nnr_codec.syntax.grammar import Tree


def _map(prefix: str) -> Tree:
    entry = {"pruning_ratio": 0.5, "ppm_nn_accuracy": 0.75, "ppm_count_classes": 1, "ppm_class_bitmask": 1,
             "ppm_nn_class_accuracy": [0.25]}  # fmt: skip
    return {
        f"{prefix}_pruning_flag": 1,
        "pruning_performance_map": {"ppm_count_pruning_ratios": 2, "entry": [entry]},
    }


_UNITS: dict[str, tuple[str, d.UnitDraft]] = {
    "model-parameter-set": (
        "model-parameter-set performance-maps",
        d.mps(0, density=3, qp=-9, **_map("mps")),
    ),
    "layer-parameter-set": (
        "layer-parameter-set performance-maps",
        d.lps(density=3, qp=-9, **_map("lps")),
    ),
    "topology": ("topology", d.topology(b"a graph\0", 2)),
    "topology-deflate": ("topology", d.topology(zlib.compress(b"a graph"), 3, 1)),
    "pruning-container": ("topology", d.topology(b"\x80\0\1\2", 5)),
    "reference-list": ("topology", d.reference_list(["a", "größe", "", "b.weight"])),
    "quantization-text": ("quantization-unit", d.quantization_unit("größe", 7)),
    "quantization-deflate": ("quantization-unit", d.quantization_unit(zlib.compress(b"scale"), 7)),
}


def add_parts(suite: Collection, p: int) -> None:
    """Add units of each type in parts of one, three and all bytes."""
    for name, (features, whole) in _UNITS.items():
        for size, count in ((1, "many"), (3, "some"), (1000, "one")):
            unit = replace(whole, part_bytes=size)
            units = [unit] if unit.tree["nnr_unit_type"] == 1 else [d.mps(p), unit]
            names: str | int = "w"
            if name == "reference-list":
                units[0] = d.mps(p, mps_topology_indexed_reference_flag=1)
                names, features = 1, "topology indexed-reference"
            data = d.data_unit(names, SHAPE, ramp(), profile=p)
            suite.add(f"parts/{name}-{count}", "A decoder that joins the parts of data units only, or parses each part by itself.",
                      f"partial-units {features}", d.write_stream([d.start(p), *units, data]), clauses=("2.4",),
                      comment="Decision 0003.")  # fmt: skip
    plain = d.write_stream([d.start(p), d.mps(p), d.data_unit("w", SHAPE, ramp(), profile=p)])
    start_unit = bytes([0, 5, 0b11, 0, p])
    suite.add("parts/start-unit-counter-0", "A decoder that refuses a start unit with a counter of 0.", "partial-units",
              start_unit + plain[4:], clauses=("2.4",))  # fmt: skip
    several = [d.data_unit(name, SHAPE, ramp(), profile=p, part_bytes=4) for name in "ab"]
    suite.add("parts/two-units", "A decoder that joins the parts of neighbouring units.", "partial-units",
              d.write_stream([d.start(p), d.mps(p), *several]), clauses=("2.4",))  # fmt: skip


def add_deflate(suite: Collection, p: int) -> None:
    """Add bare deflate streams whose first bytes pass one of zlib's two header checks."""
    for name, octets in (("low-bits-8", stored(0x78, 7)), ("multiple-of-31", stored(0x70, _passing(0x70)))):
        for what, unit in _both(octets):
            suite.add(f"{what}/deflate-bare-{name}", "A decoder that takes a bare deflate stream for zlib's by one of two checks.", what,
                      d.write_stream([d.start(p), d.mps(p), unit]), clauses=("2.8",), comment="Decision 0002.")  # fmt: skip
    for what, unit in _both(beyond_the_window()):
        suite.add(f"{what}/deflate-distance-beyond-the-window", "A decoder that allocates the window which zlib's header states, and no more.",
                  what, d.write_stream([d.start(p), d.mps(p), unit]), clauses=("2.8",))  # fmt: skip


def beyond_the_window() -> bytes:
    """Write a zlib stream that states a window of 256 bytes and copies 258 bytes from 300 bytes before.

    It is written bit by bit, so that it does not depend on the version of zlib.
    """
    content = bytes(k * k % 251 for k in range(300))
    # The last block has fixed codes: length 258, distance code 16 with 7 more bits, end of block.
    bits = "1" + "10" + "11000101" + "10000" + f"{300 - 257:07b}"[::-1] + "0000000"
    last = int(bits[::-1], 2).to_bytes((len(bits) + 7) // 8, "little")
    stored_block = b"\0" + struct.pack("<HH", 300, 0xFFFF - 300) + content
    return (
        bytes([0x08, 0x1D]) + stored_block + last + struct.pack(">I", zlib.adler32(content + content[:258]))
    )


def add_deflate_faults(m: Damager) -> None:
    """Add bare deflate streams that begin like zlib's, and zlib streams with a fault in the header."""
    parent = "core/topology/deflate-zlib"
    content = zlib.compress(b"a graph")
    dictionary = zlib.compressobj(zdict=b"graph")
    faults = {
        "bare-like-zlib": stored(0x78, _passing(0x78)),
        "bare-like-zlib-window-8": stored(0x08, _passing(0x08)),
        "window-beyond-15": bytes([0x88, 31 - (0x8800 % 31)]) + content[2:],
        "preset-dictionary": dictionary.compress(b"a graph") + dictionary.flush(),
    }
    for name, octets in faults.items():
        if octets[0] & 15 != 8 or int.from_bytes(octets[:2], "big") % 31:
            raise ValueError(f"{name} does not begin like zlib's wrapping")
        for what, unit in _both(octets):
            m.add(f"{what}/deflate-{name}", "A decoder that tries again without the wrapping that the first bytes announce.", what,
                  topology_stream(unit), "malformed truncated", "header", parent=parent, mutation=f"deflate stream: {name}",
                  element="topology_data" if what == "topology" else "quantization_data", clauses=("2.8",))  # fmt: skip


def stored(first: int, size: int) -> bytes:
    """Write a bare deflate stream: a stored block of ``size`` bytes whose first byte is ``first``, and an empty last block.

    The low three bits of ``first`` say "not the last block" and "stored"; the other five are padding.
    """
    block = bytes([first, size & 255, size >> 8, ~size & 255, ~size >> 8 & 255]) + b"g" * size
    return block + b"\x01\0\0\xff\xff"


def _passing(first: int) -> int:
    """Size whose low byte makes ``first`` and itself a multiple of 31."""
    return -(first << 8) % 31


def _both(octets: bytes) -> list[tuple[str, d.UnitDraft]]:
    return [("topology", d.topology(octets, 3, 1)), ("quantization-unit", d.quantization_unit(octets))]


def add_part_faults(m: Damager) -> None:
    """Add faults inside joined payloads, which stand in a later part."""
    for name, reserved in (("first", 0x40), ("last", 0x01)):
        stream = m.of("core/parts/model-parameter-set-many")
        octets = bytearray(stream)
        # The second byte of the payload is alone in the second part; its low seven bits are reserved.
        at = 4 + 5 + 4
        octets[at] |= reserved
        m.add(f"parts/reserved-bit-{name}-in-a-later-part", "A decoder that counts bits of a joined payload from its first part.",
              "partial-units model-parameter-set reserved-bits", bytes(octets), "malformed", "header",
              parent="core/parts/model-parameter-set-many", mutation=f"reserved bits {reserved:#x}", element="nnr_reserved_zero_7bits")  # fmt: skip
    _between_parts(m)
    for name in ("layer-parameter-set", "quantization-text", "reference-list"):
        parent = f"core/parts/{name}-one"
        unit = replace(_UNITS[name][1], part_bytes=1)
        parts = d.write_stream(
            [d.start(0), d.mps(0, mps_topology_indexed_reference_flag=int(name == "reference-list")), unit]
        )
        # Without the last part and with counters lowered by one, the joined payload ends one byte early.
        m.add(f"parts/{name}-a-byte-less", "A decoder that reads on behind the joined parts.", "partial-units truncation",
              _shorter(parts), "truncated", "header", parent=parent, mutation="last part left out, counters lowered by 1",
              element="nnr_unit_size")  # fmt: skip


def _between_parts(m: Damager) -> None:
    parent = "core/framing/parts-many"
    stream = m.of(parent)
    last = len(list(iter_unit_spans(stream))) - 1
    units = {"a-start-unit": bytes([0, 4, 2, 0]), "an-aggregate-unit": bytes([0, 5, 6 << 2, 1, 2]),
             "a-part-of-a-start-unit": bytes([0, 5, 3, 0, 0]), "a-part-of-an-aggregate-unit": bytes([0, 5, 6 << 2 | 1, 0, 1]),
             "a-part-of-another-type": bytes([0, 6, 3 << 2 | 1, 0, 0, 0]), "a-part-of-an-unknown-unit": bytes([0, 4, 40 << 2 | 1, 0]),
             "a-model-parameter-set": bytes([0, 6, 1 << 2, 0, 0, 0x80])}  # fmt: skip
    for name, octets in units.items():
        m.add(f"parts/{name}-between", "A decoder that judges a unit between parts by its type alone.", "partial-units",
              with_unit(stream, last, octets), "malformed", "framing", parent=parent, mutation=f"{octets.hex()} before the last part",
              clauses=("2.4", "7.4"), comment="Decision 0022.")  # fmt: skip
    for name, octets in (
        ("whole", bytes([0, 5, 6 << 2, 1, 2])),
        ("in-parts", bytes([0, 5, 6 << 2 | 1, 1, 2])),
    ):
        at = 8 * len(m.of(PLAIN0))
        m.add(f"framing/aggregate-unit-at-the-end-{name}", "A decoder that looks into an aggregate unit, or at its counter.", "aggregate-unit",
              m.of(PLAIN0) + octets, "unsupported", "framing", parent=PLAIN0, mutation=f"{octets.hex()} at the end",
              bits=(at, at), clauses=("2.10", "7.4"), comment="Decision 0022.")  # fmt: skip


def _shorter(stream: bytes) -> bytes:
    spans = list(iter_unit_spans(stream))[:-1]
    octets = bytearray(stream[: spans[-1].byte_offset + spans[-1].size_bytes])
    for span in spans:
        if octets[span.byte_offset + 2] & 1:
            octets[span.byte_offset + 3] -= 1
    return bytes(octets)
