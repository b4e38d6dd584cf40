# SPDX-License-Identifier: Apache-2.0
"""Invalid vectors with faults in units: sizes, order and parts."""

from __future__ import annotations

from conformance.generators.damage import (
    PLAIN0,
    Damager,
    with_unit,
    without_unit,
    written_over,
)
from nnr_codec.syntax import iter_unit_spans


def add_framing(m: Damager) -> None:
    """Add all faults of units."""
    plain = m.of(PLAIN0)
    spans = list(iter_unit_spans(plain))
    m.add("framing/empty", "A decoder that accepts an empty file.", "framing", b"", "malformed", "framing", parent=PLAIN0,
          mutation="no bytes", bits=(0, 0))  # fmt: skip
    for size in range(1, len(plain)):
        if any(size == span.byte_offset for span in spans):
            continue
        m.add(f"truncation/plain-{size:03}", "A decoder that reads past the end, or accepts a unit that ends early.", "truncation",
              plain[:size], "truncated", "framing", parent=PLAIN0, mutation=f"first {size} bytes")  # fmt: skip
    for unit in (0, 1, 2):
        for size in (0, 1, 2):
            octets, bits = written_over(plain, f"nnr_unit[{unit}].nnr_unit_size", size)
            m.add(f"framing/size-{size}-of-unit-{unit}", "A decoder that loops for ever on a unit without length.", "framing", octets,
                  "malformed", "framing", parent=PLAIN0, mutation=f"nnr_unit[{unit}].nnr_unit_size={size}", element="nnr_unit_size", bits=bits)  # fmt: skip
        octets, bits = written_over(plain, f"nnr_unit[{unit}].nnr_unit_size", 32767)
        m.add(f"framing/size-beyond-the-stream-{unit}", "A decoder that reads past the end of the stream.", "framing truncation", octets,
              "truncated", "framing", parent=PLAIN0, mutation=f"nnr_unit[{unit}].nnr_unit_size=32767", element="nnr_unit_size", bits=bits)  # fmt: skip
    long_unit = "core/framing/long-size-of-a-small-unit"
    for size in (0, 3, 4):
        octets, bits = written_over(m.of(long_unit), "nnr_unit[2].nnr_unit_size", size)
        m.add(f"framing/long-size-{size}", "A decoder that does not count the size field itself.", "framing", octets, "malformed", "framing",
              parent=long_unit, mutation=f"nnr_unit[2].nnr_unit_size={size}", element="nnr_unit_size", bits=bits)  # fmt: skip
    octets, bits = written_over(m.of(long_unit), "nnr_unit[2].nnr_unit_size", (1 << 31) - 1)
    m.add("framing/long-size-2-gib", "A decoder that allocates what a size claims.", "framing", octets, "truncated limit", "framing",
          parent=long_unit, mutation="nnr_unit[2].nnr_unit_size=2147483647", element="nnr_unit_size", bits=(bits[0] - 1, bits[1]))  # fmt: skip
    for count, extra in ((1, b"\0"), (1, b"\x80"), (2, b"\0\0"), (3, b"\0\2\0"), (2, b"\x80\0")):
        name = extra.hex()
        kind = {b"\0\2\0": "malformed", b"\0\0": "malformed truncated"}.get(extra, "truncated")
        m.add(f"framing/trailing-{name}", "A decoder that ignores bytes behind the last unit.", "framing truncation", plain + extra, kind,
              "framing", parent=PLAIN0, mutation=f"{count} bytes {name} behind the end", bits=(8 * len(plain), 8 * len(plain) + 8 * count))  # fmt: skip
    m.add("order/no-start-unit", "A decoder that guesses the profile.", "framing", without_unit(plain, 0), "malformed", "framing",
          parent=PLAIN0, mutation="start unit left out", element="nnr_unit_type", bits=(0, 24))  # fmt: skip
    first = plain[: spans[1].byte_offset]
    m.add("order/two-start-units", "A decoder that accepts a second start unit.", "framing", first + plain, "malformed", "framing",
          parent=PLAIN0, mutation="start unit twice", element="nnr_unit_type", bits=(32, 56))  # fmt: skip
    m.add("order/start-unit-at-the-end", "A decoder that accepts a start unit behind others.", "framing", plain + first, "malformed",
          "framing", parent=PLAIN0, mutation="start unit at the end", element="nnr_unit_type", bits=(8 * len(plain), 8 * len(plain) + 24))  # fmt: skip
    second = plain[spans[1].byte_offset : spans[2].byte_offset]
    m.add("order/two-model-parameter-sets", "A decoder that accepts a second model parameter set.", "framing model-parameter-set",
          with_unit(plain, 2, second), "malformed", "framing", parent=PLAIN0, mutation="parameter set twice", element="nnr_unit_type",
          bits=(8 * spans[2].byte_offset, 8 * spans[2].byte_offset + 24))  # fmt: skip
    m.add("order/model-parameter-set-behind-data", "A decoder that accepts parameters behind what they are for.", "framing",
          m.of("core/lps/alone") + second, "malformed", "framing", parent="core/lps/alone",
          mutation="model parameter set behind the data unit", element="nnr_unit_type")  # fmt: skip
    m.add("order/data-unit-first", "A decoder that decodes data before the start unit.", "framing",
          plain[spans[2].byte_offset :] + plain[: spans[2].byte_offset], "malformed", "framing", parent=PLAIN0,
          mutation="data unit first", element="nnr_unit_type", bits=(0, 24))  # fmt: skip
    aggregate = with_unit(plain, 2, bytes([0, 5, 6 << 2, 1, 2]))
    m.add("framing/aggregate-unit", "A decoder that passes over an aggregate unit and loses the tensors in it.", "aggregate-unit", aggregate,
          "unsupported", "framing", parent=PLAIN0, mutation="aggregate unit inserted", element="nnr_unit_type")  # fmt: skip
    _parts(m)


def _parts(m: Damager) -> None:
    parent = "core/framing/parts-many"
    stream = m.of(parent)
    spans = list(iter_unit_spans(stream))
    last = len(spans) - 1
    m.add("parts/missing-last", "A decoder that decodes a unit whose last part is missing.", "partial-units truncation",
          without_unit(stream, last), "truncated", "framing", parent=parent, mutation="last part left out", element="partial_data_counter")  # fmt: skip
    m.add("parts/missing-middle", "A decoder that joins parts without looking at their counters.", "partial-units",
          without_unit(stream, last - 2), "malformed", "framing", parent=parent, mutation="a part left out", element="partial_data_counter")  # fmt: skip
    m.add("parts/missing-first", "A decoder that cannot know a first part is missing decodes rubbish.", "partial-units",
          without_unit(stream, 2), "malformed truncated", "payload", parent=parent, mutation="first part left out",
          element="nnr_compressed_data_unit_payload")  # fmt: skip
    m.add("parts/something-between", "A decoder that accepts a unit between parts.", "partial-units",
          with_unit(stream, last, topology_unit()), "malformed", "framing", parent=parent, mutation="topology unit between parts")  # fmt: skip
    m.add(
        "parts/unknown-unit-between",
        "A decoder that passes over a unit of unknown type between parts.",
        "partial-units reserved-units",
        with_unit(stream, last, bytes([0, 3, 40 << 2])),
        "malformed",
        "framing",
        parent=parent,
        mutation="unit of type 40 between parts",
    )
    octets, bits = written_over(stream, f"nnr_unit[{last}].partial_data_counter", 1)
    m.add("parts/counter-repeats", "A decoder that counts parts itself.", "partial-units", octets, "malformed", "framing", parent=parent,
          mutation="partial_data_counter=1 in the last", element="partial_data_counter", bits=bits)  # fmt: skip
    at = spans[3].byte_offset + 5
    changed = bytearray(stream)
    changed[at] ^= 1
    m.add("parts/header-differs", "A decoder that takes the header of the last part.", "partial-units", bytes(changed), "malformed",
          "framing", parent=parent, mutation="a name differs in the second part", element="partial_data_counter")  # fmt: skip
    parts = [bytes([0, 5 + len(rest), 0b00001011, counter, header, *rest])
             for counter, header, rest in ((1, 0, b""), (0, 0x80, b"\0\x80"))]  # fmt: skip
    m.add("parts/layer-header-differs", "A decoder that takes the header of the last part.", "partial-units layer-parameter-set",
          m.of(PLAIN0) + b"".join(parts), "malformed", "framing", parent=PLAIN0,
          mutation="lps_self_contained_flag differs in the second part", element="partial_data_counter")  # fmt: skip
    # A decoder that resumes after a fault may look for the counter of the previous part.
    end = 8 * len(m.of(PLAIN0)) + 24
    m.add("parts/without-counter", "A decoder that takes a part's counter from the unit behind it.", "partial-units truncation",
          m.of(PLAIN0) + bytes([0, 3, 0b00001011]) + parts[1], "truncated", "framing", parent=PLAIN0,
          mutation="a part that ends before its counter, and a part", element="partial_data_counter", bits=(end, end))  # fmt: skip
    start = bytes([0, 5, 0b01, 1, 0])
    m.add("parts/start-unit-in-parts", "A decoder that accepts a start unit in parts.", "partial-units", start + m.of(PLAIN0)[4:], "malformed",
          "framing", parent=PLAIN0, mutation="start unit with partial_data_counter 1", element="partial_data_counter")  # fmt: skip


def topology_unit() -> bytes:
    """Bytes of a topology unit."""
    return bytes([0, 6, 3 << 2, 0, 0, 0])
