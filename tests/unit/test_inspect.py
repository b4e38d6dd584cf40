# SPDX-License-Identifier: Apache-2.0
"""Inspector: exact ledgers, damaged streams, and streams rebuilt from dumps."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnr_codec
from nnr_codec.errors import NotEncodable
from nnr_codec.inspect import (
    Paint,
    StrayBytes,
    Summary,
    Survey,
    UnitBuilder,
    UnitReport,
    build_stream,
    records_of,
    summarize,
    unit_record,
)
from nnr_codec.inspect.views.difference import Difference, ElementChange, TensorChange, compare
from nnr_codec.inspect.views.difference_text import difference_lines
from nnr_codec.inspect.views.document import dump_json, dump_json_lines

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("NNR_SHARED", ROOT.parent / "shared")) / "vectors"
GOLDEN = ROOT / "tests" / "golden"
VECTORS = sorted(SHARED.glob("*.nnc"))


def series_before(path: Path) -> list[bytes]:
    stem, _, number = path.stem.rpartition("_")
    if not stem.startswith("tca") or not number.isdigit():
        return []
    return [path.with_name(f"{stem}_{n}.nnc").read_bytes() for n in range(int(number))]


def model() -> bytes:
    random = np.random.default_rng(7)
    weights = {
        "dense.weight": random.standard_normal((40, 24)).astype(np.float32),
        "dense.bias": random.standard_normal(40).astype(np.float32),
        "head.weight": random.standard_normal((6, 40)).astype(np.float32),
    }
    return nnr_codec.encode(weights)


def rebuilt(octets: bytes, *edits: str) -> bytes:
    text = "\n".join(dump_json("stream", Survey(octets), Summary()))
    return b"".join(build_stream(records_of(text), edits))


def sound_names(octets: bytes) -> list[tuple[str, ...]]:
    pieces = [piece for piece in Survey(octets) if isinstance(piece, UnitReport) and not piece.faults]
    return [piece.names for piece in pieces if piece.names]


@pytest.mark.skipif(not VECTORS, reason="no folder of shared vectors; NNR_SHARED names it")
@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_accounts_of_peer_streams_are_exact(path: Path) -> None:
    octets = path.read_bytes()
    survey = Survey(octets, after=series_before(path))
    summary = summarize(survey)
    assert not summary.faults
    assert not summary.notes
    assert summary.ledger.is_exact(len(octets))
    spent = sum(line.bits for line in summary.ledger.payload.values())
    assert spent == pytest.approx(summary.ledger.decoded_payload_bits, abs=1e-6)
    assert summary.ledger.discrepancy_bits < 1e-6
    assert rebuilt(octets) == octets


def test_accounts_of_our_streams_are_exact() -> None:
    octets = model()
    summary = summarize(Survey(octets))
    assert summary.ledger.is_exact(len(octets))
    assert summary.ledger.discrepancy_bits < 1e-6
    assert [tensor.name for tensor in summary.tensors] == ["dense.weight", "dense.bias", "head.weight"]
    assert all(tensor.entropy is not None and tensor.over_entropy is not None for tensor in summary.tensors)
    n_levels = sum(tensor.n_weights for tensor in summary.tensors)
    assert summary.ledger.n_levels == n_levels
    entropy = sum((tensor.entropy or 0) * tensor.n_weights for tensor in summary.tensors)
    assert summary.ledger.entropy_bits == pytest.approx(entropy)


def test_wide_levels_have_a_histogram_that_holds_them_all() -> None:
    levels = np.array([[-70000, -3, 0, 0, 5, 90000]], np.int32)
    from nnr_codec.inspect.read.levels import level_statistics

    statistics = level_statistics(levels, dependent=False)
    assert sum(statistics.histogram) == 6
    assert statistics.bin_width == 8192
    assert (statistics.minimum, statistics.maximum, statistics.n_nonzero) == (-70000, 90000, 4)


def test_cut_anywhere_keeps_what_came_before() -> None:
    octets = model()
    spans = [piece.span for piece in Survey(octets)]
    for end in range(0, len(octets), 7):
        summary = summarize(Survey(octets[:end]))
        assert summary.ledger.is_exact(end)
        whole = sum(span.byte_offset + span.size_bytes <= end for span in spans)
        pieces = list(Survey(octets[:end]))
        units = [piece for piece in pieces if isinstance(piece, UnitReport)]
        assert [unit.span for unit in units[:whole]] == spans[:whole]
        at_boundary = end == 0 or any(span.byte_offset == end for span in spans)
        assert bool(summary.faults) == (end == 0 or not at_boundary)


def test_damaged_size_is_located_and_later_units_are_found() -> None:
    octets = model()
    victim = next(piece.span for piece in Survey(octets) if piece.names == ("dense.bias",))
    for bit in range(1, 16):
        broken = bytearray(octets)
        broken[victim.byte_offset + bit // 8] ^= 0x80 >> bit % 8
        pieces = list(Survey(bytes(broken)))
        fault = next(fault for piece in pieces for fault in piece.faults)
        assert fault.element == "nnr_unit_size"
        assert fault.bit_offset in (8 * victim.byte_offset, 8 * victim.byte_offset + 1)
        assert ("dense.weight",) in sound_names(bytes(broken))
        assert ("head.weight",) in sound_names(bytes(broken))
        assert summarize(pieces).ledger.is_exact(len(octets))


def test_spliced_stream_shows_both_sides() -> None:
    octets, other = model(), (GOLDEN / "integers.nnc").read_bytes()
    cut = next(piece.span for piece in Survey(octets) if piece.names == ("head.weight",))
    spliced = octets[: cut.byte_offset + cut.size_bytes // 2] + other
    names = sound_names(spliced)
    assert names[:2] == [("dense.weight",), ("dense.bias",)]
    assert set(sound_names(other)) <= set(names)
    faulty = next(piece for piece in Survey(spliced) if piece.faults)
    assert faulty.names == ("head.weight",)
    assert faulty.guess
    assert faulty.span.size_bytes == cut.size_bytes // 2


def test_junk_between_units_is_stray() -> None:
    octets = model()
    at = next(piece.span.byte_offset for piece in Survey(octets) if piece.names == ("dense.bias",))
    pieces = list(Survey(octets[:at] + b"\x00\x01\xfe" + octets[at:]))
    stray = next(piece for piece in pieces if isinstance(piece, StrayBytes))
    assert (stray.byte_offset, stray.size_bytes) == (at, 3)
    assert stray.faults[0].bit_offset == 8 * at


def test_truncated_element_shows_how_much_there_is() -> None:
    octets = model()
    span = next(piece.span for piece in Survey(octets) if piece.names == ("dense.weight",))
    cut = octets[: span.byte_offset + 9]
    report = list(Survey(cut))[-1]
    fault = report.faults[-1]
    assert (fault.kind, fault.element) == ("TruncatedBitstream", "topology_elem_id")
    assert fault.expected == "at least 41 bits"
    assert fault.actual == "40 bits"
    assert rebuilt(cut) == cut


@settings(max_examples=150)
@given(st.data())
def test_any_damage_is_accounted_for_and_rebuilt(data: st.DataObject) -> None:
    octets = bytearray((GOLDEN / "block_dc_bi_p1_scan1.nnc").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    broken = bytes(octets[: data.draw(st.integers(0, len(octets)))])
    assert summarize(Survey(broken)).ledger.is_exact(len(broken))
    assert rebuilt(broken) == broken


def test_json_lines_build_the_same_bytes() -> None:
    octets = model()
    text = "\n".join(dump_json_lines("stream", Survey(octets), Summary()))
    assert b"".join(build_stream(records_of(text))) == octets


def test_edit_changes_one_element_and_the_size() -> None:
    octets = model()
    edited = rebuilt(octets, 'nnr_unit[4].topology_elem_id="a.longer.name"')
    assert not summarize(Survey(edited)).faults
    before, after = list(Survey(octets)), list(Survey(edited))
    changed = [a.span.index for a, b in zip(before, after, strict=True) if a.names != b.names]
    assert changed == [4]
    assert after[4].value("nnr_unit_size") == after[4].span.size_bytes


@pytest.mark.parametrize(
    ("edit", "element"),
    [
        ("nnr_unit[0].general_profile_idc=9", None),
        ("nnr_unit[1].nnr_reserved_zero_2bits=3", "nnr_reserved_zero_2bits"),
        ("nnr_unit[1].byte_alignment=255", "byte_alignment"),
        ("nnr_unit[3].nnr_compressed_data_unit_payload=hex:00", "payload"),
        ("nnr_unit[3].nnr_unit_size=5", "nnr_unit_size"),
    ],
)
def test_edit_into_an_invalid_value(edit: str, element: str | None) -> None:
    octets = rebuilt(model(), edit)
    faults = summarize(Survey(octets)).faults
    assert faults
    if element is not None:
        assert element in {fault.element for fault in faults}


@pytest.mark.parametrize(
    "edit", ["nnr_unit[99].x=1", "x=1", "nnr_unit[3].no.such=1", "nnr_unit[3].scan_order"]
)
def test_edit_without_a_place_is_refused(edit: str) -> None:
    with pytest.raises(NotEncodable):
        rebuilt(model(), edit)


def test_records_are_json() -> None:
    octets = model()
    builder = UnitBuilder()
    for piece in Survey(octets):
        record = unit_record(piece, memoryview(octets), builder)
        assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_same_streams_do_not_differ() -> None:
    octets = model()
    assert compare(Survey(octets, keep=True), Survey(octets, keep=True)).same


def test_difference_counts_levels_and_errors() -> None:
    weights = {"w": np.arange(60, dtype=np.float32).reshape(6, 10), "same": np.ones((3, 3), np.float32)}
    before = nnr_codec.encode(weights, qp=-20)
    weights["w"] = weights["w"].copy()
    weights["w"][0, 1] += 5
    after = nnr_codec.encode(weights, qp=-20)
    difference = compare(Survey(before, keep=True), Survey(after, keep=True))
    assert [change.name for change in difference.tensors] == ["w"]
    assert difference.tensors[0].largest_error == pytest.approx(5, abs=0.2)
    assert difference.size_before == len(before)


def test_a_part_without_a_counter_is_followed_by_another() -> None:
    octets = bytes.fromhex(
        "04020100080702005fec80001e1609775f480041088051186f121a2a08004710ae4370e5f4c0e3cd52"
    )
    assert [fault for piece in Survey(octets, payloads=True) for fault in piece.faults]


def test_a_change_of_many_units_is_one_line() -> None:
    difference = Difference(100, 90)
    difference.elements = [ElementChange(f"NNR_NDU w{n}", "dq_flag", 0, 1) for n in range(9)]
    difference.elements.append(ElementChange("NNR_MPS", "mps_qp_density", 6, 2))
    lines = list(difference_lines(("a", "b"), difference, Paint()))
    shared = [line for line in lines if "dq_flag" in line]
    assert shared == [
        "dq_flag: 0 -> 1 in 9 units: " + ", ".join(f"NNR_NDU w{n}" for n in range(6)) + " and 3 more"
    ]
    assert lines[-2:] == ["NNR_MPS", "  mps_qp_density: 6 -> 2"]


def test_tensors_that_differ_are_a_table() -> None:
    difference = Difference(100, 90)
    difference.tensors = [
        TensorChange("w", 2000, 1234, 0.5, 0.01, 8000.0, 16000.0),
        TensorChange("b", 10, None, None, None, 80.0, 80.0, "shape 10 became 2x5"),
    ]
    head, w, b = list(difference_lines(("a", "b"), difference, Paint()))[2:]
    assert head.split()[:3] == ["tensor", "levels", "changed"]
    assert w.split() == ["w", "1,234", "2,000", "61.7", "%", "0.5", "0.01", "1.0", "kB", "2.0", "kB"]
    assert b.endswith("shape 10 became 2x5")
