# SPDX-License-Identifier: Apache-2.0
"""nnrdec under the conformance suites: verdicts, classes, stages, bits, levels and values."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from nnr_codec import Limits, decode
from tests.libnnr.conftest import built
from tools import libnnr
from tools.damage import native
from tools.damage.__main__ import cases_of, vectors
from tools.damage.cases import damaged
from tools.damage.libnnr import Library

ROOT = Path(__file__).resolve().parents[2]
LARGEST_PROGRAM_BYTES = 150_000


def verdicts(program: Path, folder: Path) -> Counter[str]:
    """Run all suites through a program; the verdicts, and those of the layers of rejections."""
    adapter = folder / "adapter.json"
    adapter.write_text(
        json.dumps(
            {
                "format": "nnr-conformance-adapter/1",
                "name": "nnrdec",
                "kind": "command",
                "command": [str(program), "--levels", "--shape={shape}", "{inputs}", "--to", "{outputs}"],
                "output": "npz" if "amalgamation" in program.parts else "safetensors",
            }
        )
    )
    log = folder / "log.jsonl"
    command = [sys.executable, "-m", "nnr_conformance", "run", "-q", "-j", "2"]
    path = os.pathsep.join([str(ROOT / "conformance"), str(ROOT)])
    result = subprocess.run(
        [*command, "--decoder", str(adapter), "--log", str(log)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    counts: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "result":
            counts[event["verdict"]] += 1
            counts.update(f"{layer} {verdict}" for layer, verdict in event["layers"].items())
    return counts


def test_nnrdec_conforms(build_folder: Path, tmp_path: Path) -> None:
    """Every vector passes, and every rejection that is told has the right class, stage and bit."""
    counts = verdicts(build_folder / "nnrdec", tmp_path)
    assert set(counts) & {"FAIL", "WRONG_ACCEPT", "WRONG_REJECT", "UNSUPPORTED", "SKIP"} == set()
    assert counts["PASS"] > 1100
    for field in ("class", "stage", "bit", "stream"):
        assert counts[f"error.{field} pass"] > 340
        assert counts[f"error.{field} fail"] == counts[f"error.{field} not shown"] == 0
    assert counts["levels pass"] > 500


def test_the_amalgamation_conforms(build_folder: Path, tmp_path: Path) -> None:
    """One file, compiled alone without exceptions and RTTI."""
    folder = libnnr.ROOT / "build/amalgamation"
    program = libnnr.compile_amalgamation(folder)
    assert verdicts(program, tmp_path)["PASS"] > 1100


def test_nnrdec_is_small(tmp_path: Path) -> None:
    """With dynamic libstdc++ and zlib, at -Os and stripped."""
    strip = libnnr.tool("strip")
    if strip is None:
        pytest.skip("binutils are not here")
    program = tmp_path / "nnrdec"
    subprocess.run([strip, "-o", program, built("libnnr-small") / "nnrdec"], check=True)
    assert program.stat().st_size <= LARGEST_PROGRAM_BYTES


def test_damage_is_judged_as_in_python(library: Library) -> None:
    """Flipped bits and truncations: the same verdict, class and bit as the Python decoder."""
    n_cases = 0
    for position, (name, streams) in enumerate(vectors()):
        for number in cases_of(streams, 1999, position):
            case, what = damaged(streams, number)
            assert library.verdict(case) == native.verdict(case), f"{name}: {what}"
            n_cases += 1
    assert n_cases > 500


@pytest.mark.parametrize("piece_bytes", [5, 100])
def test_pushed_streams_are_judged_as_whole_ones(library: Library, piece_bytes: int) -> None:
    """Bytes as they arrive: the same tensors, the same faults at the same places, sequences and parts included."""
    n_cases = 0
    for position, (name, streams) in enumerate(vectors()):
        assert library.verdict(streams, piece_bytes) == library.verdict(streams), name
        for number in cases_of(streams, 2999, position):
            case, what = damaged(streams, number)
            assert library.verdict(case, piece_bytes) == library.verdict(case), f"{name}: {what}"
            n_cases += 1
    assert n_cases > 300


def test_names_and_shapes_agree_with_python(build_folder: Path) -> None:
    """`nnrdec --info` reads headers only."""
    for name, (stream, *more) in vectors():
        if not name.startswith("core/block") or more:
            continue
        tensors = decode(stream, dequantize=False, limits=Limits.none())
        path = build_folder / "info.nnc"
        path.write_bytes(stream)
        lines = subprocess.run(
            [build_folder / "nnrdec", "--info", path], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        shown = {line.split("\t")[0]: json.loads(line.split("\t")[3]) for line in lines}
        expected = {key: list(getattr(tensor, "levels", tensor).shape) for key, tensor in tensors.items()}
        assert shown == expected, name
