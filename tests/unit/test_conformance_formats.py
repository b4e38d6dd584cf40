# SPDX-License-Identifier: Apache-2.0
"""File formats of the checker: manifests, schemas, outputs, lint and coverage."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnr_conformance.adapter import resolve_adapter
from nnr_conformance.answer import Answer
from nnr_conformance.arrays import digest, load_arrays, save_arrays
from nnr_conformance.cli import main
from nnr_conformance.coverage import Coverage, CoverageGroup, CoverageItem
from nnr_conformance.divergence import first_difference
from nnr_conformance.errors import SchemaError, SuiteError, UsageError
from nnr_conformance.expectation import Tolerance
from nnr_conformance.json_schema import from_json, save_json, to_json
from nnr_conformance.lint import lint
from nnr_conformance.manifest import Manifest
from nnr_conformance.output import OutputError, read_output
from nnr_conformance.python_child import save_answer
from nnr_conformance.runner import Plan, run
from nnr_conformance.safetensors import parse_safetensors
from nnr_conformance.schemas import render_schemas
from nnr_conformance.suite import Suite, find_suites
from nnr_conformance.toy_suite import write_toy_suite
from nnr_conformance.vector import size_class

REPOSITORY = Path(__file__).resolve().parents[2]
Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    return write_toy_suite(tmp_path_factory.mktemp("suites") / "toy")


# --- suites ---------------------------------------------------------------------------------------


def test_suites_are_found_by_argument_environment_and_working_folder(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NNR_SUITES", raising=False)
    with pytest.raises(UsageError):
        find_suites()
    assert [one.folder for one in find_suites(suite.folder)] == [suite.folder]
    copy = tmp_path / "conformance" / "suites" / "toy"
    shutil.copytree(suite.folder, copy)
    assert [one.folder for one in find_suites()] == [copy]
    monkeypatch.setenv("NNR_SUITES", str(suite.folder.parent))
    assert [one.folder for one in find_suites()] == [suite.folder]


@pytest.mark.parametrize("adapter", ["model", "nncodec"])
def test_an_adapter_of_the_source_tree_says_that_it_is_missing(
    adapter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NNR_PEER_VENV", raising=False)
    with pytest.raises(UsageError):
        resolve_adapter(adapter)


def test_a_callable_of_a_file_imports_its_neighbours(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("from nnr_conformance.adapters.toy import decode\n")
    (tmp_path / "mine.py").write_text("from neighbour import decode\n")
    adapter = resolve_adapter(f"python:{tmp_path / 'mine.py'}:decode")
    assert adapter.name == "mine.py:decode"  # no path of this machine in certificates
    [vector] = [vector for vector in suite.manifest.vectors if vector.id == "toy/dense"]
    assert run(Plan(adapter, [suite], [(suite, vector)])).conforms


# --- manifest and schema --------------------------------------------------------------------------


def test_manifest_survives_reading_and_writing(suite: Suite) -> None:
    assert from_json(Manifest, json.loads(json.dumps(to_json(suite.manifest)))) == suite.manifest


@pytest.mark.parametrize(
    ("edit", "path"),
    [
        (lambda v: v.update(colour="red"), "$.vectors[0].colour"),
        (lambda v: v.pop("purpose"), "$.vectors[0].purpose"),
        (lambda v: v.update(id="Toy/Dense"), "$.vectors[0].id"),
        (lambda v: v.update(purpose="no full stop"), "$.vectors[0].purpose"),
        (lambda v: v.update(profile=True), "$.vectors[0].profile"),
        (lambda v: v.update(profile=2), "$.vectors[0].profile"),
        (lambda v: v.update(features=["wings"]), "$.vectors[0].features[0]"),
        (lambda v: v.update(features=[]), "$.vectors[0].features"),
        (lambda v: v.update(clauses="5.3"), "$.vectors[0].clauses"),
        (lambda v: v.update(requirement="may"), "$.vectors[0].requirement"),
        (lambda v: v["streams"][0].update(file="../secret"), "$.vectors[0].streams[0].file"),
        (lambda v: v["streams"][0].update(sha256="0"), "$.vectors[0].streams[0].sha256"),
        (lambda v: v["streams"][0].update(size_bytes=-1), "$.vectors[0].streams[0].size_bytes"),
        (lambda v: v["expect"].update(verdict="maybe"), "$.vectors[0].expect.verdict"),
        (
            lambda v: v["expect"]["units"][0][0].update(nnr_unit_type="0"),
            "$.vectors[0].expect.units[0][0].nnr_unit_type",
        ),
        (
            lambda v: v["expect"].update(error={"classes": ["odd"], "stage": "header"}),
            "$.vectors[0].expect.error.classes[0]",
        ),
        (
            lambda v: v["expect"].update(error={"classes": ["limit"], "stage": "header", "bits": [1]}),
            "$.vectors[0].expect.error.bits",
        ),
    ],
)  # fmt: skip
def test_manifest_departures_are_located(suite: Suite, edit: Edit, path: str) -> None:
    value = json.loads(json.dumps(to_json(suite.manifest)))
    edit(value["vectors"][0])
    with pytest.raises(SchemaError) as caught:
        from_json(Manifest, value)
    assert caught.value.path == path


def test_published_schemas_are_the_declarations() -> None:
    folder = REPOSITORY / "conformance" / "schema"
    published = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    assert published == render_schemas(), "write them again with nnr_conformance.schemas.write_schemas"


def test_schemas_admit_no_extra_properties() -> None:
    def objects(schema: Any) -> list[dict[str, Any]]:
        if isinstance(schema, list):
            return [nested for part in schema for nested in objects(part)]
        if not isinstance(schema, dict):
            return []
        here = [schema] if "properties" in schema and "type" in schema else []
        return here + [nested for part in schema.values() for nested in objects(part)]

    schemas = objects(json.loads(render_schemas()["manifest.schema.json"]))
    assert len(schemas) > 10
    assert all(schema["additionalProperties"] is False for schema in schemas)


def test_schema_agrees_with_the_reader(suite: Suite) -> None:
    jsonschema = pytest.importorskip(
        "jsonschema", reason="the schema is checked against its declaration anyway"
    )
    schema = json.loads(render_schemas()["manifest.schema.json"])
    value = to_json(suite.manifest)
    jsonschema.Draft202012Validator(schema).validate(value)
    value["vectors"][0]["colour"] = "red"
    assert not jsonschema.Draft202012Validator(schema).is_valid(value)


# --- suites ---------------------------------------------------------------------------------------


def test_damaged_files_are_noticed(tmp_path: Path) -> None:
    suite = write_toy_suite(tmp_path / "toy")
    stream = suite.manifest.vectors[0].streams[0]
    suite.path(stream).write_bytes(suite.read(stream)[:-1] + b"?")
    with pytest.raises(SuiteError, match="SHA-256"):
        suite.read(stream)


def _lint_changed(suite: Suite, name: str, **changes: Any) -> list[str]:
    vectors = tuple(replace(v, **changes) if v.id == f"toy/{name}" else v for v in suite.manifest.vectors)
    return lint([Suite(suite.folder, replace(suite.manifest, vectors=vectors))], {"nnr_unit_size"})


def test_lint_passes_a_sound_suite(suite: Suite) -> None:
    assert lint([suite], {"nnr_unit_size"}) == []


@pytest.mark.parametrize(
    ("name", "changes", "fault"),
    [
        ("dense", {"id": "toy/near"}, "the id is used twice"),
        ("dense", {"id": "core/dense"}, "an id begins with its suite's name"),
        ("near", {"agreed_by": ("toy",)}, "two independent implementations"),
        ("near", {"size_class": "large"}, "are tiny, not large"),
        ("near", {"elements": ("colour",)}, "colour is not an element of the grammar"),
        ("near", {"streams": ()}, "belongs to no vector"),
    ],
)
def test_lint_finds(suite: Suite, name: str, changes: dict[str, Any], fault: str) -> None:
    assert any(fault in reported for reported in _lint_changed(suite, name, **changes))


def test_lint_finds_arrays_that_are_not_the_stated_ones(suite: Suite) -> None:
    vector = next(vector for vector in suite.manifest.vectors if vector.id == "toy/dense")
    levels = vector.expect.levels
    assert levels is not None
    other = (replace(levels[0], sha256="0" * 64), *levels[1:])
    faults = _lint_changed(suite, "dense", expect=replace(vector.expect, levels=other))
    assert any("0/level:file is not the one that the manifest states" in fault for fault in faults)


@pytest.mark.parametrize(("size", "name"), [(0, "tiny"), (1023, "tiny"), (1024, "small"), (1 << 18, "large")])
def test_size_classes(size: int, name: str) -> None:
    assert size_class(size) == name


# --- outputs --------------------------------------------------------------------------------------


def test_npz_keeps_any_name_and_its_bytes(tmp_path: Path) -> None:
    arrays = {"file": np.arange(3), "a/b.npy": np.zeros((2, 0), np.float32), "": np.float64(1.5).reshape(())}
    for name in ("one.npz", "two.npz"):
        save_arrays(tmp_path / name, arrays, compress=True)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    loaded = load_arrays(tmp_path / "one.npz")
    assert list(loaded) == list(arrays)
    assert all(
        loaded[name].shape == array.shape and (loaded[name] == array).all() for name, array in arrays.items()
    )


def test_numpys_own_npz_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "0.npz", **{"w": np.ones((2, 3), np.float32), "level:w": np.ones((2, 3), np.int32)})
    answer = read_output(tmp_path / "0.npz")
    assert answer.values["w"].shape == (2, 3)
    assert answer.levels["w"].dtype == np.int32


def test_pickles_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "0.npz", w=np.array([object()]))
    with pytest.raises(OutputError, match="allow_pickle"):
        read_output(tmp_path / "0.npz")


def test_prefixed_names_come_back(tmp_path: Path) -> None:
    answer = Answer(
        values={"level:x": np.ones(1, np.float32)}, levels={"bit:": np.ones(1, np.int32)}, trace="0\n"
    )
    save_answer(answer, tmp_path / "0.npz")
    again = read_output(tmp_path / "0.npz")
    assert (list(again.values), list(again.levels), again.trace) == (["level:x"], ["bit:"], "0\n")


def _safetensors(header: dict[str, Any], body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def test_safetensors(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
        "level:w": {"dtype": "I32", "shape": [2, 2], "data_offsets": [16, 32]},
    }
    body = np.arange(4, dtype="<f4").tobytes() + np.arange(4, dtype="<i4").tobytes()
    (tmp_path / "0.safetensors").write_bytes(_safetensors(header, body))
    answer = read_output(tmp_path / "0.safetensors")
    assert answer.values["w"].tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert answer.levels["w"].tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    "content",
    [
        b"\x01",
        _safetensors({}, b"")[:-1],
        struct.pack("<Q", 1 << 60) + b"{}",
        _safetensors({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"1234"),
        _safetensors({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"123"),
        _safetensors({"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234"),
        _safetensors({"w": {"dtype": "F4", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        _safetensors({"w": 1}, b""),
    ],
)
def test_bad_safetensors(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_safetensors(content)


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"PK\x03\x04", b'{"format": "nnr-conformance-report/2"}', b"{"]
)
def test_unreadable_outputs(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "0.npz").write_bytes(content)
    with pytest.raises(OutputError):
        read_output(tmp_path / "0.npz")


# --- comparison -----------------------------------------------------------------------------------


def test_digest_is_of_little_endian_c_order() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert digest(array) == digest(array.astype(">f4")) == digest(np.asfortranarray(array))
    assert digest(array) != digest(array.T)


def test_comparison_is_of_bits() -> None:
    nan, zero = np.array([np.nan, 0.0], np.float32), np.array([np.nan, -0.0], np.float32)
    assert first_difference(nan, nan.copy(), layer="values") is None
    divergence = first_difference(nan, zero, layer="values")
    assert divergence is not None
    assert (divergence.index, divergence.expected_hex, divergence.actual_hex) == (
        (1,),
        "00000000",
        "80000000",
    )


def test_comparison_within_a_tolerance() -> None:
    near = Tolerance(absolute=0.5, relative=0.1, reason="a test")
    expected = np.array([[10.0, np.nan, np.inf]], np.float64)
    assert (
        first_difference(expected, np.array([[11.5, np.nan, np.inf]]), layer="values", tolerance=near) is None
    )
    far = first_difference(expected, np.array([[11.6, np.nan, -np.inf]]), layer="values", tolerance=near)
    assert far is not None
    assert (far.index, far.n_different) == ((0, 0), 2)


def test_a_scalar_has_an_empty_index() -> None:
    divergence = first_difference(np.float32(1).reshape(()), np.float32(2).reshape(()), layer="values")
    assert divergence is not None
    assert divergence.index == ()


# --- coverage -------------------------------------------------------------------------------------


def _coverage(suite: Suite, *items: CoverageItem) -> Coverage:
    group = CoverageGroup(name="contexts", items=items)
    return Coverage(
        format="nnr-conformance-coverage/1", suites={"toy": suite.manifest_sha256()}, groups=(group,)
    )


REACHED = CoverageItem(id="context[0].bin0", covered_by=("toy/dense",), count=3)
MISSED = CoverageItem(id="context[0].bin1")
EXCUSED = CoverageItem(id="context[86]", reachable=False, reason="the codebook is too small.")


@pytest.mark.parametrize(
    ("items", "floor", "code"),
    [((REACHED, EXCUSED), "100", 0), ((REACHED, MISSED), "50", 0), ((REACHED, MISSED), "50.1", 1)],
)
def test_coverage_has_a_floor(
    suite: Suite, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    items: tuple[CoverageItem, ...], floor: str, code: int,
) -> None:  # fmt: skip
    path = tmp_path / "coverage.json"
    save_json(_coverage(suite, *items), path)
    arguments = ["--file", str(path), "--suites", str(suite.folder), "--floor", floor, "--missing"]
    assert main(["coverage", *arguments]) == code
    output = capsys.readouterr().out
    assert ("50.00 %" in output) == (MISSED in items)
    assert (MISSED.id in output) == (MISSED in items)


def test_coverage_of_another_suite_or_without_a_reason_is_worthless(suite: Suite) -> None:
    excuse = replace(EXCUSED, reason="")
    ghost = replace(REACHED, covered_by=("toy/ghost",))
    faults = replace(_coverage(suite, excuse, ghost), suites={"toy": "0" * 64, "core": "0" * 64}).faults(
        [suite]
    )
    assert len(faults) == 4
