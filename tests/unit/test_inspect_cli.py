# SPDX-License-Identifier: Apache-2.0
"""The commands: exit codes, formats against their published schemas, pipes, colours, harmless names."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnr_codec
from nnr_codec.cli import main

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
STREAM = GOLDEN / "block_dc_bi_p1_scan1.nnc"
VIEWS = ["summary", "tree", "trace", "hex", "units", "tensors", "stats", "contexts"]
TABLES = VIEWS[2:3] + VIEWS[4:]


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.nnr"
    path.write_bytes(nnr_codec.encode({"w": np.arange(30, dtype=np.float32).reshape(5, 6)}))
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.nnc"
    path.write_bytes(STREAM.read_bytes()[:150])
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def validate(document: Any, name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema checks the published schemas")
    text = (resources.files("nnr_codec.inspect.views") / "schema" / f"{name}.schema.json").read_text("utf-8")
    jsonschema.validate(document, json.loads(text), cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("view", [*VIEWS, "html"])
def test_exit_codes_tell_sound_from_malformed(
    view: str, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "dump", STREAM, "--view", view)[0] == 0
    code, out, _ = run(capsys, "dump", broken, "--view", view)
    assert code == 1
    assert out


@pytest.mark.parametrize(
    "arguments",
    [
        ["dump"],
        ["dump", "no-such-file"],
        ["dump", GOLDEN],
        ["dump", STREAM, "--view", "nonsense"],
        ["dump", STREAM, "--view", "hex", "--format", "csv"],
        ["diff", STREAM],
        ["diff", STREAM, "no-such-file"],
        ["explain", "no_such_element"],
        ["validate"],
        ["validate", "no-such-file"],
    ],
)
def test_wrong_usage_is_3(arguments: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *arguments)
    assert code == 3
    assert not out
    assert len(err.splitlines()) == 1


def test_json_dump_obeys_its_schema(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (STREAM, broken, GOLDEN / "integers.nnc"):
        validate(json.loads(run(capsys, "dump", path, "--json")[1]), "dump")
        for line in run(capsys, "dump", path, "--format", "jsonl")[1].splitlines():
            validate(json.loads(line), "dump-record")
        validate(json.loads(run(capsys, "dump", path, "--json", "--view", "summary")[1]), "summary")


@pytest.mark.parametrize("view", TABLES)
def test_tables_come_in_every_format(view: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(run(capsys, "dump", STREAM, "--view", view, "--json")[1])
    validate(document, "table")
    rows = document["rows"]
    assert rows
    lines = run(capsys, "dump", STREAM, "--view", view, "--format", "jsonl")[1].splitlines()
    assert [{k: v for k, v in json.loads(line).items() if k != "record"} for line in lines] == rows
    table = list(csv.DictReader(io.StringIO(run(capsys, "dump", STREAM, "--view", view, "-f", "csv")[1])))
    assert [list(row) for row in table] == [list(row) for row in rows]
    markdown = run(capsys, "dump", STREAM, "--view", view, "-f", "markdown")[1].splitlines()
    assert len(markdown) == len(rows) + 2


def test_dump_and_build_through_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dumped, built = tmp_path / "dump.json", tmp_path / "built.nnc"
    assert run(capsys, "dump", STREAM, "--json", "-o", dumped)[0] == 0
    assert run(capsys, "dump", "--build", dumped, "-o", built)[0] == 0
    assert built.read_bytes() == STREAM.read_bytes()
    assert run(capsys, "dump", STREAM, "--set", "nnr_unit[1].mps_qp_density=5", "-o", built)[0] == 0
    assert run(capsys, "dump", built, "--path", "nnr_unit[1].mps_qp_density")[1].count("value 5") == 1
    assert run(capsys, "dump", STREAM, "--set", "nonsense", "-o", built)[0] == 1


def test_at_names_the_field(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "dump", STREAM, "--at", 24)
    assert code == 0
    assert "nnr_unit[0].general_profile_idc" in out
    assert "[00000001]" in out
    payload_bit = 8 * STREAM.stat().st_size - 100
    out = run(capsys, "dump", STREAM, "--at", payload_bit)[1]
    assert "nnr_compressed_data_unit_payload" in out
    assert "coded level" in out
    assert run(capsys, "dump", STREAM, "--at", 10**6)[0] == 1
    assert run(capsys, "dump", STREAM, "--path", "nnr_unit[7]")[0] == 1


def test_diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "diff", STREAM, STREAM)[:2][0] == 0
    other = tmp_path / "other.nnc"
    run(capsys, "dump", STREAM, "--set", "nnr_unit[1].mps_quantization_parameter=-4", "-o", other)
    code, out, _ = run(capsys, "diff", STREAM, other)
    assert code == 1
    assert "mps_quantization_parameter: 0 -> -4" in out
    code, out, _ = run(capsys, "diff", STREAM, other, "--json")
    validate(json.loads(out), "diff")
    assert json.loads(out)["elements"][0]["after"] == -4


def test_explain_knows_every_element(capsys: pytest.CaptureFixture[str]) -> None:
    from nnr_codec.inspect.explain.declarations import declarations
    from nnr_codec.inspect.explain.meanings import MEANINGS

    assert set(MEANINGS) == set(declarations())
    documents = json.loads(run(capsys, "explain", "--json")[1])
    for document in documents:
        validate(document, "explain")
        assert document["meaning"]
    out = run(capsys, "explain", "dq_state", "--in", GOLDEN)[1]
    assert "u(3)" in out
    assert "scan_order > 0" in out


def test_names_cannot_drive_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "evil\x1b[2J\x07</script><b>"
    path = tmp_path / "evil.nnr"
    path.write_bytes(nnr_codec.encode({name: np.eye(4, dtype=np.float32)}))
    for view in VIEWS:
        out = run(capsys, "dump", path, "--view", view, "--color", "never")[1]
        assert "\x1b" not in out
        assert "\x07" not in out
    for form in ("csv", "markdown"):
        assert "\x1b" not in run(capsys, "dump", path, "--view", "trace", "-f", form)[1]
    page = run(capsys, "dump", path, "--view", "html")[1]
    assert "\x1b" not in page
    assert "</script><b>" not in page


def test_colours_only_where_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "\x1b[" not in run(capsys, "dump", STREAM)[1]
    assert "\x1b[" in run(capsys, "dump", STREAM, "--color", "always")[1]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in run(capsys, "dump", STREAM)[1]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("width", [40, 80])
def test_text_keeps_to_the_width(view: str, width: int, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "dump", STREAM, "--view", view, "--width", width)[1]
    assert max(map(len, out.splitlines())) <= width


def test_a_closed_pipe_is_quiet() -> None:
    command = [sys.executable, "-m", "nnr_codec.cli", "dump", str(STREAM), "--view", "trace"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) in (0, 141)
    assert complaint == b""


def test_page_asks_nothing_of_the_network(capsys: pytest.CaptureFixture[str]) -> None:
    page = run(capsys, "dump", STREAM, "--view", "html")[1]
    assert "default-src 'none'" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


def test_validate_has_an_exit_code_for_each_verdict(
    sound: Path, broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / "odd.nnr"
    assert run(capsys, "dump", sound, "--set", "nnr_unit[1].nnr_unit_size_flag=1", "-o", odd)[0] == 0
    code, out, _ = run(capsys, "validate", odd)
    assert code == 0
    assert out.splitlines()[-1] == "valid, 1 warning"
    assert "nnr_unit[1].nnr_unit_size_flag" in out
    assert run(capsys, "validate", "--strict", odd)[0] == 2
    assert run(capsys, "validate", "--strict", sound)[:2] == (0, "valid, no warnings\n")
    code, out, _ = run(capsys, "validate", broken, "--json")
    assert code == 1
    assert [finding["severity"] for finding in json.loads(out)] == ["error"]
    code, out, _ = run(capsys, "validate", STREAM, "--limit", "max_units=2")
    assert code == 3
    assert out.splitlines()[-1].startswith("no verdict")


def test_validate_reads_standard_input(sound: Path) -> None:
    command = [sys.executable, "-m", "nnr_codec.cli", "validate", "-"]
    done = subprocess.run(command, input=sound.read_bytes(), capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"valid, no warnings\n")
