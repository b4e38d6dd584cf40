# SPDX-License-Identifier: Apache-2.0
"""Names, types and refusals of the ONNX reader."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import open_model, save_model
from tests.onnx_models import CASES, WEIGHTS, branches, from_array, model_of, node, save, value


def identity(*tensors: Any) -> Any:
    """Model that stores tensors and returns the first."""
    outputs = [value("y", list(tensors[0].dims), tensors[0].data_type)]
    return model_of([node("Identity", [tensors[0].name], ["y"])], list(tensors), inputs=[], outputs=outputs)


def external(name: str, location: str, *, offset: str = "", length: str = "", dims: Any = (24, 40)) -> Any:
    tensor = TensorProto(
        name=name, data_type=TensorProto.FLOAT, dims=dims, data_location=TensorProto.EXTERNAL
    )
    for key, text in (("location", location), ("offset", offset), ("length", length)):
        if text:
            tensor.external_data.add(key=key, value=text)
    return tensor


ELEMENTS = {
    TensorProto.INT4: (ml_dtypes.int4, "ONNX:INT4"),
    TensorProto.UINT4: (ml_dtypes.uint4, "ONNX:UINT4"),
    TensorProto.FLOAT4E2M1: (ml_dtypes.float4_e2m1fn, "F4"),
    TensorProto.FLOAT8E4M3FN: (ml_dtypes.float8_e4m3fn, "F8_E4M3"),
    TensorProto.FLOAT8E4M3FNUZ: (ml_dtypes.float8_e4m3fnuz, "F8_E4M3FNUZ"),
    TensorProto.FLOAT8E5M2: (ml_dtypes.float8_e5m2, "F8_E5M2"),
    TensorProto.FLOAT8E5M2FNUZ: (ml_dtypes.float8_e5m2fnuz, "F8_E5M2FNUZ"),
    TensorProto.BFLOAT16: (ml_dtypes.bfloat16, "BF16"),
    TensorProto.FLOAT16: (np.float16, "F16"),
    TensorProto.COMPLEX64: (np.complex64, "C64"),
    TensorProto.COMPLEX128: (np.complex128, "ONNX:COMPLEX128"),
    TensorProto.UINT32: (np.uint32, "U32"),
    TensorProto.UINT64: (np.uint64, "U64"),
    TensorProto.INT16: (np.int16, "I16"),
    TensorProto.DOUBLE: (np.float64, "F64"),
}


@pytest.mark.parametrize("is_raw", [True, False], ids=["raw", "typed"])
@pytest.mark.parametrize("data_type", ELEMENTS, ids=[tag for _, tag in ELEMENTS.values()])
def test_every_element_type_keeps_its_bits(tmp_path: Path, data_type: int, is_raw: bool) -> None:
    dtype, tag = ELEMENTS[data_type]
    array = np.arange(-1023, 1024).astype(np.float32).astype(dtype).reshape(23, 89)
    raw = numpy_helper.from_array(array, "t")
    tensor = raw
    if not is_raw:
        tensor = helper.make_tensor("t", data_type, array.shape, array.ravel())
        assert not tensor.raw_data
    onnx.save(identity(tensor), tmp_path / "m.onnx")
    with open_model(tmp_path / "m.onnx") as source:
        description = source.describe("t")
        assert (description.dtype, description.shape) == (tag, (23, 89))
        assert source.read_stored("t").tobytes() == raw.raw_data
        if description.is_opaque:
            assert source["t"].tobytes() == raw.raw_data
            assert description.size_bytes == len(raw.raw_data)
        else:
            np.testing.assert_array_equal(source["t"], array.astype(source["t"].dtype))
        save_model(tmp_path / "n.onnx", source, template=source.topology())
    result = onnx.load(tmp_path / "n.onnx").graph.initializer[0]
    assert result.raw_data == raw.raw_data


def test_small_tensors_stay_in_the_graph(tmp_path: Path) -> None:
    tensors = [
        from_array(np.zeros(24, np.float32), "large"),
        from_array(np.zeros(23, np.float32), "small"),
        from_array(np.zeros(128, np.int64), "many"),
        from_array(np.zeros(127, np.int64), "few"),
        from_array(np.zeros((0, 4), np.float32), "none"),
        helper.make_tensor("text", TensorProto.STRING, [1], [b"hello"]),
    ]
    onnx.save(identity(*tensors), tmp_path / "m.onnx")
    with open_model(tmp_path / "m.onnx") as source:
        assert source.names() == ("large", "many")
        bare = onnx.load_model_from_string(source.topology() or b"")
        save_model(tmp_path / "n.onnx", source, template=source.topology(), metadata=source.metadata)
    assert [bool(t.raw_data or t.string_data) for t in bare.graph.initializer] == [
        False,
        True,
        False,
        True,
        False,
        True,
    ]
    assert onnx.load(tmp_path / "n.onnx") == onnx.load(tmp_path / "m.onnx")


def test_every_place_of_a_tensor_has_a_path(tmp_path: Path) -> None:
    def graph(name: str) -> Any:
        return helper.make_graph([], name, [], [], [from_array(WEIGHTS, "")])

    values, positions = from_array(WEIGHTS.ravel()[:200], ""), from_array(np.arange(200), "")
    sparse = helper.make_sparse_tensor(values, positions, [24, 40])
    odd = node(
        "Odd",
        [],
        ["y"],
        domain="odd",
        one=from_array(WEIGHTS, "inner"),
        many=[from_array(WEIGHTS, "inner"), from_array(WEIGHTS, "inner")],
        graph=graph("g"),
        graphs=[graph("h"), graph("i")],
        sparse=sparse,
        sparses=[sparse, sparse],
    )
    default = helper.make_attribute("default", from_array(WEIGHTS, ""))
    function = helper.make_function(
        "odd", "F", [], ["y"], [odd], [helper.make_opsetid("odd", 1)], attribute_protos=[default]
    )
    model = model_of([odd], functions=[function], domains={"odd": 1})
    training = model.training_info.add()
    training.initialization.CopyFrom(graph("start"))
    training.algorithm.CopyFrom(graph("step"))
    onnx.save(model, tmp_path / "m.onnx")
    inner = [
        "graph.initializer[0]", "graphs[0].initializer[0]", "graphs[1].initializer[0]", "many[0]", "many[1]", "one",
        "sparse.indices", "sparse.values", "sparses[0].indices", "sparses[0].values", "sparses[1].indices",
        "sparses[1].values",
    ]  # fmt: skip
    expected = {f"{path}.{name}" for path in ("node[0]", "function[0].node[0]") for name in inner}
    expected |= {f"training_info[0].{name}.initializer[0]" for name in ("initialization", "algorithm")}
    with open_model(tmp_path / "m.onnx") as source:
        assert set(source) == expected | {"function[0].default"}
        save_model(tmp_path / "n.onnx", source, template=source.topology(), metadata=source.metadata)
        assert len(source.topology() or b"") < 3000
    assert onnx.load(tmp_path / "n.onnx") == model


def test_lists_of_other_nodes_stay_lists(tmp_path: Path) -> None:
    """Only ONNX's own Constant means the same with a tensor in place of a list."""
    floats = [0.5] * 20_000
    odd = node("Constant", [], ["y"], domain="odd", value_floats=floats, value_ints=[1, 2])
    model = model_of([odd], domains={"odd": 1})
    onnx.save(model, tmp_path / "m.onnx")
    with open_model(tmp_path / "m.onnx") as source:
        assert source.dtypes == {"node[0].value_floats": "ONNX:ATTRIBUTE"}
        assert source["node[0].value_floats"].shape == (100_000,)
        save_model(tmp_path / "n.onnx", source, template=source.topology(), metadata=source.metadata)
        assert len(source.topology() or b"") < 300
    assert onnx.load(tmp_path / "n.onnx") == model


def test_names_that_collide_are_resolved_in_the_order_of_the_file(tmp_path: Path) -> None:
    case = branches()
    # An initialiser that has the name another tensor would be given.
    case.model.graph.initializer.append(from_array(WEIGHTS, "node[0].then_branch.w"))
    case.model.graph.initializer.append(from_array(WEIGHTS, "bias"))
    case.model.graph.initializer.append(from_array(WEIGHTS, "bias"))
    onnx.save(case.model, tmp_path / "m.onnx")
    expected = {
        "node[0].else_branch.bias", "w", "node[0].then_branch.bias", "node[0].then_branch.w~2",
        "node[0].then_branch.w", "bias", "initializer[2]",
    }  # fmt: skip
    with open_model(tmp_path / "m.onnx") as source:
        assert set(source) == expected
        save_model(tmp_path / "n.onnx", source, template=source.topology())
        with open_model(tmp_path / "n.onnx") as again:
            assert again.names() == source.names()


def test_tensors_of_one_span_are_tied_and_written_once(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    onnx.save(identity(external("a", "w.bin"), external("b", "w.bin", length="3840")), tmp_path / "m.onnx")
    with open_model(tmp_path / "m.onnx") as source:
        assert source.tied == {"b": "a"}
        assert source.external_files == ("w.bin",)
        save_model(
            tmp_path / "n.onnx", source, template=source.topology(), tied=source.tied, external_data=True
        )
    assert (tmp_path / "n.onnx.data").stat().st_size == 3840
    for tensor in onnx.load(tmp_path / "n.onnx").graph.initializer:
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), WEIGHTS)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"location": "missing.bin"}, "missing"),
        ({"location": "../w.bin"}, "outside"),
        ({"location": "a/../../w.bin"}, "outside"),
        ({"location": "..\\w.bin"}, "outside"),
        ({"location": "/etc/hostname"}, "outside"),
        ({"location": "c:w.bin"}, "outside"),
        ({"location": "link.bin"}, "leads out"),
        ({"location": "w.bin", "offset": "8"}, "ends at 3848"),
        ({"location": "w.bin", "offset": "99999999999999999"}, "ends at"),
        ({"location": "w.bin", "offset": "-8"}, "offset"),
        ({"location": "w.bin", "offset": "eight"}, "offset"),
        ({"location": "w.bin", "length": "8"}, "8 bytes instead of 3840"),
        ({"location": ""}, "no location"),
        ({"location": "folder"}, "missing"),
    ],
    ids=str,
)
def test_external_data_that_is_not_there_is_named(tmp_path: Path, keys: dict[str, str], reason: str) -> None:
    folder = tmp_path / "model"
    (folder / "folder").mkdir(parents=True)
    for place in (folder, tmp_path):
        (place / "w.bin").write_bytes(WEIGHTS.tobytes())
    os.symlink(tmp_path / "w.bin", folder / "link.bin")
    onnx.save(identity(external("odd.w", **keys)), folder / "m.onnx")
    with pytest.raises(NotEncodable, match=reason) as caught:
        open_model(folder / "m.onnx")
    assert caught.value.path == f"{folder / 'm.onnx'}: odd.w"


def test_links_of_download_caches_are_followed(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    onnx.save(identity(external("w", "w.bin")), tmp_path / "blobs" / "0123")
    (tmp_path / "blobs" / "4567").write_bytes(WEIGHTS.tobytes())
    (tmp_path / "snapshot" / "m.onnx").symlink_to("../blobs/0123")
    (tmp_path / "snapshot" / "w.bin").symlink_to("../blobs/4567")
    with open_model(tmp_path / "snapshot" / "m.onnx") as source:
        np.testing.assert_array_equal(source["w"], WEIGHTS)


def test_external_data_that_vanishes_is_named(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    onnx.save(identity(external("w", "w.bin")), tmp_path / "m.onnx")
    with open_model(tmp_path / "m.onnx") as source:
        (tmp_path / "w.bin").write_bytes(b"short")
        with pytest.raises(NotEncodable, match="shorter"):
            source["w"]
        (tmp_path / "w.bin").unlink()
        with pytest.raises(NotEncodable, match="missing") as caught:
            source["w"]
    assert caught.value.path == f"{tmp_path / 'm.onnx'}: w"


def damaged_tensors() -> dict[str, Any]:
    raw = WEIGHTS.tobytes()

    def make(**fields: Any) -> Any:
        return TensorProto(name="w", **{"data_type": TensorProto.FLOAT, "dims": [24, 40], **fields})

    return {
        "too short": make(raw_data=raw[:-1]),
        "too long": make(raw_data=raw + b"x"),
        "stripped": make(),
        "wrong field": make(int64_data=[1] * 960),
        "two fields": make(raw_data=raw, float_data=[1.0] * 960),
        "few floats": make(float_data=[1.0] * 959),
        "negative extent": make(dims=[-24, 40], raw_data=raw),
        "huge": make(dims=[1 << 40, 1 << 40], raw_data=raw),
        "65 dimensions": make(dims=[1] * 65, raw_data=raw[:4]),
    }


@pytest.mark.parametrize("name", damaged_tensors())
def test_tensors_that_contradict_themselves_are_named(tmp_path: Path, name: str) -> None:
    onnx.save(identity(damaged_tensors()[name]), tmp_path / "m.onnx")
    with pytest.raises(NotEncodable) as caught, open_model(tmp_path / "m.onnx") as source:
        source["w"]
    assert caught.value.path == f"{tmp_path / 'm.onnx'}: w"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xff\xff",
        b"<!DOCTYPE html>",
        b"version https://git-lfs.github.com/spec/v1\n",
        b"\x08\x0a",
        b"\x08",
    ],
)
def test_files_that_are_no_models_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(NotEncodable) as caught:
        open_model(tmp_path / "m.onnx")
    assert caught.value.path == str(tmp_path / "m.onnx")


def test_errors_of_the_system_name_the_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    # Opened for writing too, so that opening it does not wait.
    writer = os.open(tmp_path / "pipe.onnx", os.O_RDWR)
    for name in ("pipe.onnx", "missing.onnx"):
        with pytest.raises(OSError, match=name) as caught:
            open_model(tmp_path / name)
        assert caught.value.filename == str(tmp_path / name)
    os.close(writer)


def test_a_file_that_is_cut_short_is_named_as_such(tmp_path: Path) -> None:
    save(CASES["initializer"](), tmp_path / "m.onnx")
    content = (tmp_path / "m.onnx").read_bytes()
    (tmp_path / "m.onnx").write_bytes(content[:-1000])
    with pytest.raises(NotEncodable, match=r"cut short by (1000|9\d\d) bytes"):
        open_model(tmp_path / "m.onnx")


def test_reading_and_writing_need_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(CASES["initializer"](), tmp_path / "m.onnx")
    for library in ("onnx", "onnxruntime", "google.protobuf"):
        monkeypatch.setitem(sys.modules, library, None)
    with open_model(tmp_path / "m.onnx") as source:
        save_model(tmp_path / "n.onnx", source, template=source.topology())
    assert (tmp_path / "n.onnx").stat().st_size > WEIGHTS.nbytes
