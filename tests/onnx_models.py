# SPDX-License-Identifier: Apache-2.0
"""Small ONNX models, one for each place and type in which a model stores elements, with inputs to run them on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(15)
WEIGHTS = (RNG.standard_normal((24, 40)) * 0.1).astype(np.float32)
OTHER = (RNG.standard_normal((24, 40)) * 0.1).astype(np.float32)
INPUT = RNG.standard_normal((3, 24)).astype(np.float32)

node = helper.make_node
from_array = numpy_helper.from_array


class Case(NamedTuple):
    """A model, the inputs of a run, and the names of the tensors that are to be taken out of it."""

    model: Any
    inputs: dict[str, Any]
    names: list[str]


def value(name: str, shape: list[Any], data_type: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, data_type, shape)


def model_of(
    nodes: list[Any],
    initializers: Sequence[Any] = (),
    *,
    inputs: list[Any] | None = None,
    outputs: list[Any] | None = None,
    functions: Sequence[Any] = (),
    domains: dict[str, int] | None = None,
    sparse: Sequence[Any] = (),
) -> Any:
    graph = helper.make_graph(
        list(nodes),
        "main",
        [value("x", ["N", 24])] if inputs is None else inputs,
        [value("y", ["N", None])] if outputs is None else outputs,
        list(initializers),
        sparse_initializer=list(sparse),
    )
    opsets = {"": 21, **(domains or {})}
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in opsets.items()],
        ir_version=10,
        functions=list(functions),
    )
    helper.set_model_props(model, {"author": "somebody", "task": "test"})
    return model


def initializer() -> Case:
    model = model_of([node("MatMul", ["x", "w"], ["y"])], [from_array(WEIGHTS, "w")])
    return Case(model, {"x": INPUT}, ["w"])


def typed_fields() -> Case:
    """float_data, int32_data of halves, int64_data and double_data instead of raw_data."""
    indices = RNG.integers(0, 24, 200).astype(np.int64)
    tensors = [
        helper.make_tensor("w", TensorProto.FLOAT, WEIGHTS.shape, WEIGHTS.ravel().tolist()),
        helper.make_tensor("h", TensorProto.FLOAT16, [3, 40], np.arange(120, dtype=np.float16)),
        helper.make_tensor("i", TensorProto.INT64, indices.shape, (indices - 24).tolist()),
        helper.make_tensor("d", TensorProto.DOUBLE, [40], np.linspace(0, 1, 40).tolist()),
        helper.make_tensor("b", TensorProto.BOOL, [1040], [True, False] * 520),
        helper.make_tensor("u", TensorProto.UINT64, [200], list(range(200))),
    ]
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("Cast", ["h"], ["hf"], to=TensorProto.FLOAT),
        node("Cast", ["d"], ["df"], to=TensorProto.FLOAT),
        node("Add", ["a", "hf"], ["b1"]),
        node("Add", ["b1", "df"], ["b2"]),
        node("Gather", ["x", "i"], ["g"], axis=1),
        node("Cast", ["b"], ["bf"], to=TensorProto.FLOAT),
        node("Cast", ["u"], ["uf"], to=TensorProto.FLOAT),
        node("ReduceSum", ["bf"], ["bs"]),
        node("ReduceSum", ["uf"], ["us"]),
        node("ReduceSum", ["g"], ["gs"]),
        node("Sum", ["b2", "bs", "us", "gs"], ["y"]),
    ]
    return Case(model_of(nodes, tensors), {"x": INPUT}, ["w", "h", "i", "d", "b", "u"])


def constant_nodes() -> Case:
    ints = list(range(-100, 100))
    nodes = [
        node("Constant", [], ["w"], value=from_array(WEIGHTS, "inner name")),
        node("Constant", [], ["floats"], value_floats=[0.25 * k for k in range(40)]),
        node("Constant", [], ["few"], value_floats=[1.5, -2.0]),
        node("Constant", [], ["one"], value_float=3.0),
        node("Constant", [], ["ints"], value_ints=ints),
        node("Constant", [], ["axis"], value_int=1),
        node("MatMul", ["x", "w"], ["a"]),
        node("Add", ["a", "floats"], ["b"]),
        node("Pow", ["b", "one"], ["c"]),
        node("Cast", ["ints"], ["if"], to=TensorProto.FLOAT),
        node("ReduceSum", ["if"], ["is"]),
        node("ReduceSum", ["few"], ["fs"]),
        node("Unsqueeze", ["axis", "zero"], ["axes"]),
        node("ReduceMean", ["x", "axes"], ["xm"]),
        node("Sum", ["c", "is", "fs", "xm"], ["y"]),
    ]
    model = model_of(nodes, [from_array(np.array([0], np.int64), "zero")])
    return Case(model, {"x": INPUT}, ["w", "floats", "ints"])


def branches() -> Case:
    """The same names in both branches of an If."""

    def branch(name: str, weights: Any) -> Any:
        nodes = [
            node("Constant", [], ["bias"], value=from_array(weights[0], "")),
            node("MatMul", ["x", "w"], [name + "a"]),
            node("Add", [name + "a", "bias"], [name + "y"]),
        ]
        return helper.make_graph(nodes, name, [], [value(name + "y", ["N", 40])], [from_array(weights, "w")])

    nodes = [node("If", ["c"], ["y"], then_branch=branch("t", WEIGHTS), else_branch=branch("e", OTHER))]
    model = model_of(nodes, inputs=[value("c", [], TensorProto.BOOL), value("x", ["N", 24])])
    # The order of make_node's attributes is that of their names.
    names = ["bias", "w", "node[0].then_branch.bias", "node[0].then_branch.w"]
    return Case(model, {"x": INPUT, "c": np.array(False)}, names)


def nested_loop() -> Case:
    """A weight in an If inside a Loop."""
    square = (RNG.standard_normal((24, 24)) * 0.1).astype(np.float32)

    def branch(name: str, factor: float) -> Any:
        nodes = [node("MatMul", ["state", name + "w"], [name + "y"])]
        weights = from_array((square * factor).astype(np.float32), name + "w")
        return helper.make_graph(nodes, name, [], [value(name + "y", None)], [weights])

    body_nodes = [
        node("If", ["going"], ["next"], then_branch=branch("t", 1.0), else_branch=branch("e", 2.0)),
        node("Identity", ["going"], ["still"]),
    ]
    body = helper.make_graph(
        body_nodes,
        "body",
        [value("i", [], TensorProto.INT64), value("going", [], TensorProto.BOOL), value("state", ["N", 24])],
        [value("still", [], TensorProto.BOOL), value("next", ["N", 24])],
    )
    nodes = [node("Loop", ["trips", "yes", "x"], ["y"], body=body)]
    tensors = [from_array(np.array(3, np.int64), "trips"), from_array(np.array(True), "yes")]
    return Case(model_of(nodes, tensors), {"x": INPUT}, ["ew", "tw"])


def scan() -> Case:
    square = (RNG.standard_normal((24, 24)) * 0.1).astype(np.float32)
    body = helper.make_graph(
        [
            node("MatMul", ["state", "w"], ["m"]),
            node("Add", ["m", "row"], ["next"]),
            node("Identity", ["next"], ["out"]),
        ],
        "body",
        [value("state", [1, 24]), value("row", [1, 24])],
        [value("next", [1, 24]), value("out", [1, 24])],
        [from_array(square, "w")],
    )
    nodes = [
        node("Unsqueeze", ["x", "one"], ["rows"]),
        node("Scan", ["start", "rows"], ["final", "y"], body=body, num_scan_inputs=1),
    ]
    tensors = [from_array(np.zeros((1, 24), np.float32), "start"), from_array(np.array([1], np.int64), "one")]
    model = model_of(nodes, tensors, outputs=[value("y", None)])
    return Case(model, {"x": INPUT}, ["start", "w"])


def function() -> Case:
    body = [
        node("Constant", [], ["fw"], value=from_array(WEIGHTS, "")),
        node("MatMul", ["fx", "fw"], ["fy"]),
    ]
    dense = helper.make_function("local", "Dense", ["fx"], ["fy"], body, [helper.make_opsetid("", 21)])
    model = model_of([node("Dense", ["x"], ["y"], domain="local")], functions=[dense], domains={"local": 1})
    return Case(model, {"x": INPUT}, ["fw"])


def sparse() -> Case:
    positions = np.arange(0, 960, 7, dtype=np.int64)
    values = from_array(WEIGHTS.ravel()[positions], "w")
    tensor = helper.make_sparse_tensor(values, from_array(positions, "w_indices"), [24, 40])
    model = model_of([node("MatMul", ["x", "w"], ["y"])], sparse=[tensor])
    return Case(model, {"x": INPUT}, ["w", "w.indices"])


def sparse_constant() -> Case:
    positions = np.arange(0, 960, 7, dtype=np.int64)
    values = from_array(WEIGHTS.ravel()[positions], "")
    tensor = helper.make_sparse_tensor(values, from_array(positions, ""), [24, 40])
    nodes = [node("Constant", [], ["w"], sparse_value=tensor), node("MatMul", ["x", "w"], ["y"])]
    return Case(model_of(nodes), {"x": INPUT}, ["w", "w.indices"])


def four_bits() -> Case:
    codes = RNG.integers(0, 256, 24 * 100).astype(np.uint8).tobytes()
    tensor = TensorProto(name="w4", data_type=TensorProto.INT4, dims=[24, 200], raw_data=codes)
    unsigned = helper.make_tensor("u4", TensorProto.UINT4, [24, 200], RNG.integers(0, 16, 4800).tolist())
    nodes = [
        node("DequantizeLinear", ["w4", "scale"], ["w"]),
        node("DequantizeLinear", ["u4", "scale"], ["u"]),
        node("Add", ["w", "u"], ["s"]),
        node("MatMul", ["x", "s"], ["y"]),
    ]
    model = model_of(nodes, [tensor, unsigned, from_array(np.float32(0.02), "scale")])
    return Case(model, {"x": INPUT}, ["w4", "u4"])


def eight_bits() -> Case:
    codes = RNG.integers(-128, 128, (24, 60)).astype(np.int8)
    floats = (RNG.standard_normal((24, 60)) * 0.1).astype(ml_dtypes.float8_e4m3fn)
    half = (RNG.standard_normal((60,))).astype(np.float16)
    brain = (RNG.standard_normal((60,))).astype(ml_dtypes.bfloat16)
    nodes = [
        node("DequantizeLinear", ["q", "s", "z"], ["qf"], axis=1),
        node("DequantizeLinear", ["f8", "one"], ["ff"]),
        node("Add", ["qf", "ff"], ["w"]),
        node("MatMul", ["x", "w"], ["a"]),
        node("Cast", ["half"], ["hf"], to=TensorProto.FLOAT),
        node("Cast", ["brain"], ["bf"], to=TensorProto.FLOAT),
        node("Sum", ["a", "hf", "bf"], ["y"]),
    ]
    tensors = [
        from_array(codes, "q"),
        from_array(np.linspace(0.01, 0.02, 60, dtype=np.float32), "s"),
        from_array(np.zeros(60, np.int8), "z"),
        from_array(floats, "f8"),
        from_array(np.float32(1), "one"),
        from_array(half, "half"),
        from_array(brain, "brain"),
    ]
    return Case(model_of(nodes, tensors), {"x": INPUT}, ["q", "s", "f8", "half", "brain"])


def strings() -> Case:
    words = [f"word {k}".encode() for k in range(200)]
    text = helper.make_tensor("words", TensorProto.STRING, [200], words)
    nodes = [node("Gather", ["words", "k"], ["y"])]
    inputs = [value("k", ["N"], TensorProto.INT64)]
    model = model_of(nodes, [text], inputs=inputs, outputs=[value("y", ["N"], TensorProto.STRING)])
    return Case(model, {"k": np.array([0, 199, 7])}, ["words"])


def attribute_lists() -> Case:
    """Lists of an ai.onnx.ml node that are too large for the graph."""
    keys = list(range(30_000))
    nodes = [
        node(
            "LabelEncoder",
            ["k"],
            ["y"],
            domain="ai.onnx.ml",
            keys_int64s=keys,
            values_floats=[k / 3 for k in keys],
        )
    ]
    inputs = [value("k", ["N"], TensorProto.INT64)]
    model = model_of(nodes, inputs=inputs, domains={"ai.onnx.ml": 2})
    return Case(model, {"k": np.array([0, 29_999, 7])}, ["node[0].keys_int64s", "node[0].values_floats"])


def exact_constants() -> Case:
    """Exponent 3 of tanh-GELU, and the end 2**63 - 1 of a slice."""

    def scalar(number: float, name: str) -> Any:
        return from_array(np.float32(number), name)

    def vector(number: int, name: str) -> Any:
        return from_array(np.array([number], np.int64), name)

    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("Pow", ["a", "three"], ["p"]),
        node("Mul", ["p", "k"], ["q"]),
        node("Slice", ["q", "start", "end", "axis"], ["y"]),
    ]
    tensors = [
        from_array(WEIGHTS, "w"), scalar(3, "three"), scalar(0.044715, "k"),
        vector(1, "start"), vector(2**63 - 1, "end"), vector(1, "axis"),
    ]  # fmt: skip
    return Case(model_of(nodes, tensors), {"x": INPUT}, ["w"])


CASES: dict[str, Callable[[], Case]] = {
    case.__name__: case
    for case in (
        initializer, typed_fields, constant_nodes, branches, nested_loop, scan, function, sparse, sparse_constant, four_bits,
        eight_bits, strings, attribute_lists, exact_constants,
    )
}  # fmt: skip


def save(case: Case, path: Path, *, external: bool = False) -> None:
    """Write a model, with all its tensors in another file where that is wanted."""
    path.parent.mkdir(exist_ok=True, parents=True)
    if external:
        onnx.save(
            case.model,
            path,
            save_as_external_data=True,
            location="weights.bin",
            size_threshold=0,
            convert_attribute=True,
        )
    else:
        onnx.save(case.model, path)


def run(model: Path | bytes, inputs: dict[str, Any]) -> list[Any]:
    """Run a model in ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model if isinstance(model, bytes) else str(model), options)
    outputs: list[Any] = session.run(None, inputs)
    return outputs
