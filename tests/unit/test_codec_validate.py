# SPDX-License-Identifier: Apache-2.0
"""What is said of other encoders' streams."""

import json

import pytest
from nnr_conformance.suite import find_suites

from nnr_codec.cli.validate import command
from nnr_codec.inspect import Severity, validate
from tests.shared_folder import VECTORS, needs_shared, peer_streams

SUITES = {suite.name: suite for suite in find_suites()}


def streams_of(name: str) -> list[bytes]:
    suite = SUITES[name.partition("/")[0]]
    [vector] = [vector for vector in suite.manifest.vectors if vector.id == name]
    return [suite.read(file) for file in vector.streams]


@pytest.mark.parametrize(
    ("name", "element", "clause"),
    [
        ("core/framing/long-size-of-a-small-unit", "nnr_unit_size_flag", "2.2"),
        ("core/framing/unit-type-63", "nnr_unit_type", "2.11"),
        ("core/mps/topology-carriage-without-topology", "topology_carriage_flag", "2.5"),
        ("core/integers/dq-flag-scan-0", "dq_flag", "5.4"),
        ("core/shape/column-with-entry-points", "scan_order", "5.5"),
        ("invalid/either/wrong-entry-points-profile-1", "cabac_offset_value", "5.5.2"),
        ("extended/shape/dimension-shift-3", "first_tensor_dimension_shift", "3.2"),
        ("extended/incremental/temporal-without-predecessor", "temporal_context_modeling_flag", "5.6.2"),
    ],
)
def test_an_odd_choice_is_told_with_its_place(name: str, element: str, clause: str) -> None:
    found = validate(streams_of(name))
    assert [
        f for f in found if f.path.endswith(element) and f.clause == clause and f.bit_offset is not None
    ], found
    assert all(finding.severity is Severity.WARNING for finding in found)


def test_a_plain_stream_is_not_warned_of() -> None:
    assert validate(streams_of("core/framing/plain")) == []


def test_true_entry_points_are_not_warned_of() -> None:
    for name in ("core/scan/1-17x20-dq", "core/block/types-09-scan-1", "core/block/types-15-scan-1"):
        assert not [finding for finding in validate(streams_of(name)) if finding.clause == "5.5.2"]


def test_a_fault_ends_the_matter(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    [finding] = validate(streams_of("invalid/reserved/mps-profile-0-bit-3"))
    assert finding.severity is Severity.ERROR
    assert finding.bit_offset == 65
    path = SUITES["invalid"].folder / "vectors" / "reserved.mps-profile-0-bit-3.nnc"
    assert command.main([str(path), "--json"], standalone_mode=False) == 1
    assert json.loads(capsys.readouterr().out)[0]["severity"] == "error"


def test_every_fault_of_the_suites_is_told_with_clause_and_bit() -> None:
    severity = dict.fromkeys(("truncated", "malformed"), Severity.ERROR)
    severity |= dict.fromkeys(("unsupported", "limit"), Severity.UNCHECKED)
    rejected = [vector for vector in SUITES["invalid"].manifest.vectors if vector.expect.verdict == "reject"]
    assert len(rejected) > 300
    for vector in rejected:
        error = vector.expect.error
        assert error is not None
        *_, last = validate(streams_of(vector.id))
        assert last.severity in {severity[name] for name in error.classes}, vector.id
        assert last.clause, vector.id
        assert last.bit_offset is not None, vector.id
        assert error.bits is None or error.bits[0] <= last.bit_offset <= error.bits[1], vector.id


@pytest.mark.parametrize("suite", ["core", "extended"])
def test_a_valid_stream_has_no_errors(suite: str) -> None:
    for vector in SUITES[suite].manifest.vectors:
        found = validate(streams_of(vector.id))
        assert all(f.severity is Severity.WARNING and f.clause and f.bit_offset is not None for f in found), (
            vector.id
        )


def test_what_is_beyond_the_limits_is_not_called_invalid(capsys: pytest.CaptureFixture[str]) -> None:
    [finding] = validate(streams_of("resource/dimensions/2-60-float"))
    assert finding.severity is Severity.UNCHECKED
    assert finding.clause
    assert finding.bit_offset is not None
    path = SUITES["resource"].folder / "vectors" / "dimensions.2-60-float.nnc"
    assert command.main([str(path)], standalone_mode=False) == 3
    assert "not checked to the end" in capsys.readouterr().out


@needs_shared
def test_the_peers_streams_have_no_errors() -> None:
    streams = {entry["file"]: entry for entry in peer_streams()}
    assert len(streams) >= 66
    for name, entry in streams.items():
        sequence = [(VECTORS / name).read_bytes()]
        while entry["after"]:
            entry = streams[entry["after"]]
            sequence.insert(0, (VECTORS / entry["file"]).read_bytes())
        assert all(finding.severity is Severity.WARNING for finding in validate(sequence)), name
