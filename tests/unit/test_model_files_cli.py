# SPDX-License-Identifier: Apache-2.0
"""Model files through ``nnr encode``: parts of checkpoints, and what the command reports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import nnr_codec
from nnr_codec.cli import main

STATE = {"w": torch.arange(24.0).reshape(8, 3)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    optimizer = {"state": {0: {"exp_avg": torch.ones(8, 3)}}, "param_groups": [{}]}
    torch.save({"params": STATE, "params_ema": STATE, "opt": optimizer}, "m.pt")
    return tmp_path


def names(path: str) -> list[str]:
    return [tensor.name for tensor in nnr_codec.describe(path).tensors]


def test_an_entry_is_chosen_by_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "m.pt"]) == 1
    assert "params, params_ema; choose one with --key" in capsys.readouterr().err
    assert main(["encode", "m.pt", "--key", "params_ema"]) == 0
    assert "not encoded: params, opt\n" in capsys.readouterr().err
    assert names("m.nnr") == ["w"]
    assert main(["encode", "m.pt", "o.nnr", "--key", "params", "--optimizer"]) == 0
    assert names("o.nnr") == ["w", "opt.state.0.exp_avg"]


def test_notes_are_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"a": np.ones((4, 4), np.float32), "b": np.ones(4, np.float32)}, "s-00001-of-00001.safetensors")
    index = {"weight_map": {"a": "s-00001-of-00001.safetensors"}}
    Path("s.safetensors.index.json").write_text(json.dumps(index))
    assert main(["encode", "s.safetensors.index.json", "s.nnr"]) == 0
    assert "the index omits 1 of the shards' tensors, which are kept: b" in capsys.readouterr().err
    assert set(names("s.nnr")) == {"a", "b"}


def test_a_folder_goes_through_a_stream(folder: Path) -> None:
    Path("in").mkdir()
    save_file({"a": np.ones((4, 4), np.float32), "ids": np.array([2**40])}, "in/model.safetensors")
    Path("in/config.json").write_text('{"model_type": "x"}')
    assert main(["encode", "in", "m.nnr"]) == 0
    assert main(["decode", "m.nnr", "out/"]) == 0
    assert Path("out/config.json").read_bytes() == Path("in/config.json").read_bytes()
    arrays = load_file("out/model.safetensors")
    assert arrays["ids"].tolist() == [2**40]
    np.testing.assert_allclose(arrays["a"], np.ones((4, 4)), rtol=0.05)


@pytest.mark.filterwarnings("ignore")  # torch warns about its quantised tensors
def test_opaque_types_go_through_a_stream(folder: Path) -> None:
    original = {
        "c": torch.tensor([[1 + 2j]]),
        "q": torch.quantize_per_tensor(torch.ones(2, 3), 0.1, 3, torch.qint8),
        "e": torch.arange(6, dtype=torch.uint8).view(torch.float8_e8m0fnu),
        "w": torch.ones(2, 2),
    }
    torch.save(original, "o.pt")
    np.savez("o.npz", text=np.array(["ab", "é"]), rows=np.array([(1, 2.5)], [("x", "<i2"), ("y", "<f8")]))
    for name in ("o.pt", "o.npz"):
        assert main(["encode", "-f", name, "m.nnr"]) == 0
        assert main(["decode", "m.nnr", f"again-{name}"]) == 0
    again = torch.load("again-o.pt", weights_only=True)
    assert list(again) == list(original)
    assert torch.equal(again["c"], original["c"])
    assert torch.equal(again["q"].int_repr(), original["q"].int_repr())
    assert again["e"].view(torch.uint8).tolist() == list(range(6))
    with np.load("again-o.npz") as arrays, np.load("o.npz") as expected:
        assert arrays["text"].tolist() == ["ab", "é"]
        assert arrays["rows"].dtype == expected["rows"].dtype
        assert arrays["rows"].tolist() == expected["rows"].tolist()


@pytest.mark.parametrize("kind", ["gguf", "h5"])
def test_files_with_structure_go_through_a_stream(folder: Path, kind: str) -> None:
    if kind == "gguf":
        import gguf

        writer = gguf.GGUFWriter("m.gguf", "llama")
        quantised = gguf.GGMLQuantizationType.Q4_1
        blocks = gguf.quants.quantize(np.ones((2, 64), np.float32), quantised)
        writer.add_tensor("q", blocks, raw_dtype=quantised)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    else:
        import h5py

        with h5py.File("m.h5", "w") as file:
            file.create_dataset("layers/d/vars/0", data=np.arange(4)).attrs["name"] = "kernel"
            file.create_group("empty")
    assert main(["encode", f"m.{kind}", "m.nnr"]) == 0
    assert main(["decode", "m.nnr", f"again.{kind}"]) == 0
    if kind == "gguf":
        assert Path("again.gguf").read_bytes() == Path("m.gguf").read_bytes()
    else:
        with h5py.File("again.h5") as file:
            assert file["layers/d/vars/0"][()].tolist() == [0, 1, 2, 3]
            assert file["layers/d/vars/0"].attrs["name"] == "kernel"
            assert "empty" in file


@pytest.mark.parametrize("option", [["--key", "x"], ["--optimizer"], ["--dequantize"]])
def test_an_option_of_another_kind_of_file_is_no_option(
    tmp_path: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "m.npz", w=np.ones(3))
    assert main(["encode", str(tmp_path / "m.npz"), *option]) == 1
    assert "npz" in capsys.readouterr().err
    assert main(["encode", str(tmp_path / "m.npz"), "-q"]) == 0
    arguments = ["decode", str(tmp_path / "m.nnr"), str(tmp_path / "n.npz"), "--template", "x.onnx"]
    assert main(arguments) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.nnr", "m.npz"]
