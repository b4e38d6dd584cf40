# SPDX-License-Identifier: Apache-2.0
"""Messages of ``nnr encode`` about targets."""

from pathlib import Path

import numpy as np
import pytest

from nnr_codec.cli import main


@pytest.fixture
def model(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    path = str(tmp_path / "m.npz")
    np.savez(
        path, a=rng.standard_normal(100).astype(np.float32), b=rng.standard_normal((9, 9)).astype(np.float32)
    )
    return path


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--target-bits 0.001", "target of 0.001 bits per weight is out of reach; the nearest is "),
        ("--target-ratio 1e6", "target ratio 1e+06 is out of reach; the nearest is "),
        ("--max-error 1e-12", "relative error 1e-12 is out of reach; the nearest is "),
        ("--max-error 1e-12 --per-tensor", "relative error 1e-12 is out of reach; the nearest is "),
    ],
)  # fmt: skip
def test_a_missed_target_is_reported(
    model: str, arguments: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "m.nnr")
    assert main(["encode", model, out, *arguments.split()]) == 0
    lines = capsys.readouterr().err.splitlines()
    (line,) = (line for line in lines if "out of reach" in line)
    assert line.startswith(f"{out}: {expected}")
    assert main(["encode", model, out, "-f", "-q", *arguments.split()]) == 0
    assert capsys.readouterr().err == ""


def test_a_target_that_is_met_is_not_mentioned(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encode", model, str(tmp_path / "m.nnr"), "--target-bits", "12"]) == 0
    assert "out of reach" not in capsys.readouterr().err


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_target_is_finite(model: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", model, "--target-ratio", value]) == 2
    assert "finite" in capsys.readouterr().err


def test_a_lossy_step_is_reported_once_for_each_tensor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    weights[0] *= 1000
    path = tmp_path / "spread.npz"
    np.savez(path, w=weights)
    assert main(["encode", str(path), "--max-error", "0.3"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if line.startswith("nnr: w: ")]) == 1
    assert not [line for line in lines if ".py" in line]
    assert main(["encode", str(path), "--max-error", "0.3", "-f", "-q"]) == 0
    assert not capsys.readouterr().err
