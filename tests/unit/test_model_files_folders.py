# SPDX-License-Identifier: Apache-2.0
"""Indexes of shards, model folders, and files that are no models."""

from __future__ import annotations

import gzip
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import open_model, save_folder, save_model

A, B, C = (np.full((3, 4), value, np.float32) for value in range(3))


def write_index(folder: Path, weight_map: dict[str, str], suffix: str = "safetensors") -> Path:
    path = folder / f"model.{suffix}.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 3}, "weight_map": weight_map}))
    return path


def test_tensors_that_the_index_omits_are_kept_with_a_note(tmp_path: Path) -> None:
    save_file({"embed": A, "layer": B}, tmp_path / "model-00001-of-00001.safetensors")
    index = write_index(tmp_path, {"layer": "model-00001-of-00001.safetensors"})
    with open_model(index) as model:
        assert model.names() == ("layer", "embed")
        assert model["embed"].tolist() == A.tolist()
        assert "omits 1 of the shards' tensors" in model.notes[0]
        assert "embed" in model.notes[0]
        assert model.shards == (0, 0)


def test_shards_that_the_index_omits_are_kept(tmp_path: Path) -> None:
    names = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    save_file({"a": A}, tmp_path / names[0])
    save_file({"b": B}, tmp_path / names[1])
    save_file({"x": B}, tmp_path / "model-00001-of-00003.safetensors")
    save_file({"y": B}, tmp_path / "other-00001-of-00002.safetensors")
    with open_model(write_index(tmp_path, {"a": names[0]})) as model:
        assert model.names() == ("a", "b")
        assert model.notes


def test_a_tensor_in_two_shards_is_refused_with_both_names(tmp_path: Path) -> None:
    save_file({"a": A, "b": B}, tmp_path / "1.safetensors")
    save_file({"b": C}, tmp_path / "2.safetensors")
    index = write_index(tmp_path, {"a": "1.safetensors", "b": "2.safetensors"})
    with pytest.raises(NotEncodable, match=r"both 1\.safetensors and 2\.safetensors") as caught:
        open_model(index)
    assert caught.value.path == f"{index}: b"


@pytest.mark.parametrize("listed", [("head",), ("embed",), ("head", "embed")])
def test_tied_names_are_kept_whichever_the_index_lists(tmp_path: Path, listed: tuple[str, ...]) -> None:
    shared = torch.ones(3, 4)
    torch.save({"embed": shared, "head": shared, "b": torch.zeros(2)}, tmp_path / "p-00001-of-00001.bin")
    weight_map = dict.fromkeys([*listed, "b"], "p-00001-of-00001.bin")
    with open_model(write_index(tmp_path, weight_map, "bin")) as model:
        assert set(model) == {"embed", "head", "b"}
        ((alias, name),) = model.tied.items()
        assert model.names().index(name) < model.names().index(alias)
        assert model[alias].tolist() == model[name].tolist()


def write_folder(folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    save_file({"a": A, "b": B}, folder / "model.safetensors", {"format": "pt"})
    attached = {"config.json": b"{}", "tokenizer.json": b"[]", "README.md": b"# hi", "vocab.txt": b"x"}
    for name, content in attached.items():
        (folder / name).write_bytes(content)
    torch.save({"a": torch.ones(3)}, folder / "pytorch_model.bin")
    for name in (
        "training_args.bin",
        "optimizer.pt",
        "tf_model.h5",
        "flax_model.msgpack",
        "model.onnx",
        ".gitattributes",
    ):
        (folder / name).write_bytes(b"x")
    (folder / "onnx").mkdir()
    return attached


def test_a_folder_comes_with_its_files_and_goes_out_again(tmp_path: Path) -> None:
    attached = write_folder(tmp_path / "in")
    with open_model(tmp_path / "in") as model:
        assert model.names() == ("a", "b")
        assert dict(model.attachments) == attached
        assert set(model.left_out) == {
            *("pytorch_model.bin", "training_args.bin", "optimizer.pt", "tf_model.h5", "flax_model.msgpack"),
            *("model.onnx", ".gitattributes", "onnx/"),
        }
        described = {name: model.describe(name) for name in model}
        save_folder(
            tmp_path / "out",
            model.items(),
            described,
            metadata=model.metadata,
            attachments=model.attachments,
        )
    assert set(os.listdir(tmp_path / "out")) == {*attached, "model.safetensors"}
    for name in (*attached, "model.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "in" / name).read_bytes()
    with pytest.raises(FileExistsError):
        save_folder(tmp_path / "out", {}.items(), {}, attachments={"config.json": b""})
    assert (tmp_path / "out" / "config.json").read_bytes() == b"{}"


def test_sharded_folders_and_links_of_a_cache(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    folder = tmp_path / "snapshot"
    folder.mkdir()
    save_file({"a": A}, tmp_path / "blobs" / "1")
    (tmp_path / "blobs" / "2").write_bytes(b"{}")
    os.symlink("../blobs/1", folder / "model-00001-of-00001.safetensors")
    os.symlink("../blobs/2", folder / "config.json")
    write_index(folder, {"a": "model-00001-of-00001.safetensors"})
    with open_model(folder) as model:
        assert dict(model.attachments) == {"config.json": b"{}"}
        assert model.left_out == ()
        assert model["a"].tolist() == A.tolist()


def test_attachments_are_capped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nnr_codec.frameworks import folder as folder_module

    write_folder(tmp_path / "in")
    (tmp_path / "in" / "large.json").write_bytes(bytes(100))
    monkeypatch.setattr(folder_module, "MAX_ATTACHMENT_BYTES", 50)
    with open_model(tmp_path / "in") as model:
        assert "large.json" in model.left_out
        assert "large.json" not in model.attachments


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "/x",
        "x\0",
        "NUL",
        "con.json",
        "c:x",
        "x.",
        "model.safetensors",
        "x.index.json",
    ],
)
def test_attachments_stay_in_their_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotEncodable):
        save_folder(tmp_path / "out", {}.items(), {}, attachments={name: b"x"})
    assert not (tmp_path / "out").exists() or not os.listdir(tmp_path / "out")


def truncated(folder: Path) -> dict[str, bytes]:
    torch.save({"w": torch.ones(100, 100)}, folder / "m.pt")
    torch.save({"w": torch.ones(100, 100)}, folder / "l.pt", _use_new_zipfile_serialization=False)
    np.savez(folder / "m.npz", w=np.ones((100, 100)))
    save_file({"w": np.ones((100, 100))}, folder / "m.safetensors")
    return {path.name: path.read_bytes()[:20_000] for path in sorted(folder.glob("[ml].*"))}


@pytest.mark.parametrize("with_suffix", [True, False])
@pytest.mark.parametrize("name", ["m.pt", "l.pt", "m.npz", "m.safetensors"])
def test_interrupted_downloads_are_named_as_such(tmp_path: Path, name: str, with_suffix: bool) -> None:
    path = tmp_path / (f"cut-{name}" if with_suffix else "blob")
    path.write_bytes(truncated(tmp_path)[name])
    with pytest.raises(NotEncodable, match="cut short") as caught:
        open_model(path)
    assert str(path) in (caught.value.path or "")


def zipped(content: dict[str, bytes]) -> bytes:
    import io

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return file.getvalue()


STRANGERS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "git lfs pull"),
    "page": (b"\n <!DOCTYPE html><html><body>404</body></html>", "HTML page"),
    "page with mark": (b"\xef\xbb\xbf<html>", "HTML page"),
    "storage error": (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "XML text"),
    "api error": (b'{"error":"Repository not found"}', "JSON text"),
    "gzip": (gzip.compress(b"x" * 100), "gzip"),
    "xz": (b"\xfd7zXZ\x00" + bytes(100), "xz"),
    "zip in zip": (zipped({"folder/m.pt": b"x", "notes": b""}), r"folder/m\.pt; unpack"),
    "zip of texts": (zipped({"a.txt": b"x"}), "without a model"),
    "export": (zipped({"e/data/weights/weight_0": b"x", "e/data/sample_inputs/m.pt": b""}), "torch.export"),
    "tar": (bytes(257) + b"ustar\x0000" + bytes(300), "tar archive"),
    "zeros": (bytes(1000), "begins with zeros"),
    "array": (b"\x93NUMPY\x01\x00", "single NumPy array"),
    "lite": (b"\x1c\0\0\0TFL3" + bytes(30), "TensorFlow Lite"),
}


@pytest.mark.parametrize(
    "suffix", ["", ".pt", ".safetensors", ".npz", ".onnx", ".gguf", ".h5", ".keras", ".bin"]
)
@pytest.mark.parametrize("kind", STRANGERS)
def test_files_that_are_no_models_are_named_as_what_they_are(tmp_path: Path, kind: str, suffix: str) -> None:
    content, message = STRANGERS[kind]
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(NotEncodable, match=message) as caught:
        open_model(path)
    assert caught.value.path == str(path)


def test_content_counts_for_more_than_the_name(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"a": A}
    for kind in ("safetensors", "npz", "pytorch", "gguf", "h5"):
        path = tmp_path / f"{kind}.bin"
        save_model(path, arrays, kind=kind)
        for name in (path, path.rename(tmp_path / kind)):
            if not name.exists():
                continue
            with open_model(name) as model:
                assert model.kind == kind
                assert model["a"].tolist() == A.tolist()


def test_a_missing_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        open_model(tmp_path / "absent.pt")
    assert caught.value.filename == str(tmp_path / "absent.pt")
    with pytest.raises(NotEncodable, match="no model"):
        open_model(tmp_path)
