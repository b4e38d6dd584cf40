# SPDX-License-Identifier: Apache-2.0
"""Adapter in shell and C++, written from the contract alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nnr_conformance.cli import main as checker

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "tests" / "foreign_adapter"


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None or shutil.which("sh") is None:
        pytest.skip("no C++ compiler or no shell here")
    program = tmp_path / "to_safetensors"
    subprocess.run([compiler, "-std=c++17", "-o", program, SOURCES / "to_safetensors.cpp"], check=True)
    monkeypatch.setenv("MODEL_FOLDER", str(ROOT))
    monkeypatch.setenv("MODEL_PYTHON", sys.executable)
    monkeypatch.setenv("TO_SAFETENSORS", str(program))
    return f"cmd:sh {SOURCES / 'adapter.sh'} {{input}} {{output}}"


def test_it_conforms_where_it_is_asked(adapter: str, capsys: pytest.CaptureFixture[str]) -> None:
    ids = ["core/framing/plain", "core/shape/0x5", "core/raw/9", "core/integers/extremes-unary-1", "core/codebook/seven-unary-10",
           "invalid/reserved/mps-profile-0-bit-3", "invalid/truncation/plain-017", "invalid/framing/aggregate-unit"]  # fmt: skip
    assert checker(["run", *ids, "--decoder", adapter, "--quiet", "--jobs", "1"]) == 0, (
        capsys.readouterr().out
    )


def test_explain_names_the_place_and_its_command_shows_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert checker(["explain", "core/framing/plain", "--decoder", "broken:wrong-last-level"]) == 1
    output = capsys.readouterr().out
    assert "tensor 'w'" in output
    assert "index [2, 3]" in output
    assert "bit " in output
    again = next(
        line.split("reproduce", 1)[1].split()
        for line in output.splitlines()
        if line.strip().startswith("reproduce")
    )
    assert checker(again[again.index("explain") :]) == 1
    assert "index [2, 3]" in capsys.readouterr().out
