# SPDX-License-Identifier: Apache-2.0
"""Small model files of every kind, written by the libraries they belong to: what the fuzzer damages."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nnr_codec.frameworks import save_model

Seeds = Callable[[Path], list[Path]]

ARRAYS: dict[str, Any] = {
    "layer.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "layer.bias": np.arange(3, dtype=np.float16),
    "steps": np.array(7, np.int64),
    "mask": np.array([True, False]),
}


def _safetensors(folder: Path) -> list[Path]:
    save_model(
        folder / "a.safetensors", {**ARRAYS, "c": np.array([1j], np.complex64)}, metadata={"format": "pt"}
    )
    return [folder / "a.safetensors"]


def _npz(folder: Path) -> list[Path]:
    structured = np.array([(1, 2.5)], [("x", "<i2"), ("y", "<f8")])
    np.savez(folder / "a.npz", **ARRAYS, text=np.array(["ab"]), structured=structured)
    np.savez_compressed(folder / "b.npz", **ARRAYS, fortran=np.asfortranarray(ARRAYS["layer.weight"]))
    return [folder / "a.npz", folder / "b.npz"]


def _torch_objects() -> list[Any]:
    import torch

    state = {name: torch.from_numpy(array) for name, array in ARRAYS.items()}
    shared = torch.arange(12.0).reshape(3, 4)
    special = {
        "tied": shared, "again": shared, "column": shared[:, 1], "complex": torch.tensor([1j]),
        "sparse": shared.to_sparse(), "rows": shared.to_sparse_csr(),
        "eight": shared.to(torch.float8_e4m3fn), "none": None,
        "levels": torch.quantize_per_tensor(shared, 0.1, 3, torch.qint8),
        "channels": torch.quantize_per_channel(shared, torch.ones(3), torch.zeros(3, dtype=torch.int64), 0, torch.qint8),
    }  # fmt: skip
    optimizer = {"state": {0: {"exp_avg": shared}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    return [
        state,
        special,
        {"net": state, "optimizer": optimizer, "numbers": np.arange(3.0)},
        torch.nn.Linear(3, 4),
    ]


def _pytorch(folder: Path, *, in_zip: bool) -> list[Path]:
    import torch

    paths = []
    for number, value in enumerate(_torch_objects()):
        paths.append(folder / f"{number}.pt")
        torch.save(value, paths[-1], _use_new_zipfile_serialization=in_zip)
    if in_zip:
        paths.append(folder / "script.pt")
        torch.jit.save(torch.jit.trace(torch.nn.Linear(3, 4), torch.ones(1, 3)), str(paths[-1]))
    return paths


def _gguf(folder: Path) -> list[Path]:
    import gguf

    writer = gguf.GGUFWriter(str(folder / "a.gguf"), "llama")
    writer.add_name("tiny")
    writer.add_array("tokens", ["a", "b"])
    writer.add_array("scores", [1.0, 2.0])
    writer.add_tensor("w", ARRAYS["layer.weight"])
    kind = gguf.GGMLQuantizationType.Q4_1
    writer.add_tensor("q", gguf.quants.quantize(np.ones((2, 64), np.float32), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return [folder / "a.gguf"]


def _h5(folder: Path) -> list[Path]:
    import h5py

    paths = []
    for name, version in (("a.h5", "earliest"), ("b.h5", "latest")):
        paths.append(folder / name)
        with h5py.File(paths[-1], "w", libver=version) as file:
            for key, array in ARRAYS.items():
                file.create_dataset(f"layers/{key}/vars/0", data=array).attrs["name"] = key
            file.create_dataset("packed", data=np.arange(100.0), chunks=(10,), compression="gzip")
            file.create_dataset("words", data=np.array(["a", "é"], object), dtype=h5py.string_dtype())
            file.attrs["names"] = np.array([b"a", b"b"])
    return paths


def _keras(folder: Path) -> list[Path]:
    weights = _h5(folder)[0]
    with zipfile.ZipFile(folder / "a.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.write(weights, "model.weights.h5")
    return [folder / "a.keras"]


def _index(folder: Path) -> list[Path]:
    save_model(folder / "m-00001-of-00002.safetensors", {"a": ARRAYS["layer.weight"]})
    save_model(folder / "m-00002-of-00002.safetensors", {"b": ARRAYS["steps"]})
    index = {
        "metadata": {"total_size": 3, "format": "pt"},
        "weight_map": {"a": "m-00001-of-00002.safetensors", "b": "m-00002-of-00002.safetensors"},
    }
    (folder / "m.safetensors.index.json").write_text(json.dumps(index))
    return [folder / "m.safetensors.index.json"]


def _onnx(folder: Path) -> list[Path]:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    tensors = [numpy_helper.from_array(array, name) for name, array in ARRAYS.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 4])
    node = helper.make_node("Identity", ["layer.weight"], ["y"])
    onnx.save(helper.make_model(helper.make_graph([node], "g", [], [output], tensors)), folder / "a.onnx")
    return [folder / "a.onnx"]


#: Seeds by kind. A new kind of model file is one entry here.
KINDS: dict[str, Seeds] = {
    "safetensors": _safetensors,
    "npz": _npz,
    "pytorch": lambda folder: _pytorch(folder, in_zip=True),
    "pytorch-legacy": lambda folder: _pytorch(folder, in_zip=False),
    "gguf": _gguf,
    "h5": _h5,
    "h5-process": _h5,
    "keras": _keras,
    "index": _index,
    "onnx": _onnx,
}
