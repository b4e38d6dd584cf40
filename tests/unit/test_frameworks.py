# SPDX-License-Identifier: Apache-2.0
"""safetensors, NPZ and shards, against the formats' own libraries."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import ModelFile, kind_of_path, open_model, save_model
from nnr_codec.frameworks.safetensors import SafetensorsFile

RNG = np.random.default_rng(1)
TENSORS = {
    "conv.weight": RNG.standard_normal((4, 3, 3, 3)).astype(np.float32),
    "scalar": np.array(7, np.int64),
    "empty": np.zeros((0, 5), np.float32),
    "half": RNG.standard_normal(9).astype(np.float16),
    "double": RNG.standard_normal((2, 2)),
    "mask": np.array([True, False, True]),
    "bytes": np.arange(5, dtype=np.uint8),
    "big": np.array([2**63 + 1], np.uint64),
    "odd/näme with 'quotes' \n": np.arange(6, dtype=np.int16).reshape(2, 3),
}


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("kind", ["safetensors", "npz"])
def test_round_trip_keeps_names_order_types_and_shapes(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"model.{kind}"
    save_model(path, TENSORS)
    with open_model(path) as source:
        assert source.kind == kind
        assert source.names() == tuple(TENSORS)
        for name, array in TENSORS.items():
            assert same(source[name], array)
            assert source.shape_of(name) == array.shape
        assert source.dtype_of("mask") == "BOOL"
        assert source.size_bytes == sum(a.nbytes for a in TENSORS.values())
        with pytest.raises(KeyError):
            source["absent"]
    assert os.listdir(tmp_path) == [path.name]


def test_safetensors_library_reads_ours_and_we_read_its(tmp_path: Path) -> None:
    save_model(tmp_path / "ours.safetensors", TENSORS, metadata={"format": "pt", "é": "ü"})
    theirs = safetensors.numpy.load_file(tmp_path / "ours.safetensors")
    assert all(same(theirs[name], array) for name, array in TENSORS.items())
    with safetensors.safe_open(tmp_path / "ours.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt", "é": "ü"}
    safetensors.numpy.save_file(TENSORS, tmp_path / "theirs.safetensors", {"a": "b"})
    with open_model(tmp_path / "theirs.safetensors") as source:
        assert source.metadata == {"a": "b"}
        assert all(same(source[name], array) for name, array in TENSORS.items())


def test_a_source_is_copied_tensor_by_tensor(tmp_path: Path) -> None:
    save_model(tmp_path / "a.safetensors", TENSORS)
    with open_model(tmp_path / "a.safetensors") as source:
        save_model(tmp_path / "b.safetensors", source, metadata=source.metadata)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_an_iterable_with_shapes_is_consumed_lazily(tmp_path: Path) -> None:
    asked: list[int] = []

    def tensors() -> object:
        for i in range(3):
            asked.append(i)
            yield f"t{i}", np.full(4, i, np.float32)

    shapes = {f"t{i}": (4,) for i in range(3)}
    save_model(tmp_path / "m.safetensors", tensors(), shapes=shapes, dtypes=dict.fromkeys(shapes, "F32"))
    assert asked == [0, 1, 2]
    with open_model(tmp_path / "m.safetensors") as source:
        assert source["t2"].tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize(
    "names", [["t0"], ["t0", "t1", "t0"], ["t0", "t1", "t2"]], ids=["missing", "twice", "extra"]
)
def test_tensors_other_than_announced_leave_nothing(tmp_path: Path, names: list[str]) -> None:
    shapes = {"t0": (2,), "t1": (2,)}
    with pytest.raises(NotEncodable):
        save_model(
            tmp_path / "m.safetensors",
            [(name, np.zeros(2, np.float32)) for name in names],
            shapes=shapes,
            dtypes=dict.fromkeys(shapes, "F32"),
        )
    assert os.listdir(tmp_path) == []


def test_bfloat16_is_widened_and_narrowed_exactly(tmp_path: Path) -> None:
    codes = np.arange(1 << 16, dtype="<u2")
    header = json.dumps({"w": {"dtype": "BF16", "shape": [1 << 16], "data_offsets": [0, 1 << 17]}}).encode()
    path = tmp_path / "bf16.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + codes.tobytes())
    with open_model(path) as source:
        values = source["w"]
        assert values.dtype == np.float32
        assert values[0x3F80] == 1.0
        save_model(tmp_path / "again.safetensors", source)
    assert (tmp_path / "again.safetensors").read_bytes()[-(1 << 17) :] == codes.tobytes()


def test_integers_in_metadata_become_text(tmp_path: Path) -> None:
    header = b'{"__metadata__":{"epoch":3},"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\x05")
    with open_model(path) as source:
        assert source.metadata == {"epoch": "3"}


ENTRY = '"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        ("{" + ENTRY + "}", b"123"),
        ("{" + ENTRY + "}", b"12345"),
        ("{" + ENTRY + "," + ENTRY + "}", b"1234"),
        ('{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', b"1234"),
        ('{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', b"12345678"),
        ('{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', b"1234"),
        ('{"w":{"dtype":"F32","shape":[1e9],"data_offsets":[0,4]}}', b"1234"),
        ('{"w":{"dtype":"F32","shape":[true],"data_offsets":[0,4]}}', b"1234"),
        ('{"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}', b"1234"),
        ('{"w":{"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}}', b""),
        ('{"w":{"dtype":3,"shape":[1],"data_offsets":[0,4]}}', b"1234"),
        ('{"w":[]}', b""),
        ('{"__metadata__":3}', b""),
        ("[]", b""),
        ("[" * 100000, b""),
        ("\xff", b""),
    ],
)
def test_damaged_safetensors_are_refused(tmp_path: Path, header: str, payload: bytes) -> None:
    text = header.encode("latin-1")
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + payload)
    with pytest.raises(NotEncodable) as caught:
        open_model(path)
    assert (caught.value.path or "").startswith(str(path))


@pytest.mark.parametrize("content", [b"", b"123", b"\xff" * 8, b"\x09" + b"\0" * 7 + b"{}"])
def test_no_safetensors_at_all(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(NotEncodable):
        open_model(path)


def test_npz_of_other_byte_order_and_memory_order(tmp_path: Path) -> None:
    big = np.arange(6, dtype=">f4").reshape(2, 3)
    np.savez_compressed(tmp_path / "m.npz", big=big, fortran=np.asfortranarray(big.astype(np.float64)))
    with open_model(tmp_path / "m.npz") as source:
        assert source.dtypes == {"big": "F32", "fortran": "F64"}
        assert same(source["big"], np.arange(6, dtype=np.float32).reshape(2, 3))
        assert source["fortran"].flags.c_contiguous
        assert source["fortran"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_npz_refuses_pickles_strangers_and_lies(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    with zipfile.ZipFile(tmp_path / "stranger.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    np.savez(tmp_path / "lying.npz", a=np.zeros(3, np.float32))
    lying = (tmp_path / "lying.npz").read_bytes()
    (tmp_path / "lying.npz").write_bytes(lying.replace(b"(3,)", b"(9,)"))
    (tmp_path / "nothing.npz").write_bytes(b"PK nothing")
    for name in ("objects", "stranger", "lying", "nothing"):
        with pytest.raises(NotEncodable) as caught:
            open_model(tmp_path / f"{name}.npz")
        assert f"{name}.npz" in (caught.value.path or "")


def write_shards(folder: Path) -> Path:
    save_model(folder / "s-1.safetensors", {"a": np.zeros(2, np.float32)}, metadata={"format": "pt"})
    save_model(folder / "s-2.safetensors", {"b": np.ones((2, 2), np.float16)})
    index = folder / "model.safetensors.index.json"
    weight_map = {"b": "s-2.safetensors", "a": "s-1.safetensors"}
    index.write_text(json.dumps({"metadata": {"total_size": 16, "step": 4}, "weight_map": weight_map}))
    return index


def test_shards_are_one_model(tmp_path: Path) -> None:
    index = write_shards(tmp_path)
    for path in (index, tmp_path):
        with open_model(path) as source:
            assert source.kind == "safetensors"
            assert source.names() == ("b", "a")
            assert source.metadata == {"format": "pt", "step": "4"}
            assert source["b"].tolist() == [[1, 1], [1, 1]]
            assert source.dtypes == {"b": "F16", "a": "F32"}


@pytest.mark.parametrize(
    ("name", "shard"),
    [
        ("a", "../s-1.safetensors"),
        ("a", "sub/s-1.safetensors"),
        ("a", ".."),
        ("c", "s-1.safetensors"),
        ("a", 3),
    ],
)
def test_an_index_names_only_shards_beside_it(tmp_path: Path, name: str, shard: object) -> None:
    index = write_shards(tmp_path)
    index.write_text(json.dumps({"weight_map": {name: shard}}))
    with pytest.raises(NotEncodable) as caught:
        open_model(index)
    assert caught.value.path == f"{index}: {name}"


@pytest.mark.parametrize("text", ["", "[]", '{"weight_map": {}}'])
def test_an_index_without_a_map(tmp_path: Path, text: str) -> None:
    index = tmp_path / "m.index.json"
    index.write_text(text)
    with pytest.raises(NotEncodable):
        open_model(index)


def test_kinds_are_told_by_content_when_the_name_is_silent(tmp_path: Path) -> None:
    for kind in ("safetensors", "npz"):
        save_model(tmp_path / f"{kind}-model", TENSORS, kind=kind)
        with open_model(tmp_path / f"{kind}-model") as source:
            assert source.kind == kind
    (tmp_path / "text").write_text("hello")
    with pytest.raises(NotEncodable):
        open_model(tmp_path / "text")
    with pytest.raises(NotEncodable):
        save_model(tmp_path / "unknown.kind", TENSORS)
    assert kind_of_path("a.onnx") == "onnx"


def test_a_folder_with_several_models_is_ambiguous(tmp_path: Path) -> None:
    for name in "ab":
        save_model(tmp_path / f"{name}.safetensors", TENSORS)
    with pytest.raises(NotEncodable):
        open_model(tmp_path)


def test_sources_read_from_many_threads(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    arrays = {f"t{i}": np.full(5000, i, np.int32) for i in range(40)}
    for kind in ("safetensors", "npz"):
        save_model(tmp_path / f"m.{kind}", arrays)
        with open_model(tmp_path / f"m.{kind}") as source, ThreadPoolExecutor(8) as pool:
            for name, array in zip(arrays, pool.map(source.__getitem__, arrays), strict=True):
                assert same(array, arrays[name])


def test_the_file_is_closed_after_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"")
    with pytest.raises(NotEncodable):
        SafetensorsFile(str(path))
    assert issubclass(SafetensorsFile, ModelFile)
