# SPDX-License-Identifier: Apache-2.0
"""PyTorch state dicts, through the real library."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

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


def test_a_missing_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {"w": torch.ones(3).numpy()}
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(NotEncodable, match="pip install"):
        save_model(tmp_path / "n.pt", weights)
