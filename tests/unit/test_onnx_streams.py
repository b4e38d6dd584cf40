# SPDX-License-Identifier: Apache-2.0
"""ONNX models through streams and the command line, at the defaults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnr_codec.cli import main
from tests.onnx_models import CASES, run, save

pytest.importorskip("onnxruntime")

#: Cases all of whose tensors have arithmetic.
ARITHMETIC = sorted(CASES.keys() - {"four_bits", "strings", "attribute_lists"})


def nnr(*arguments: str | Path) -> None:
    assert main([str(argument) for argument in arguments]) == 0


@pytest.mark.parametrize("external", [False, True], ids=["inside", "external"])
@pytest.mark.parametrize("name", ARITHMETIC)
def test_models_come_out_of_streams(tmp_path: Path, name: str, external: bool) -> None:
    case = CASES[name]()
    save(case, tmp_path / "whole.onnx")
    # Turns the model's own tensors into external ones.
    save(case, tmp_path / "in" / "m.onnx", external=external)
    nnr("encode", tmp_path / "in" / "m.onnx", tmp_path / "m.nnr")
    (tmp_path / "out").mkdir()
    nnr("decode", tmp_path / "m.nnr", tmp_path / "out" / "m.onnx")
    assert (tmp_path / "m.nnr").stat().st_size <= 1.01 * (tmp_path / "whole.onnx").stat().st_size + 1000
    pairs = zip(
        run(tmp_path / "out" / "m.onnx", case.inputs), run(tmp_path / "whole.onnx", case.inputs), strict=True
    )
    for result, expected in pairs:
        assert result.dtype == expected.dtype
        assert np.linalg.norm(result - expected) <= 0.1 * np.linalg.norm(expected)


def test_weights_outside_of_initialisers_are_compressed(tmp_path: Path) -> None:
    for name in ("constant_nodes", "branches", "function"):
        save(CASES[name](), tmp_path / f"{name}.onnx")
        nnr("encode", tmp_path / f"{name}.onnx", tmp_path / f"{name}.nnr")
        assert (tmp_path / f"{name}.nnr").stat().st_size < 0.4 * (tmp_path / f"{name}.onnx").stat().st_size
