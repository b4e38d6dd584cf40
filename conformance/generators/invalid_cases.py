# SPDX-License-Identifier: Apache-2.0
"""Suite ``invalid``: valid vectors with one fault each; this module has the faults of codewords and sequences."""

from __future__ import annotations

import contextlib
from typing import Any
from unittest import mock

from conformance.generators import draft as d
from conformance.generators.campaign_cases import add_campaign_faults
from conformance.generators.case import Collection, rng_of
from conformance.generators.codeword import CodewordWriter
from conformance.generators.damage import PLAIN0, Damager, Parents, events_of, resized
from conformance.generators.deflate_cases import add_inflation_faults
from conformance.generators.dimension_cases import add_external_faults
from conformance.generators.extended_cases import Updates
from conformance.generators.invalid_framing import add_framing
from conformance.generators.invalid_headers import (
    add_data_units,
    add_headers,
    add_parameter_sets,
    add_topology,
)
from conformance.generators.name_cases import add_ill_formed_names
from conformance.generators.part_cases import add_deflate_faults, add_part_faults
from conformance.generators.plain import one, ramp
from conformance.generators.script import TensorScript, drawn_values
from conformance.generators.state_cases import add_state_faults
from spec.model import Malformed, Session, decode
from spec.model.arithmetic import ArithmeticDecoder


def add_invalid(suite: Collection, parents: Parents) -> None:
    """Add all cases of the suite."""
    damager = Damager(suite, parents)
    add_framing(damager)
    add_headers(damager)
    add_parameter_sets(damager)
    add_topology(damager)
    add_data_units(damager)
    _codewords(damager)
    _sequences(damager)
    add_ill_formed_names(damager)
    add_part_faults(damager)
    add_deflate_faults(damager)
    add_state_faults(damager)
    add_campaign_faults(damager)
    add_inflation_faults(damager)
    add_external_faults(damager)


def _codewords(m: Damager) -> None:
    stream = m.of(PLAIN0)
    payload = next(e for e in events_of(stream) if e.element == "nnr_compressed_data_unit_payload")
    last = 8 * len(stream)
    lowest = (stream[-1] & -stream[-1]).bit_length() - 1
    flips = {"stop-bit": lowest, "padding": lowest - 1 if lowest else None}
    for name, bit in flips.items():
        if bit is None:
            continue
        octets = stream[:-1] + bytes([stream[-1] ^ 1 << bit])
        m.add(f"codeword/{name}", "A decoder that does not check how a codeword ends.", "arithmetic-engine", octets, "malformed truncated", "payload",
              parent=PLAIN0, mutation=f"bit {last - 1 - bit} turned over", element="nnr_compressed_data_unit_payload", clauses=("5.1.7",),
              bits=(last - 1 - bit, last - bit))  # fmt: skip
    for n in range(1, 9):
        parent = f"core/engine/end-{n}"
        stream_n = m.of(parent)
        stop = (stream_n[-1] & -stream_n[-1]).bit_length() - 1
        for bit in range(stop):
            octets = stream_n[:-1] + bytes([stream_n[-1] ^ 1 << bit])
            m.add(
                f"codeword/padding-{n}-{bit}",
                "A decoder that does not check the padding behind the stop bit.",
                "arithmetic-engine",
                octets,
                "malformed",
                "payload",
                parent=parent,
                mutation=f"padding bit {bit} of the last byte is 1",
                element="nnr_compressed_data_unit_payload",
                clauses=("5.1.7",),
                bits=(8 * len(octets) - 1 - stop, 8 * len(octets)),
            )
    for name, extra in (("zero-byte", b"\0"), ("stop-byte", b"\x80"), ("bytes", b"\1\2\3")):
        m.add(f"codeword/{name}-behind", "A decoder that ignores bytes behind a codeword.", "arithmetic-engine", resized(stream, 2, extra),
              "malformed", "payload", parent=PLAIN0, mutation=f"{extra.hex()} behind the codeword", element="nnr_compressed_data_unit_payload",
              clauses=("5.1.7",), bits=(payload.bit_offset, last + 8 * len(extra)))  # fmt: skip
    for less in range(1, payload.n_bits // 8 + 1):
        m.add(f"codeword/{less}-bytes-less", "A decoder that reads zeros behind the end of a codeword.", "truncation arithmetic-engine",
              resized(stream, 2, less), "truncated malformed" if less < payload.n_bits // 8 else "truncated", "payload", parent=PLAIN0,
              mutation=f"{less} bytes less", element="nnr_compressed_data_unit_payload", bits=(payload.bit_offset, last - 8 * less))  # fmt: skip
    for name, head in (("510", b"\xff\x00"), ("511", b"\xff\x80")):
        at = payload.bit_offset >> 3
        octets = stream[:at] + head + stream[at + 2 :]
        m.add(f"codeword/offset-{name}", "A decoder that starts with an offset outside its range.", "arithmetic-engine", octets, "malformed", "payload",
              parent=PLAIN0, mutation=f"codeword begins {head.hex()}", element="nnr_compressed_data_unit_payload", clauses=("5.1.1",),
              bits=(payload.bit_offset, payload.bit_offset + 9))  # fmt: skip
    m.add(
        "codeword/terminating-bin-0",
        "A decoder that looks at the stop bit and not at the bin before it.",
        "arithmetic-engine",
        _without_end(),
        "malformed",
        "payload",
        parent=PLAIN0,
        mutation="the terminating bin is 0",
        element="nnr_compressed_data_unit_payload",
        clauses=("5.1.6", "5.1.7"),
    )
    _short_of_the_end(m)
    _escapes(m)
    _block_rows(m)


def _short_of_the_end(m: Damager) -> None:
    """Add a codeword whose last offset is one below the smallest valid one.

    The offset ends on range - 1, which the parent makes odd; the codeword is valid otherwise.
    """
    parent = next(
        name for name in (f"core/engine/end-{n}" for n in range(1, 9)) if _range_at_end(m.of(name)) % 2 == 0
    )
    stream = m.of(parent)
    stop_bit = stream[-1] & -stream[-1]
    octets = (int.from_bytes(stream, "big") - 2 * stop_bit).to_bytes(len(stream), "big")
    m.add("codeword/terminating-bin-0-by-one", "A decoder that takes more off the range than 2 at the terminating bin.", "arithmetic-engine",
          octets, "malformed", "payload", parent=parent, mutation="the offset at the terminating bin is range - 3",
          element="nnr_compressed_data_unit_payload", clauses=("5.1.6",))  # fmt: skip


def _range_at_end(stream: bytes) -> int:
    bins: list[int] = []
    Session(observe=lambda _, trace: bins.append(trace.range)).decode(stream)
    return bins[-1] + 2


def _without_end() -> bytes:
    """Write a codeword that is valid except for its terminating bin, which is 0."""

    def finish(self: CodewordWriter) -> None:
        self.range -= 2
        self._renormalise()
        value, n_bits = self.low | 1, self.n_shifts + 9
        padding = -n_bits % 8
        self.octets = (value << padding).to_bytes((n_bits + padding) // 8, "big")

    with mock.patch.object(CodewordWriter, "finish", finish):
        return one(d.data_unit("w", (3, 4), ramp(), profile=0))


def _escapes(m: Damager) -> None:
    parent = "core/binarisation/escape-30-unary-1"
    beyond = {"positive": [1 << 31], "negative": [-(1 << 31) - 1], "longest": [(1 << 32) - 2 + 2]}
    for name, values in beyond.items():
        unit = d.data_unit("n", (4,), TensorScript(values), kind=d.INT, profile=0, unary=1)
        m.add(f"codeword/escape-overflow-{name}", "A decoder whose levels wrap round.", "exp-golomb", overflowing(unit), "malformed",
              "payload", parent=parent, mutation=f"a level of {values[0]}", element="nnr_compressed_data_unit_payload")  # fmt: skip
    unit = d.data_unit("w", (2,), TensorScript([1 << 30, 3]), profile=0, unary=1, dq=1)
    m.add("codeword/level-overflow-after-mapping", "A decoder whose levels wrap round after the mapping of dependent quantisation.",
          "dependent-quantization", overflowing(unit), "malformed", "payload", parent="core/trellis/dense-0", mutation="a level of 2^31",
          element="nnr_compressed_data_unit_payload")  # fmt: skip
    book = d.codebook([-9, -1, 0, 4, 5, 6, 7, 8], 2)
    unit = d.data_unit("w", (2,), TensorScript([6, 0]), profile=1, book=book, unary=1)
    m.add("codeword/escape-beyond-codebook", "A decoder that indexes outside its codebook.", "codebook exp-golomb",
          overflowing(unit, loose=True), "malformed", "payload", parent="extended/codebook/lopsided-unary-1", mutation="a magnitude of 6 where 5 is the largest",
          element="nnr_compressed_data_unit_payload", profile=1)  # fmt: skip
    unit = d.data_unit("w", (2,), TensorScript([6, 0]), profile=0, book=book)
    m.add("codeword/level-outside-codebook-profile-0", "A decoder that indexes outside its codebook.", "codebook", overflowing(unit), "malformed",
          "reconstruction", parent="core/codebook/seven-unary-10", mutation="a level of 6 where 5 is the largest",
          element="nnr_compressed_data_unit_payload")  # fmt: skip
    unit = d.data_unit("w", (2,), TensorScript([-2, 0]), profile=1, book=book, dq=1)
    m.add("codeword/level-outside-codebook-dq", "A decoder that bounds the coded value only.", "codebook dependent-quantization", overflowing(unit),
          "malformed", "reconstruction", parent="extended/codebook/seven-dq-unary-10", mutation="a level of -4 where -2 is the least",
          element="nnr_compressed_data_unit_payload", profile=1)  # fmt: skip


def overflowing(unit: d.UnitDraft, *, loose: bool = False) -> bytes:
    """Write a stream with levels that the model rejects, by disabling its checks."""
    from spec.model import stream as model_stream
    from spec.model import tensor_data

    read_magnitude = tensor_data.TensorData._magnitude

    def magnitude(self: tensor_data.TensorData, *arguments: Any) -> int:
        value = read_magnitude(self, *arguments)
        return 1 if loose else value

    profile = 1 if "node_id_present_flag" in unit.tree else 0
    with (
        mock.patch.object(tensor_data.TensorData, "_magnitude", magnitude),
        mock.patch.object(tensor_data, "INT32_MIN", -(1 << 40)),
        mock.patch.object(tensor_data, "INT32_MAX", 1 << 40),
        mock.patch.object(model_stream._StreamDecoder, "_reconstruct", return_value=None),
    ):
        return one(unit, d.mps(profile, methods=3), profile=profile)


def _block_rows(m: Damager) -> None:
    """Add codewords with an offset of 256 or more where the range becomes 256; their writer skips that step once."""
    for name, n_narrowed in (("first", 0), ("later", 1)):
        m.add(f"codeword/offset-above-256-{name}", "A decoder that goes on with an offset outside its range at a block row.", "block-scan",
              _not_narrowed(n_narrowed), "malformed", "payload", parent="core/scan/1-17x20",
              mutation=f"the range is not narrowed at block row {n_narrowed}", element="nnr_compressed_data_unit_payload",
              clauses=("5.5.1",))  # fmt: skip


def _not_narrowed(n_narrowed: int) -> bytes:
    narrowing = CodewordWriter.narrow
    for attempt in range(200):
        calls = iter(range(100))

        def narrow(self: CodewordWriter, calls: Any = calls) -> None:
            if next(calls) != n_narrowed:
                narrowing(self)

        with mock.patch.object(CodewordWriter, "narrow", narrow):
            values = drawn_values(rng_of(f"no narrowing {n_narrowed} {attempt}"), 0.6, 5)
            unit = d.data_unit("w", (17, 20), TensorScript(values), profile=0, scan=1, entry_points=_masked)
            stream = one(unit)
        if _fails_at_narrowing(stream):
            return stream
    raise LookupError("no seed leads to such an offset")


def _fails_at_narrowing(stream: bytes) -> bool:
    """True if the model rejects a stream where it narrows the range for a block row."""
    narrowing = ArithmeticDecoder.narrow
    failed = False

    def narrow(self: ArithmeticDecoder) -> None:
        nonlocal failed
        failed = True
        narrowing(self)
        failed = False

    with mock.patch.object(ArithmeticDecoder, "narrow", narrow), contextlib.suppress(Malformed):
        decode([stream])
    return failed


def _masked(points: list[dict[str, int]]) -> None:
    for point in points:
        point["cabac_offset_value"] &= 255


def _sequences(m: Damager) -> None:
    parent = "extended/incremental/temporal"
    streams = m.parents[parent].streams
    m.add("sequence/parent-depth-unknown", "A decoder that takes some other update for the one that is missing.", "incremental parent-node",
          [streams[0], streams[2]], "malformed", "sequence", parent=parent, mutation="second update left out", element="put_node_depth",
          stream=1, comment="Decision 0015.")  # fmt: skip
    made = Updates("another shape", (9, 8))
    made.update(1)
    first_streams = list(made.streams)
    other = Updates("another shape, too", (8, 9))
    other.update(1)
    other.update(2)
    m.add("sequence/parent-of-another-shape", "A decoder that reads contexts beyond the end of a smaller base.", "incremental temporal-context",
          [first_streams[0], other.streams[1]], "malformed", "sequence", parent=parent, mutation="second update of another shape",
          element="tensor_dimensions", stream=1)  # fmt: skip
    damaged = streams[1][:-1] + bytes([streams[1][-1] ^ 0xFF])
    m.add("sequence/damaged-second", "A decoder that delivers an update whose codeword does not end.", "incremental",
          [streams[0], damaged, streams[2]], "malformed truncated", "payload", parent=parent, mutation="last byte of the second stream inverted",
          element="nnr_compressed_data_unit_payload", stream=1)  # fmt: skip
