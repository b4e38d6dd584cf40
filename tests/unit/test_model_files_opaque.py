# SPDX-License-Identifier: Apache-2.0
"""Opaque types of safetensors and NPZ files, and writers that take tensors in any order."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import TensorDescription, open_model, save_folder, save_model, save_shards
from nnr_codec.frameworks.safetensors import write_safetensors

SAFETENSORS_TYPES = {
    "F4": ([3, 4], 6), "F6_E2M3": ([4, 2], 6), "F6_E3M2": ([8], 6), "F8_E8M0": ([5], 5), "C64": ([2, 1], 16),
    "F8_E4M3FNUZ": ([3], 3), "F8_E5M2FNUZ": ([3], 3), "F4_FUTURE": ([7], 3), "I128": ([1], 16),
}  # fmt: skip


def write_raw(path: Path, entries: dict[str, tuple[str, list[int], bytes]]) -> None:
    header, payload = {}, b""
    for name, (dtype, shape, content) in entries.items():
        begin = len(payload)
        payload += content
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, len(payload)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + payload)


def test_every_type_of_safetensors_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    entries = {tag: (tag, shape, rng.bytes(size)) for tag, (shape, size) in SAFETENSORS_TYPES.items()}
    entries["plain"] = ("F32", [2], np.ones(2, np.float32).tobytes())
    write_raw(tmp_path / "a.safetensors", entries)
    with open_model(tmp_path / "a.safetensors") as model:
        for tag, (_, shape, content) in entries.items():
            description = model.describe(tag)
            assert description.is_opaque == (tag != "plain")
            assert (description.shape, description.size_bytes) == (tuple(shape), len(content))
            assert model[tag].tobytes() == content
            assert tag == "plain" or (model[tag].dtype == np.uint8 and model[tag].ndim == 1)
        assert model.size_bytes == sum(len(content) for _, _, content in entries.values())
        save_model(tmp_path / "b.safetensors", model)
    assert (tmp_path / "b.safetensors").read_bytes() == (tmp_path / "a.safetensors").read_bytes()


def test_the_library_reads_what_we_wrote_and_the_reverse(tmp_path: Path) -> None:
    e8m0 = torch.arange(6, dtype=torch.uint8).view(torch.float8_e8m0fnu).reshape(2, 3)
    tensors = {"c": torch.tensor([1 + 2j]), "s": e8m0, "f": torch.ones(2, dtype=torch.float8_e5m2fnuz)}
    tensors["four"] = torch.arange(6, dtype=torch.uint8).view(torch.float4_e2m1fn_x2).reshape(2, 3)
    safetensors.torch.save_file(tensors, tmp_path / "a.safetensors")
    with open_model(tmp_path / "a.safetensors") as model:
        assert model.dtypes == {"c": "C64", "s": "F8_E8M0", "f": "F8_E5M2FNUZ", "four": "F4"}
        assert model.shape_of("four") == (2, 6)
        save_model(tmp_path / "b.safetensors", model)
        save_model(tmp_path / "c.pt", model)
    for again in (
        safetensors.torch.load_file(tmp_path / "b.safetensors"),
        torch.load(tmp_path / "c.pt", weights_only=True),
    ):
        for name, tensor in tensors.items():
            assert again[name].dtype == tensor.dtype
            assert again[name].shape == tensor.shape
            assert bytes(again[name].untyped_storage()) == bytes(tensor.untyped_storage())


def test_parts_of_bytes_are_refused(tmp_path: Path) -> None:
    write_raw(tmp_path / "a.safetensors", {"w": ("F4", [3], b"12")})
    with pytest.raises(NotEncodable, match="part of a byte"):
        open_model(tmp_path / "a.safetensors")


NPZ_ARRAYS: dict[str, Any] = {
    "complex": np.array([[1 + 2j, 3]], np.complex64),
    "complex128": np.array([1 + 2j]),
    "text": np.array(["ab", "é"]),
    "bytes": np.array([b"ab", b"c"]),
    "empty text": np.array([], "U3"),
    "structured": np.array([(1, 2.5), (3, 4.5)], [("x", "<i2"), ("y", "<f8")]),
    "nested": np.zeros(2, [("a", [("b", "<f4", (2, 2)), ("é", "S3")]), ("c", "?")]),
    "aligned": np.zeros(2, np.dtype([("x", "i1"), ("y", "f8")], align=True)),
    "date": np.array(["2020-01-01", "NaT"], "M8[D]"),
    "delta": np.array([1, 2], "m8[ns]"),
    "void": np.array([b"abc"], "V3"),
    "long double": np.array([1.5], np.longdouble),
    "big text": np.array(["ab"], ">U2"),
    "fortran": np.asfortranarray(np.array([[1j, 2], [3, 4]])),
    "scalar": np.array("x"),
    "number": np.arange(3.0),
}


def test_every_type_of_numpy_comes_back(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", **NPZ_ARRAYS)
    with open_model(tmp_path / "a.npz") as model:
        assert set(model) == set(NPZ_ARRAYS)
        assert model.dtype_of("complex") == "C64"
        assert model.dtype_of("text") == "NPZ:<U2"
        assert model["structured"].tobytes() == NPZ_ARRAYS["structured"].tobytes()
        save_model(tmp_path / "b.npz", model)
        names = [*NPZ_ARRAYS][::-1]
        described = {name: model.describe(name) for name in NPZ_ARRAYS}
        save_model(tmp_path / "c.npz", ((n, model[n]) for n in names), descriptions=described)
    for path in ("b.npz", "c.npz"):
        with np.load(tmp_path / path) as again:
            for name, array in NPZ_ARRAYS.items():
                assert again[name].dtype == array.dtype.newbyteorder("<")
                np.testing.assert_array_equal(again[name], array)


def test_numpy_arrays_of_opaque_types_are_taken_as_they_are(tmp_path: Path) -> None:
    save_model(tmp_path / "a.npz", {"c": np.array([1j], np.complex64), "d": np.array([1j])})
    with np.load(tmp_path / "a.npz") as again:
        assert again["c"].dtype == np.complex64
        assert again["d"].tolist() == [1j]
    save_model(tmp_path / "a.safetensors", {"c": np.array([[1j]], ">c8")})
    assert safetensors.torch.load_file(tmp_path / "a.safetensors")["c"].tolist() == [[1j]]
    with pytest.raises(NotEncodable, match="no type") as caught:
        save_model(tmp_path / "b.safetensors", {"layer.d": np.array([1j])})
    assert caught.value.path == "layer.d"
    assert not (tmp_path / "b.safetensors").exists()


def test_object_arrays_are_refused_by_name_and_texts_become_attachments(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", good=np.ones(2), bad=np.array([{}], dtype=object))
    with pytest.raises(NotEncodable) as caught:
        open_model(tmp_path / "objects.npz")
    assert caught.value.path == f"{tmp_path / 'objects.npz'}: bad"
    np.savez(tmp_path / "text.npz", w=np.ones(2))
    with zipfile.ZipFile(tmp_path / "text.npz", "a") as archive:
        archive.writestr("readme.txt", "hello")
    with open_model(tmp_path / "text.npz") as model:
        assert dict(model.attachments) == {"readme.txt": b"hello"}
        save_model(tmp_path / "again.npz", model, attachments=model.attachments)
    with zipfile.ZipFile(tmp_path / "again.npz") as archive:
        assert archive.read("readme.txt") == b"hello"


@pytest.mark.parametrize(
    "tag",
    [
        "NPZ:O",
        "NPZ:[('a','O')]",
        "NPZ:[(",
        "NPZ:<f4,O",
        "GGUF:Q4_1",
        "TORCH:qint8",
        "f4:O",
        "F4",
        "NPZ:('<f4',(2,))",
    ],
)
def test_tags_of_a_stream_are_not_trusted(tmp_path: Path, tag: str) -> None:
    described = {"w": TensorDescription(tag, (2,), 8)}
    with pytest.raises(NotEncodable) as caught:
        save_model(tmp_path / "a.npz", {"w": np.zeros(8, np.uint8)}, descriptions=described)
    assert caught.value.path == "w"


def test_opaque_bytes_of_another_size_are_refused(tmp_path: Path) -> None:
    for kind in ("safetensors", "pt", "npz"):
        with pytest.raises(NotEncodable) as caught:
            save_model(
                tmp_path / f"a.{kind}",
                {"w": np.zeros(7, np.uint8)},
                descriptions={"w": TensorDescription("C64", (1,))},
            )
        assert caught.value.path == "w"


TENSORS = {f"t{i}": np.full(i + 1, i, np.float32) for i in range(5)}
DESCRIBED = {name: TensorDescription("F32", array.shape) for name, array in TENSORS.items()}


@pytest.mark.parametrize("kind", ["safetensors", "npz", "pt"])
def test_tensors_arrive_in_any_order(tmp_path: Path, kind: str) -> None:
    backwards = list(TENSORS.items())[::-1]
    save_model(tmp_path / f"a.{kind}", iter(backwards), descriptions=DESCRIBED)
    with open_model(tmp_path / f"a.{kind}") as model:
        assert kind == "npz" or model.names() == tuple(TENSORS)
        for name, array in TENSORS.items():
            assert model[name].tolist() == array.tolist()
    if kind == "safetensors":
        save_model(tmp_path / "b.safetensors", TENSORS)
        assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_shards_and_folders_take_any_order(tmp_path: Path) -> None:
    backwards = list(TENSORS.items())[::-1]
    save_shards(tmp_path / "m.safetensors.index.json", iter(backwards), DESCRIBED, [0, 1, 0, 1, 2])
    save_folder(tmp_path / "folder", iter(backwards), DESCRIBED, shards=[0, 1, 0, 1, 2])
    for path in (tmp_path / "m.safetensors.index.json", tmp_path / "folder"):
        with open_model(path) as model:
            assert model.names() == tuple(TENSORS)
            assert model.shards == (0, 1, 0, 1, 2)
            assert model["t4"].tolist() == [4] * 5


class Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False


def test_a_pipe_takes_the_files_order_only() -> None:
    pipe = Pipe()
    write_safetensors(pipe, iter(TENSORS.items()), DESCRIBED, {})
    assert set(safetensors.torch.load(pipe.getvalue())) == set(TENSORS)
    with pytest.raises(NotEncodable, match="pipe"):
        write_safetensors(Pipe(), iter(list(TENSORS.items())[::-1]), DESCRIBED, {})
