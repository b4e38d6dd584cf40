# SPDX-License-Identifier: Apache-2.0
"""Cases that caught nothing until a campaign of seeded faults (``tools/mutants/campaign.py``) asked for them."""

from __future__ import annotations

import hashlib
from typing import Any

from nnr_conformance.expectation import Tolerance

from conformance.generators import draft as d
from conformance.generators.case import Collection
from conformance.generators.damage import (
    PLAIN0,
    Damager,
    events_of,
    rebuilt,
    resized,
    size_field,
    with_unit,
    without_unit,
)
from conformance.generators.plain import SHAPE, one, ramp
from conformance.generators.script import TensorScript
from nnr_codec.syntax import iter_unit_spans

#: Payloads (by the digest of a number) whose offset is 256 at the first and at the third block row.
_OFFSET_256 = {"first": 242, "third": 323}


def add_recommended_minimum(suite: Collection, p: int) -> None:
    """Add streams at the recommended minimum of the limits (7.3)."""
    if p == 0:
        suite.add("limits/name-4096-bytes", "A decoder that counts the zero byte of a string, or refuses names of the recommended length.",
                  "limits", one(d.data_unit("n" * 4096, SHAPE, ramp(), profile=p), profile=p), clauses=("1.3", "7.3"),
                  elements=("topology_elem_id",))  # fmt: skip
        shape = (3, *[1] * 30, 4)
        suite.add("limits/dimensions-32", "A decoder that refuses 32 dimensions.", "limits",
                  one(d.data_unit("w", shape, ramp(), profile=p), profile=p), clauses=("7.3",), elements=("count_tensor_dimensions",))  # fmt: skip
    unit = d.data_unit("w", (4,), TensorScript([1, 0, -1, 0]), profile=p)
    suite.add("qp/infinite-step-of-zeros", "A decoder that takes level 0 for the value 0 whatever the step.", "uniform qp-density",
              one(unit, d.mps(p, density=0, qp=4000), profile=p), clauses=("4.2",), comment="Decision 0007.",
              tolerance=Tolerance(reason="The sign and the payload of a NaN are not fixed (decision 0007)."))  # fmt: skip
    if p == 1:
        entries = range(-(1 << 15), 1 << 15)
        levels = TensorScript([0, 1, -1, (1 << 15) - 1, -(1 << 15), 300], qp_value=3)
        unit = d.data_unit("w", (2, 3), levels, profile=p, book=d.codebook(entries, 1 << 15))
        suite.add("limits/codebook-65536", "A decoder that refuses codebooks of the recommended size, or indexes them in 16 signed bits.",
                  "limits codebook", one(unit, d.mps(p, methods=5), profile=p), clauses=("7.3",), elements=("codebook_size",))  # fmt: skip


def add_campaign_faults(m: Damager) -> None:
    """Add invalid streams that seeded faults of a decoder accept, or whose place they report wrongly."""
    _sizes(m)
    _parts(m)
    _order(m)
    parent = "core/block/factors-with-two-codebooks"
    stream = rebuilt(
        m.of(parent), 2, lambda tree: tree["second_codebook"].update(codebook_zero_value=(1 << 31) - 1)
    )
    m.add("codebook/second-beyond-int32", "A decoder that checks the entries of the first codebook only.", "low-rank codebook", stream,
          "malformed", "header", parent=parent, mutation="second_codebook.codebook_zero_value=2147483647", element="codebook_zero_value",
          clauses=("3.2.3",))  # fmt: skip
    for where, number in _OFFSET_256.items():
        payload = hashlib.sha256(f"offset 256 {number}".encode()).digest()
        m.add(f"codeword/offset-256-{where}", "A decoder that starts a block row with an offset equal to its range.", "block-scan",
              one(d.data_unit("w", (17, 2), payload, profile=0, scan=1)), "malformed", "payload", parent="core/scan/1-17x20",
              mutation=f"another codeword, whose offset is 256 at the {where} block row", element="nnr_compressed_data_unit_payload",
              clauses=("5.5.1",))  # fmt: skip
    parent = "extended/nodes/large"
    stream = m.of(parent)
    unit = list(iter_unit_spans(stream))[2]
    for element in ("device_id", "parameter_id"):
        [event] = [event for event in events_of(stream) if event.element == element]
        end = (event.bit_offset + event.n_bits - 1) // 8
        less = unit.byte_offset + unit.size_bytes - end
        m.add(f"exp-golomb/cut-{element.replace('_', '-')}", "A decoder that reports the end of a cut element instead of its first bit.",
              "truncation node-ids", resized(stream, 2, less), "truncated", "header", parent=parent,
              mutation=f"unit that ends in {element}", element=element, bits=(event.bit_offset, event.bit_offset), clauses=("7.2",))  # fmt: skip


def _order(m: Damager) -> None:
    """Add two faults in one header, the later one in an element that is sent first."""
    parent = "core/block/factors-with-two-codebooks"

    def change(tree: dict[str, Any]) -> None:
        tree["codebook"]["codebook_zero_value"] = (1 << 31) - 1
        tree["compressed_parameter_types"] = 1

    stream = rebuilt(m.of(parent), 2, change)
    m.add("order/names-before-entries", "A decoder that checks the entries of a codebook before the number of names.",
          "low-rank codebook", stream, "malformed", "header", parent=parent,
          mutation="compressed_parameter_types=1, codebook.codebook_zero_value=2147483647", element="compressed_parameter_types",
          clauses=("7.4",), comment="Decision 0022.")  # fmt: skip
    parent = "core/parts/quantization-text-some"
    first = list(iter_unit_spans(m.of(parent)))[2]
    begin = 8 * (first.byte_offset + first.size_bytes)
    for name, compression, element, bits in (
        ("header-before-missing-counter", 7, "quantization_compression_format", (begin + 32, begin + 40)),
        ("missing-counter-before-payload", 0, "partial_data_counter_present_flag", (begin + 16, begin + 24)),
    ):
        # A whole unit of the type of the open parts; its string has no zero byte.
        whole = size_field(5) + bytes([4 << 2 | 2, 7, compression]) + b"gr"
        m.add(f"order/{name}", "A decoder that checks a missing counter elsewhere than between header and payload.",
              "partial-units quantization-unit", with_unit(m.of(parent), 3, whole), "malformed",
              "header" if compression else "framing", parent=parent, mutation="a unit without counter behind the first part",
              element=element, bits=bits, clauses=("7.4",))  # fmt: skip


def _sizes(m: Damager) -> None:
    """Add sizes whose highest bit is all that puts a unit beyond the stream."""
    for parent, bit, what in (
        (PLAIN0, 14, "short-size-16-kib-more"),
        ("core/framing/long-size-of-a-small-unit", 30, "long-size-1-gib-more"),
    ):
        stream = bytearray(m.of(parent))
        unit = list(iter_unit_spans(bytes(stream)))[2]
        stream[unit.byte_offset] |= 0x40
        begin = 8 * unit.byte_offset + 1
        m.add(f"framing/{what}", "A decoder that masks the highest bit of a size.", "framing truncation", bytes(stream), "truncated",
              "framing", parent=parent, mutation=f"nnr_unit_size with bit {bit} set", element="nnr_unit_size",
              bits=(begin, begin + bit + 1))  # fmt: skip


def _parts(m: Damager) -> None:
    """Add a last part without counter, which is a unit between parts that has not ended them."""
    parent = "core/parts/two-units"
    stream = m.of(parent)
    spans = list(iter_unit_spans(stream))
    last = len(spans) - 1
    body = bytearray(stream[spans[last].byte_offset + spans[last].header_offset :])
    body[0] &= ~1
    del body[1]
    m.add("parts/last-without-counter", "A decoder that takes a unit without counter for the last part.", "partial-units",
          with_unit(without_unit(stream, last), last, size_field(len(body)) + bytes(body)), "malformed", "framing", parent=parent,
          mutation="the last part has no partial_data_counter", element="partial_data_counter_present_flag",
          bits=(8 * spans[last].byte_offset, 8 * spans[last].byte_offset + 24), clauses=("2.4",))  # fmt: skip
