# SPDX-License-Identifier: Apache-2.0
"""GGUF files, written and read by the package gguf."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import safetensors.torch
import torch
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import open_model, save_model
from nnr_codec.frameworks.gguf_types import BLOCK_TYPES

WEIGHTS = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
QUANTISED = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "a.gguf"
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tiny")
    writer.add_uint32("llama.block_count", 1)
    writer.add_array("tokenizer.ggml.tokens", ["<s>", "é", "c"])
    writer.add_array("tokenizer.ggml.scores", [0.5, 1.5, -1.0])
    writer.add_bool("flag", True)
    writer.add_tensor("norm.weight", np.ones(3, np.float32))
    writer.add_tensor("half", WEIGHTS.astype(np.float16))
    for name in QUANTISED:
        kind = GGMLQuantizationType[name]
        writer.add_tensor(f"blk.{name}", gguf.quants.quantize(WEIGHTS, kind), raw_dtype=kind)
    brain = (WEIGHTS.view(np.uint32) >> 16).astype(np.uint16)
    writer.add_tensor("brain", brain.view(np.uint8), raw_dtype=GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_blocks_and_metadata_come_back_byte_for_byte(tmp_path: Path, original: Path) -> None:
    with open_model(original) as model:
        assert model.kind == "gguf"
        assert model.metadata["general.name"] == "tiny"
        for name in QUANTISED:
            description = model.describe(f"blk.{name}")
            assert (description.dtype, description.shape) == (f"GGUF:{name}", (4, 64))
            assert model[f"blk.{name}"].dtype == np.uint8
            assert model[f"blk.{name}"].size == description.size_bytes
        assert model["half"].tolist() == WEIGHTS.astype(np.float16).tolist()
        assert model["brain"].dtype == np.float32
        save_model(tmp_path / "b.gguf", model, attachments=dict(model.attachments))
        described = {name: model.describe(name) for name in model}
        backwards = ((name, model[name]) for name in list(model)[::-1])
        save_model(tmp_path / "c.gguf", backwards, descriptions=described, attachments=model.attachments)
    assert (tmp_path / "b.gguf").read_bytes() == original.read_bytes()
    assert (tmp_path / "c.gguf").read_bytes() == original.read_bytes()


def test_the_package_reads_the_attached_metadata(tmp_path: Path, original: Path) -> None:
    with open_model(original) as model:
        (tmp_path / "metadata.gguf").write_bytes(model.attachments["metadata.gguf"])
    reader = gguf.GGUFReader(str(tmp_path / "metadata.gguf"))
    assert not reader.tensors
    assert reader.fields["general.name"].contents() == "tiny"


def test_dequantised_values_are_those_of_the_package(tmp_path: Path, original: Path) -> None:
    with open_model(original, dequantize=True) as model:
        assert set(model.dtypes.values()) == {"F32", "F16", "BF16"}
        save_model(tmp_path / "a.safetensors", model)
    with open_model(tmp_path / "a.safetensors") as values:
        for tensor in gguf.GGUFReader(str(original)).tensors:
            expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            np.testing.assert_array_equal(values[tensor.name], expected.reshape(tensor.shape[::-1]))
    assert safetensors.torch.load_file(tmp_path / "a.safetensors")["half"].dtype == torch.float16


def test_block_sizes_are_those_of_the_package() -> None:
    sizes = {int(kind): (kind.name, *size) for kind, size in GGML_QUANT_SIZES.items()}
    ours = {n: (t.name, t.block_elements, t.block_bytes) for n, t in BLOCK_TYPES.items()}
    assert {number: ours.get(number) for number in sizes} == sizes


def test_types_of_the_future_keep_their_bytes(tmp_path: Path, original: Path) -> None:
    content = bytearray(original.read_bytes())
    place = content.index(b"blk.Q8_0") + len("blk.Q8_0") + 4 + 16
    content[place : place + 4] = struct.pack("<I", 99)
    (tmp_path / "f.gguf").write_bytes(content)
    with open_model(tmp_path / "f.gguf") as model:
        assert model.dtype_of("blk.Q8_0") == "GGUF:99"
        save_model(tmp_path / "g.gguf", model, attachments=model.attachments)
    assert (tmp_path / "g.gguf").read_bytes() == content
    with open_model(tmp_path / "f.gguf", dequantize=True) as model, pytest.raises(NotEncodable, match="99"):
        model["blk.Q8_0"]


def damage(content: bytes, name: str) -> bytes:
    if name == "version":
        return content[:4] + struct.pack("<I", 1) + content[8:]
    if name == "counts":
        return content[:8] + b"\xff" * 16 + content[24:]
    if name == "cut":
        return content[:-600]
    if name == "cut header":
        return content[:100]
    return content.replace(b"half", b"hal\xff")


@pytest.mark.parametrize("name", ["version", "counts", "cut", "cut header", "name"])
def test_damage_is_named(tmp_path: Path, original: Path, name: str) -> None:
    path = tmp_path / "d.gguf"
    path.write_bytes(damage(original.read_bytes(), name))
    with pytest.raises(NotEncodable) as caught:
        open_model(path)
    assert (caught.value.path or "").startswith(str(path))


def test_what_gguf_cannot_hold(tmp_path: Path) -> None:
    for array in (np.ones(3, np.uint32), np.array([True]), np.ones(2, np.complex64)):
        with pytest.raises(NotEncodable, match="no type") as caught:
            save_model(tmp_path / "x.gguf", {"w": array})
        assert caught.value.path == "w"
    save_model(tmp_path / "y.gguf", {"w": np.ones((2, 3), np.float32)})
    assert gguf.GGUFReader(str(tmp_path / "y.gguf")).tensors[0].data.tolist() == [[1, 1, 1], [1, 1, 1]]


def test_a_missing_package_is_named(original: Path, monkeypatch: Any) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "gguf", None)
    open_model(original).close()
    with pytest.raises(NotEncodable, match="pip install"):
        open_model(original, dequantize=True)
