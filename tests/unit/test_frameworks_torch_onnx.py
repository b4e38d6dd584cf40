# SPDX-License-Identifier: Apache-2.0
"""PyTorch state dicts and ONNX initialisers, through the real libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import open_model, save_model

TORCH_TYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32,
    torch.uint64, torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn,
    torch.float8_e5m2,
]  # fmt: skip


def state() -> dict[str, Any]:
    result = {str(t): torch.tensor([[0, 1, 1], [1, 0, 1]]).to(t) for t in TORCH_TYPES}
    result["scalar"] = torch.tensor(3)
    result["empty"] = torch.zeros(0, 4)
    result["transposed"] = torch.arange(6.0).reshape(2, 3).t()
    result["odd/näme"] = torch.nn.Parameter(torch.tensor([0.1, -0.1]))
    return result


def bits_of(tensor: Any) -> bytes:
    return bytes(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())


def test_state_dict_round_trip(tmp_path: Path) -> None:
    original = state()
    torch.save(original, tmp_path / "a.pt")
    with open_model(tmp_path / "a.pt") as source:
        assert source.kind == "pytorch"
        assert source.names() == tuple(original)
        assert source.dtype_of("torch.bfloat16") == "BF16"
        assert source["transposed"].tolist() == [[0, 3], [1, 4], [2, 5]]
        assert source["scalar"].shape == ()
        save_model(tmp_path / "b.pt", source)
    again = torch.load(tmp_path / "b.pt", weights_only=True)
    for name, tensor in original.items():
        assert again[name].dtype == tensor.dtype
        assert again[name].shape == tensor.shape
        if tensor.numel():
            assert bits_of(again[name]) == bits_of(tensor)


def test_through_safetensors_and_back(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "a.pt")
    with open_model(tmp_path / "a.pt") as source:
        save_model(tmp_path / "b.safetensors", source)
    from safetensors.torch import load_file

    theirs = load_file(tmp_path / "b.safetensors")
    assert all(
        bits_of(theirs[n]) == bits_of(t) and theirs[n].dtype == t.dtype
        for n, t in state().items()
        if t.numel()
    )


def test_files_from_before_the_zip_layout(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(3)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with open_model(tmp_path / "old.pt") as model:
        assert model["w"].tolist() == [1, 1, 1]


def test_tied_tensors_stay_tied(tmp_path: Path) -> None:
    shared = torch.arange(4.0)
    torch.save({"a": shared, "b": shared, "part": shared[:2], "c": shared.clone()}, tmp_path / "a.pt")
    with open_model(tmp_path / "a.pt") as source:
        assert source.tied == {"b": "a"}
        assert source.size_bytes == 16 + 8 + 16
        save_model(tmp_path / "b.pt", source, tied=source.tied)
    again = torch.load(tmp_path / "b.pt", weights_only=True)
    assert again["a"].data_ptr() == again["b"].data_ptr() != again["c"].data_ptr()


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_checkpoints_name_what_is_left_out(tmp_path: Path, key: str) -> None:
    torch.save({"epoch": 3, key: {"w": torch.ones(2)}, "optimizer": {}}, tmp_path / "c.ckpt")
    with open_model(tmp_path / "c.ckpt") as source:
        assert source.names() == ("w",)
        assert source.left_out == ("epoch", "optimizer")


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("pickle-was-executed"),))


@pytest.mark.parametrize(
    "content",
    [
        Malicious(),
        [Malicious()],
        {"note": "text"},
        {"state_dict": 3},
    ],
)
def test_files_without_tensors_are_refused_and_execute_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "m.pt")
    with pytest.raises(NotEncodable) as caught:
        open_model(tmp_path / "m.pt")
    assert str(tmp_path / "m.pt") in (caught.value.path or "")
    assert not Path("pickle-was-executed").exists()


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 garbage", b"\x80\x02]q\x00."])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.pt").write_bytes(content)
    with pytest.raises(NotEncodable):
        open_model(tmp_path / "m.pt")


def onnx_model() -> Any:
    arrays = {
        "w": np.arange(6, dtype=np.float32).reshape(2, 3),
        "half": np.array([1, 2], np.float16),
        "scalar": np.array(4, np.int64),
        "flags": np.array([True, False]),
        "brain": np.array([1.5, -2], ml_dtypes.bfloat16),
        "eight": np.array([0.5, 448], ml_dtypes.float8_e4m3fn),
    }
    initializers = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    initializers.append(helper.make_tensor("typed", TensorProto.FLOAT, [2], [1.0, 2.0]))
    initializers.append(helper.make_tensor("typed_brain", TensorProto.BFLOAT16, [2], [1.0, 2.0]))
    initializers.append(helper.make_tensor("text", TensorProto.STRING, [1], [b"hello"]))
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])
    graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [], [output], initializers)
    model = helper.make_model(graph)
    helper.set_model_props(model, {"author": "somebody"})
    return model


def elements(model: Any) -> dict[str, tuple[Any, ...]]:
    arrays = {t.name: (t.data_type, numpy_helper.to_array(t)) for t in model.graph.initializer}
    return {name: (kind, array.shape, array.tolist()) for name, (kind, array) in arrays.items()}


def test_onnx_initialisers_go_out_and_come_back(tmp_path: Path) -> None:
    onnx.save(onnx_model(), tmp_path / "m.onnx")
    with open_model(tmp_path / "m.onnx") as source:
        assert source.left_out == ("text",)
        assert source.metadata == {"author": "somebody"}
        assert source.dtype_of("typed_brain") == "BF16"
        assert source["brain"].tolist() == [1.5, -2]
        assert source["eight"].tolist() == [0.5, 448]
        assert source["typed"].tolist() == source["typed_brain"].tolist() == [1, 2]
        topology = source.topology()
        assert topology is not None
        for name, template in (("bare", topology), ("original", tmp_path / "m.onnx")):
            save_model(tmp_path / f"{name}.onnx", source, metadata=source.metadata, template=template)
            again = onnx.load(tmp_path / f"{name}.onnx")
            assert elements(again) == elements(onnx_model())
            assert again.graph.node == onnx_model().graph.node
            assert again.metadata_props == onnx_model().metadata_props


def test_onnx_elements_beside_the_model(tmp_path: Path) -> None:
    onnx.save(
        onnx_model(), tmp_path / "m.onnx", save_as_external_data=True, location="w.data", size_threshold=0
    )
    with open_model(tmp_path / "m.onnx") as source:
        assert source["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
        save_model(tmp_path / "n.onnx", source, template=source.topology())
    (tmp_path / "w.data").unlink()
    assert elements(onnx.load(tmp_path / "n.onnx")) == elements(onnx_model())
    with open_model(tmp_path / "m.onnx") as source, pytest.raises(NotEncodable):
        source["w"]


def test_onnx_refusals(tmp_path: Path) -> None:
    for name, content in (("damaged", b"\xff\xff\xff"), ("empty", b"")):
        (tmp_path / f"{name}.onnx").write_bytes(content)
        with pytest.raises(NotEncodable):
            open_model(tmp_path / f"{name}.onnx")
    onnx.save(onnx_model(), tmp_path / "m.onnx")
    with open_model(tmp_path / "m.onnx") as source:
        topology = source.topology()
        with pytest.raises(NotEncodable):
            save_model(tmp_path / "no-template.onnx", source)
    for arrays in (
        {"w": np.zeros((2, 3), np.float32)},
        {"other": np.zeros(1)},
        {"w": np.zeros((3, 2), np.float32)},
    ):
        with pytest.raises(NotEncodable) as caught:
            save_model(tmp_path / "n.onnx", arrays, template=topology)
        assert caught.value.path is not None
    assert not (tmp_path / "n.onnx").exists()


def test_a_missing_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    (tmp_path / "m.onnx").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(NotEncodable, match="pip install"):
        open_model(tmp_path / "m.onnx")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(NotEncodable, match="pip install"):
        save_model(tmp_path / "m.pt", {"w": np.ones(3)})
