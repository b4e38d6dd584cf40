# SPDX-License-Identifier: Apache-2.0
"""Validation of streams of any encoder."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnr_conformance.suite import find_suites

import nnr_codec
from nnr_codec.cli.validate import command
from nnr_codec.inspect import Severity, validate
from nnr_codec.inspect.read import reference_decoder
from nnr_codec.model import NnrUnitType
from nnr_codec.syntax import UnitSpan, generated, iter_unit_spans, walk
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
        ("extended/entry-points/false-offset", "cabac_offset_value", "5.5.2"),
        ("extended/shape/dimension-shift-3", "first_tensor_dimension_shift", "3.2"),
        ("extended/incremental/temporal-without-predecessor", "temporal_context_modeling_flag", "5.6.2"),
    ],
)
def test_an_odd_choice_is_reported_with_its_place(name: str, element: str, clause: str) -> None:
    findings = validate(streams_of(name))
    assert [
        f for f in findings if f.path.endswith(element) and f.clause == clause and f.bit_offset is not None
    ], findings
    assert all(finding.severity is Severity.WARNING for finding in findings)


def test_an_ordinary_stream_has_no_warnings() -> None:
    assert validate(streams_of("core/framing/plain")) == []


def test_true_entry_points_have_no_warnings() -> None:
    for name in ("core/scan/1-17x20-dq", "core/block/types-09-scan-1", "core/block/types-15-scan-1"):
        assert not [finding for finding in validate(streams_of(name)) if finding.clause == "5.5.2"]


def test_an_error_ends_the_check(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    [finding] = validate(streams_of("invalid/reserved/mps-profile-0-bit-3"))
    assert finding.severity is Severity.ERROR
    assert finding.bit_offset == 65
    path = SUITES["invalid"].folder / "vectors" / "reserved.mps-profile-0-bit-3.nnc"
    assert command.main([str(path), "--json"], standalone_mode=False) == 1
    assert json.loads(capsys.readouterr().out)[0]["severity"] == "error"


def test_every_fault_of_the_suites_is_reported_with_clause_and_bit() -> None:
    severity = dict.fromkeys(("truncated", "malformed"), Severity.ERROR)
    severity |= dict.fromkeys(("unsupported", "limit"), Severity.UNCHECKED)
    rejected = [
        vector
        for vector in SUITES["invalid"].manifest.vectors
        if vector.expect.verdict == "reject" and vector.dimensions is None
    ]
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
        if vector.dimensions is not None:
            continue  # `validate` has no shapes from outside
        findings = validate(streams_of(vector.id))
        assert all(
            f.severity is Severity.WARNING and f.clause and f.bit_offset is not None for f in findings
        ), vector.id


def test_content_beyond_the_limits_is_not_invalid(capsys: pytest.CaptureFixture[str]) -> None:
    [finding] = validate(streams_of("resource/dimensions/2-60-float"))
    assert finding.severity is Severity.UNCHECKED
    assert finding.clause
    assert finding.bit_offset is not None
    path = SUITES["resource"].folder / "vectors" / "dimensions.2-60-float.nnc"
    assert command.main([str(path)], standalone_mode=False) == 3
    assert "no verdict" in capsys.readouterr().out


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


def test_every_unit_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = nnr_codec.encode({f"w{n}": np.eye(6, dtype=np.float32) * n for n in range(1, 6)})
    spans = list(iter_unit_spans(stream))
    places: Counter[int] = Counter()
    decoded: Counter[str | None] = Counter()

    class CountingReader(walk.SyntaxReader):
        def __init__(self, buffer: object, start: int, *arguments: Any, **options: Any) -> None:
            places[start >> 3] += 1
            super().__init__(buffer, start, *arguments, **options)

    def count_parse(buffer: object, start: int, *arguments: Any) -> object:
        places[start] += 1
        return parse(buffer, start, *arguments)

    def count_payload(*arguments: Any, **options: Any) -> object:
        decoded[options["path"]] += 1
        return decode_payload(*arguments, **options)

    parse, decode_payload = generated.parse, reference_decoder.decode_payload
    monkeypatch.setattr(walk, "SyntaxReader", CountingReader)
    monkeypatch.setattr(generated, "parse", count_parse)
    monkeypatch.setattr(reference_decoder, "decode_payload", count_payload)
    validate([stream])
    assert places == Counter(span.byte_offset for span in spans)
    assert decoded == Counter(span.path for span in spans if span.nnr_unit_type == NnrUnitType.NNR_NDU)
    assert len(decoded) == 5


def test_every_part_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    [stream] = streams_of("core/framing/parts-many")
    read: Counter[tuple[int, int]] = Counter()
    parse = walk._parse

    def count(reader: Any, span: UnitSpan, state: Any) -> object:
        read[span.byte_offset, span.size_bytes] += 1
        return parse(reader, span, state)

    monkeypatch.setattr(walk, "_parse", count)
    findings = validate([stream])
    assert sum(finding.path.endswith("partial_data_counter") for finding in findings) > 2
    assert read == Counter((span.byte_offset, span.size_bytes) for span in iter_unit_spans(stream))


def test_one_stream_needs_no_list(tmp_path: Path) -> None:
    [stream] = streams_of("invalid/reserved/mps-profile-0-bit-3")
    path = tmp_path / "one.nnr"
    path.write_bytes(stream)
    findings = validate([stream])
    assert findings
    assert validate(bytes(stream)) == validate(path) == validate(str(path)) == findings
    with path.open("rb") as file:
        assert validate(file) == findings
