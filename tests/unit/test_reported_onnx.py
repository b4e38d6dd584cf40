# SPDX-License-Identifier: Apache-2.0
"""ONNX models of public bug reports, encoded and decoded at the defaults as their owners would.

Each test names the reports. The kinds behind them have tests of their own beside the code that they concern.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnr_codec.cli import main
from nnr_codec.frameworks import open_model
from tests.reported import rng, there_and_back

onnx = pytest.importorskip("onnx", reason="the reports are about ONNX files")
onnxruntime = pytest.importorskip("onnxruntime", reason="the reports are about ONNX Runtime")

from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def info(name: str, *shape: int | str | None, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


def save_onnx(path: str, graph: Any, opset: int = 21, **options: Any) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    opsets = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path, **options)


def outputs(path: str, **inputs: Any) -> Any:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, inputs)[0]


def int4_graph(weights: Any, second: Any) -> Any:
    levels = (np.clip(np.round(weights / 0.02), -8, 7).astype(np.int8).ravel() & 15).astype(np.uint8)
    packed = TensorProto(
        name="W4",
        data_type=TensorProto.INT4,
        dims=weights.shape,
        raw_data=(levels[::2] | (levels[1::2] << 4)).tobytes(),
    )
    nodes = [
        helper.make_node("DequantizeLinear", ["W4", "s"], ["W"]),
        helper.make_node("MatMul", ["x", "W"], ["h"]),
        helper.make_node("MatMul", ["h", "W2"], ["y"]),
    ]
    initializers = [
        packed,
        numpy_helper.from_array(np.float32(0.02), "s"),
        numpy_helper.from_array(second, "W2"),
    ]
    return helper.make_graph(nodes, "g", [info("x", "N", 64)], [info("y", "N", None)], initializers)


def constant_graph(weights: Any, second: Any) -> Any:
    nodes = [
        helper.make_node("Constant", [], ["W"], value=numpy_helper.from_array(weights, "Wc")),
        helper.make_node("MatMul", ["x", "W"], ["h"]),
        helper.make_node("MatMul", ["h", "W2"], ["y"]),
    ]
    second_tensor = numpy_helper.from_array(second, "W2")
    return helper.make_graph(nodes, "g", [info("x", "N", 64)], [info("y", "N", None)], [second_tensor])


def if_graph(weights: Any, _: Any) -> Any:
    def branch(name: str, values: Any) -> Any:
        node = helper.make_node("MatMul", ["x", f"W{name}"], [f"y{name}"])
        tensor = numpy_helper.from_array(values, f"W{name}")
        return helper.make_graph([node], name, [], [info(f"y{name}", "N", 96)], [tensor])

    node = helper.make_node(
        "If", ["c"], ["y"], then_branch=branch("then", weights), else_branch=branch("else", weights * 2)
    )
    inputs = [info("c", kind=TensorProto.BOOL), info("x", "N", 64)]
    return helper.make_graph([node], "g", inputs, [info("y", "N", None)])


@pytest.mark.parametrize("make", [int4_graph, constant_graph, if_graph])
def test_01_external_data_that_is_no_initialiser(make: Callable[[Any, Any], Any]) -> None:
    """optimum#894, optimum#1738, onnxruntime#17945."""
    generator = rng()
    weights = (generator.standard_normal((64, 96)) * 0.05).astype(np.float32)
    second = (generator.standard_normal((96, 10)) * 0.05).astype(np.float32)
    save_onnx(
        "in/model.onnx", make(weights, second), save_as_external_data=True, location="model.onnx_data", size_threshold=0,
        convert_attribute=make is constant_graph,
    )  # fmt: skip
    there_and_back("in/model.onnx", "out/model.onnx")
    assert os.listdir("out") == ["model.onnx"]
    with open_model("in/model.onnx") as model:
        assert sorted(model.paths) == ["in/model.onnx", "in/model.onnx_data"]
    onnx.load("out/model.onnx")
    inputs: dict[str, Any] = {"x": generator.standard_normal((8, 64)).astype(np.float32)}
    if make is if_graph:
        inputs["c"] = np.array(True)
    before, after = outputs("in/model.onnx", **inputs), outputs("out/model.onnx", **inputs)
    assert np.linalg.norm(after - before) < 0.04 * np.linalg.norm(before)


@pytest.mark.parametrize("options", [[], ["--max-error", "0.001"], ["--effort", "best"]], ids=" ".join)
def test_02_the_exponent_of_gelu(options: list[str]) -> None:
    """onnxruntime#11384: an exponent of 2.999 makes NaN of every negative input."""

    def scalar(value: float, name: str) -> Any:
        return numpy_helper.from_array(np.float32(value), name)

    weights = (rng().standard_normal((64, 64)) * 0.1).astype(np.float32)
    tensors = [
        numpy_helper.from_array(weights, "W"), scalar(3, "three"), scalar(0.044715, "c"), scalar(0.7978845608, "k"),
        scalar(0.5, "half"), scalar(1, "one"),
    ]  # fmt: skip
    steps = [
        ("MatMul", "x W", "a"), ("Pow", "a three", "p"), ("Mul", "p c", "q"), ("Add", "a q", "b"), ("Mul", "b k", "d"),
        ("Tanh", "d", "t"), ("Add", "t one", "u"), ("Mul", "a u", "v"), ("Mul", "v half", "y"),
    ]  # fmt: skip
    nodes = [helper.make_node(op, inputs.split(), [output]) for op, inputs, output in steps]
    save_onnx(
        "gelu.onnx",
        helper.make_graph(nodes, "g", [info("x", "N", 64)], [info("y", "N", 64)], tensors),
        opset=18,
    )
    there_and_back("gelu.onnx", "back.onnx", *options)
    x = rng().standard_normal((8, 64)).astype(np.float32)
    before, after = outputs("gelu.onnx", x=x), outputs("back.onnx", x=x)
    assert np.isfinite(after).all()
    assert np.linalg.norm(after - before) < 0.04 * np.linalg.norm(before)
    scalars = {
        t.name: numpy_helper.to_array(t) for t in onnx.load("back.onnx").graph.initializer if not t.dims
    }
    assert scalars == {t.name: numpy_helper.to_array(t) for t in tensors[1:]}


def test_03_integers_beyond_32_bits() -> None:
    """onnxsim#120, onnx2c#15, LANfactory#86: a slice to the end; ollama#15175: packed words; hashes in state dicts."""
    generator = rng()
    weights = (generator.standard_normal((64, 64)) * 0.1).astype(np.float32)

    def integers(value: int, name: str) -> Any:
        return numpy_helper.from_array(np.array([value], np.int64), name)

    tensors = [
        numpy_helper.from_array(weights, "W"),
        integers(1, "st"),
        integers(2**63 - 1, "en"),
        integers(1, "ax"),
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["a"]),
        helper.make_node("Slice", ["a", "st", "en", "ax"], ["y"]),
    ]
    save_onnx(
        "slice.onnx",
        helper.make_graph(nodes, "g", [info("x", "N", 64)], [info("y", "N", 63)], tensors),
        opset=18,
    )
    there_and_back("slice.onnx", "back.onnx")
    x = generator.standard_normal((8, 64)).astype(np.float32)
    before, after = outputs("slice.onnx", x=x), outputs("back.onnx", x=x)
    assert np.linalg.norm(after - before) < 0.04 * np.linalg.norm(before)

    packed = {
        "up_proj.weight": generator.integers(0, 2**32, (64, 64), dtype=np.uint32),
        "up_proj.scales": generator.random((64, 8)).astype(np.float16),
        "up_proj.biases": generator.random((64, 8)).astype(np.float16),
    }
    save_file(packed, "packed.safetensors")
    there_and_back("packed.safetensors", "packed_back.safetensors")
    with open_model("packed_back.safetensors") as back:
        assert back.dtypes == {"up_proj.weight": "U32", "up_proj.scales": "F16", "up_proj.biases": "F16"}
        np.testing.assert_array_equal(back["up_proj.weight"], packed["up_proj.weight"])

    np.savez("seed.npz", seed=np.array([2**40, -(2**63)], np.int64), w=weights)
    there_and_back("seed.npz", "seed_back.npz")
    with open_model("seed_back.npz") as back:
        assert back["seed"].tolist() == [2**40, -(2**63)]
        assert back["seed"].dtype == np.int64


def test_04_bulk_in_the_graph_or_the_metadata() -> None:
    """rapidocr's models, onnxruntime#17945, kohya sd-scripts#1380: our own decoder refused them at its defaults."""
    weights = (rng().standard_normal((1024, 1024)) * 0.1).astype(np.float32)
    nodes = [
        helper.make_node("Constant", [], ["W"], value=numpy_helper.from_array(weights)),
        helper.make_node("MatMul", ["x", "W"], ["y"]),
    ]
    save_onnx(
        "ocr.onnx", helper.make_graph(nodes, "g", [info("x", "N", 1024)], [info("y", "N", 1024)]), opset=18
    )
    there_and_back("ocr.onnx", "ocr_back.onnx")
    assert os.path.getsize("stream.nnr") < os.path.getsize("ocr.onnx") / 4
    assert main(["info", "stream.nnr"]) == 0
    tags = json.dumps({f"some tag number {i}": i for i in range(170_000)})
    save_file(
        {"lora_up.weight": weights[:64, :4].copy()}, "lora.safetensors", metadata={"ss_tag_frequency": tags}
    )
    there_and_back("lora.safetensors", "lora_back.safetensors")
    assert os.path.getsize("stream.nnr") < os.path.getsize("lora.safetensors")
    with open_model("lora_back.safetensors") as back:
        assert back.metadata == {"ss_tag_frequency": tags}
    assert main(["decode", "stream.nnr", "lora.npz"]) == 0


def test_05_weights_in_constants_and_branches() -> None:
    """onnx/models#48, optimum#587: streams were larger than the files."""
    generator = rng()
    weights = (generator.standard_normal((64, 96)) * 0.1).astype(np.float32)
    for name, graph in (
        ("constants", constant_graph(weights, weights.T.copy())),
        ("merged", if_graph(weights, None)),
    ):
        save_onnx(f"{name}.onnx", graph, opset=18)
        there_and_back(f"{name}.onnx", f"{name}_back.onnx")
        assert os.path.getsize("stream.nnr") < os.path.getsize(f"{name}.onnx") / 3
