# SPDX-License-Identifier: Apache-2.0
"""HDF5 files and Keras archives, written by h5py in Keras' layouts."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import hdf5_process, open_model, save_model

KERNEL = np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)


def write_weights(path: Path) -> None:
    """The layout of Keras 3: groups of layers, each with its variables by number."""
    with h5py.File(path, "w") as file:
        file.create_group("_layer_checkpoint_dependencies")
        layer = file.create_group("layers/dense")
        layer.attrs["name"] = "dense é"
        layer.create_dataset("vars/0", data=KERNEL)
        layer.create_dataset("vars/1", data=np.zeros(5, np.float16))
        brain = layer.create_dataset("vars/2", data=(KERNEL.view(np.uint32) >> 16).astype(np.uint16))
        brain.attrs["dtype"] = "bfloat16"
        file.create_dataset("optimizer/vars/0", data=np.int64(7))
        file.create_dataset("packed", data=np.arange(1000.0), chunks=(100,), compression="gzip")
        file.create_dataset("flags", data=np.array([True, False]))
        file.create_dataset("complex", data=np.array([1j], np.complex64))
        file.create_dataset("words", data=np.array(["a", "é"], object), dtype=h5py.string_dtype())
        file.create_dataset("fixed", data=np.array([b"ab", b"c"]))
        file.create_dataset("big", data=np.arange(3, dtype=">f4"))
        # The layout of Keras 2 has the names in attributes.
        file.attrs["layer_names"] = np.array([b"dense", b"b"])
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential"})
        file.attrs["numbers"] = np.array([[1.5, 2]], np.float32)


def content(path: Path) -> dict[str, Any]:
    result: dict[str, Any] = {}

    def visit(name: str, member: Any) -> None:
        result[f"{name}@"] = {key: np.asarray(value).tolist() for key, value in member.attrs.items()}
        if isinstance(member, h5py.Dataset):
            value = member[()]
            result[name] = (str(np.asarray(value).dtype.newbyteorder("<")), np.asarray(value).tolist())
        else:
            result[name] = "group"

    with h5py.File(path, "r") as file:
        visit("", file)
        file.visititems(visit)
    return result


def test_weights_come_back_with_groups_and_attributes(tmp_path: Path) -> None:
    write_weights(tmp_path / "a.weights.h5")
    with open_model(tmp_path / "a.weights.h5") as model:
        assert model.kind == "h5"
        assert model.dtypes["layers/dense/vars/2"] == "BF16"
        assert model.dtype_of("complex") == "C64"
        assert model.dtype_of("fixed") == "NPZ:|S2"
        assert model.shape_of("optimizer/vars/0") == ()
        assert model["layers/dense/vars/0"].tolist() == KERNEL.tolist()
        assert model["big"].tolist() == [0, 1, 2]
        save_model(tmp_path / "b.weights.h5", model, attachments=model.attachments)
        described = {name: model.describe(name) for name in model}
        backwards = ((name, model[name]) for name in list(model)[::-1])
        save_model(tmp_path / "c.h5", backwards, descriptions=described, attachments=model.attachments)
        save_model(tmp_path / "d.safetensors", {n: model[n] for n in model if n.startswith("layers")})
    assert content(tmp_path / "b.weights.h5") == content(tmp_path / "a.weights.h5")
    assert content(tmp_path / "c.h5") == content(tmp_path / "a.weights.h5")


def test_keras_archives_come_back_with_their_configuration(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.h5")
    texts = {
        "metadata.json": b'{"keras_version": "3"}',
        "config.json": b"{}",
        "assets/vocabulary.txt": b"a\n",
    }
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
        archive.write(tmp_path / "w.h5", "model.weights.h5")
    with open_model(tmp_path / "a.keras") as model:
        assert model.kind == "keras"
        assert {name: model.attachments[name] for name in texts} == texts
        save_model(tmp_path / "b.keras", model, attachments=dict(model.attachments))
    with zipfile.ZipFile(tmp_path / "b.keras") as archive:
        assert set(archive.namelist()) == {*texts, "model.weights.h5"}
        assert {name: archive.read(name) for name in texts} == texts
        archive.extract("model.weights.h5", tmp_path)
    assert content(tmp_path / "model.weights.h5") == content(tmp_path / "w.h5")


def test_links_references_and_outside_data_are_left_out(tmp_path: Path) -> None:
    write_weights(tmp_path / "other.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("g")
        file.create_dataset("g/w", data=KERNEL)
        group["loop"] = file["g"]
        file["soft"] = h5py.SoftLink("/g/w")
        file["outside"] = h5py.ExternalLink("other.h5", "big")
        file.create_dataset("reference", data=file.ref, dtype=h5py.ref_dtype)
        file.create_dataset("external", (5,), "f4", external=[(str(tmp_path / "other.h5"), 0, 20)])
        layout = h5py.VirtualLayout((4, 5), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "a.h5"), "g/w", (4, 5))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("empty", data=h5py.Empty("f4"))
    with open_model(tmp_path / "a.h5") as model:
        assert model.names() == ("g/w",)
        assert set(model.left_out) == {
            *("g/loop", "soft", "outside", "reference", "external", "virtual", "empty"),
        }


def test_fill_values_are_no_bomb(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("w", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024))
    with pytest.raises(NotEncodable, match="more elements"):
        open_model(tmp_path / "a.h5")


def test_a_child_that_fails_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_weights(tmp_path / "a.h5")
    with open_model(tmp_path / "a.h5") as model:
        model._process._process.kill()
        with pytest.raises(NotEncodable, match="failed on this file") as caught:
            model["big"]
        assert caught.value.path == str(tmp_path / "a.h5")
    monkeypatch.setattr(hdf5_process, "_SECONDS", 0.0)
    monkeypatch.setattr(hdf5_process, "_BYTES_PER_SECOND", 1e15)
    with pytest.raises(NotEncodable, match="takes too long"):
        open_model(tmp_path / "a.h5")


def test_a_child_that_computes_for_ever_is_ended_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_weights(tmp_path / "a.h5")
    endless = hdf5_process._CHILD.replace(
        "hdf5_worker.main()", "hdf5_process.limit_time(0)\nwhile True: pass"
    )
    monkeypatch.setattr(hdf5_process, "_CHILD", endless.replace("hdf5_worker\n", "hdf5_process\n"))
    with pytest.raises(NotEncodable, match="takes too long") as caught:
        open_model(tmp_path / "a.h5")
    assert caught.value.path == str(tmp_path / "a.h5")


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_weights(tmp_path / "a.h5")
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "h5py.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(str(tmp_path / "without"))
    with pytest.raises(NotEncodable, match="pip install"):
        open_model(tmp_path / "a.h5")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(NotEncodable, match="pip install"):
        save_model(tmp_path / "b.h5", {"w": KERNEL})


def test_damage_is_named(tmp_path: Path) -> None:
    write_weights(tmp_path / "a.h5")
    whole = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.h5").write_bytes(b"no HDF5 file")
    for name in ("cut.h5", "text.h5"):
        with pytest.raises(NotEncodable) as caught:
            open_model(tmp_path / name)
        assert caught.value.path == str(tmp_path / name)
    with pytest.raises(NotEncodable) as caught:
        save_model(tmp_path / "b.h5", {"w": KERNEL}, attachments={"structure.h5.json": b"[]"})
    assert caught.value.path == "structure.h5.json"
    assert not os.path.exists(tmp_path / "b.h5")


EMPTY_TEXT = {"shape": [], "strings": [], "dtype": "str"}


@pytest.mark.parametrize(
    ("part", "content", "place"),
    [
        ("groups", {"": {"a": EMPTY_TEXT}}, "structure.h5.json"),
        ("groups", {"": {"a": {"shape": [1], "base64": "AAAA", "dtype": "?4"}}}, "structure.h5.json"),
        ("texts", {"t": {"encoding": "utf-8", "value": EMPTY_TEXT, "attributes": {}}}, "structure.h5.json"),
        ("datasets", {"w": []}, "w"),
        ("datasets", {"w": {"attributes": [1]}}, "w"),
        ("datasets", {"w": {"attributes": {"a": EMPTY_TEXT}}}, "w"),
    ],
)
def test_a_hostile_structure_is_named(tmp_path: Path, part: str, content: Any, place: str) -> None:
    structure = {"groups": {}, "datasets": {}, "texts": {}, "left_out": [], part: content}
    attachments = {"structure.h5.json": json.dumps(structure).encode()}
    with pytest.raises(NotEncodable) as caught:
        save_model(tmp_path / "b.h5", {"w": KERNEL}, attachments=attachments)
    assert caught.value.path == place
    assert not list(tmp_path.iterdir())
