# SPDX-License-Identifier: Apache-2.0
"""Every structure of an ONNX model through reader, topology and writer, judged by ONNX Runtime."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from nnr_codec.frameworks import open_model, save_model
from tests.onnx_models import CASES, run, save

pytest.importorskip("onnxruntime")


def assert_equal_outputs(model: Path, original: Path, inputs: dict[str, Any]) -> None:
    for result, expected in zip(run(model, inputs), run(original, inputs), strict=True):
        assert result.dtype == expected.dtype
        assert (
            result.tobytes() == expected.tobytes() if result.dtype != object else (result == expected).all()
        )


@pytest.mark.parametrize("external", [False, True], ids=["inside", "external"])
@pytest.mark.parametrize("name", CASES)
def test_models_run_as_before(tmp_path: Path, name: str, external: bool) -> None:
    case = CASES[name]()
    save(case, tmp_path / "whole.onnx")
    # Turns the model's own tensors into external ones.
    save(case, tmp_path / "in" / "m.onnx", external=external)
    with open_model(tmp_path / "in" / "m.onnx") as source:
        assert sorted(source) == sorted(case.names)
        topology = source.topology()
        assert topology is not None
        save_model(tmp_path / "out.onnx", source, template=topology, metadata=source.metadata)
        save_model(tmp_path / "beside.onnx", source, template=topology, external_data=True)
        save_model(tmp_path / "again.onnx", source, template=tmp_path / "in" / "m.onnx")
        deflated = sum(len(zlib.compress(source.read_stored(tensor))) for tensor in source)
    assert len(zlib.compress(topology)) + deflated <= 1.01 * (tmp_path / "whole.onnx").stat().st_size + 1000
    bare = onnx.load_model_from_string(topology)
    assert "weights.bin" not in str(bare)
    assert not any(entry for entry in bare.metadata_props)
    for result in ("out", "beside", "again"):
        assert_equal_outputs(tmp_path / f"{result}.onnx", tmp_path / "whole.onnx", case.inputs)
    assert onnx.load(tmp_path / "out.onnx").metadata_props == case.model.metadata_props


@pytest.mark.parametrize("name", CASES)
def test_a_written_model_gives_the_same_names_and_elements(tmp_path: Path, name: str) -> None:
    save(CASES[name](), tmp_path / "m.onnx")
    with open_model(tmp_path / "m.onnx") as source:
        save_model(tmp_path / "n.onnx", source, template=source.topology())
        with open_model(tmp_path / "n.onnx") as again:
            assert again.names() == source.names()
            for tensor in source:
                assert again.describe(tensor) == source.describe(tensor)
                assert again[tensor].tobytes() == source[tensor].tobytes()


@pytest.mark.parametrize(
    "name",
    ["initializer", "branches", "nested_loop", "scan", "function", "sparse", "eight_bits", "exact_constants"],
)
def test_models_with_raw_data_come_back_byte_for_byte(tmp_path: Path, name: str) -> None:
    save(CASES[name](), tmp_path / "m.onnx")
    with open_model(tmp_path / "m.onnx") as source:
        save_model(tmp_path / "n.onnx", source, template=source.topology(), metadata=source.metadata)
    assert (tmp_path / "n.onnx").read_bytes() == (tmp_path / "m.onnx").read_bytes()


def test_tensors_arrive_in_any_order_and_are_narrowed_to_the_template(tmp_path: Path) -> None:
    case = CASES["eight_bits"]()
    save(case, tmp_path / "m.onnx")
    with open_model(tmp_path / "m.onnx") as source:
        tensors = {name: source[name] for name in reversed(source.names())}
        assert tensors["brain"].dtype == tensors["f8"].dtype == np.float32
        save_model(tmp_path / "n.onnx", tensors, template=source.topology(), dtypes=source.dtypes)
    assert_equal_outputs(tmp_path / "n.onnx", tmp_path / "m.onnx", case.inputs)


def test_small_constants_are_exact_whatever_is_written(tmp_path: Path) -> None:
    case = CASES["exact_constants"]()
    save(case, tmp_path / "m.onnx")
    with open_model(tmp_path / "m.onnx") as source:
        save_model(tmp_path / "n.onnx", {"w": source["w"] * 1.5}, template=source.topology())
    constants = {
        t.name: onnx.numpy_helper.to_array(t).tolist()
        for t in onnx.load(tmp_path / "n.onnx").graph.initializer
    }
    assert constants["three"] == 3
    assert constants["end"] == [2**63 - 1]
    assert np.isfinite(run(tmp_path / "n.onnx", case.inputs)[0]).all()
