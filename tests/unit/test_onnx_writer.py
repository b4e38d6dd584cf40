# SPDX-License-Identifier: Apache-2.0
"""Refusals, templates, external data and sessions of the ONNX writer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import nnr_codec
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import Origin, open_model, save_model
from nnr_codec.onnx import inference_session, session_from_tensors
from tests.onnx_models import CASES, INPUT, WEIGHTS, run, save


@pytest.fixture
def topology(tmp_path: Path) -> bytes:
    save(CASES["initializer"](), tmp_path / "m.onnx")
    with open_model(tmp_path / "m.onnx") as source:
        return source.topology() or b""


@pytest.mark.parametrize(
    ("arrays", "name"),
    [
        ({}, "w"),
        ({"other": np.zeros((24, 40), np.float32)}, "other"),
        ({"w": np.zeros((40, 24), np.float32)}, "w"),
        ({"w": np.zeros((24, 40), np.complex64)}, "w"),
    ],
    ids=["missing", "unknown", "transposed", "complex"],
)
def test_tensors_that_do_not_fit_are_named(
    tmp_path: Path, topology: bytes, arrays: dict[str, Any], name: str
) -> None:
    with pytest.raises(NotEncodable) as caught:
        save_model(tmp_path / "n.onnx", arrays, template=topology)
    assert caught.value.path == name
    assert sorted(os.listdir(tmp_path)) == ["m.onnx"]


def test_opaque_tensors_are_as_many_bytes_as_the_template_has_room_for(tmp_path: Path) -> None:
    save(CASES["four_bits"](), tmp_path / "m.onnx")
    with open_model(tmp_path / "m.onnx") as source:
        descriptions: dict[str, Any] = {"shapes": source.shapes, "dtypes": source.dtypes}
        tensors = {name: source[name] for name in source}
        topology = source.topology()
    for array in (tensors["u4"][:-1], np.append(tensors["u4"], np.uint8(0))):
        with pytest.raises(NotEncodable, match="bytes") as caught:
            save_model(tmp_path / "n.onnx", {**tensors, "u4": array}, template=topology, **descriptions)
        assert caught.value.path == "u4"
    words = tensors["u4"].view(np.uint16).reshape(2, -1)
    save_model(tmp_path / "n.onnx", {**tensors, "u4": words}, template=topology, **descriptions)
    assert source_bytes(tmp_path / "n.onnx", "u4") == tensors["u4"].tobytes()


@pytest.mark.parametrize("external_data", [False, True])
def test_a_failure_leaves_nothing_behind(tmp_path: Path, topology: bytes, external_data: bool) -> None:
    def failing() -> Iterator[tuple[str, Any]]:
        yield "w", WEIGHTS
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_model(
            tmp_path / "n.onnx",
            failing(),
            shapes={"w": (24, 40)},
            dtypes={"w": "F32"},
            template=topology,
            external_data=external_data,
        )
    assert sorted(os.listdir(tmp_path)) == ["m.onnx"]


def test_tensors_that_do_not_arrive_are_named(tmp_path: Path, topology: bytes) -> None:
    for items, name in ([], "w"), ([("w", WEIGHTS), ("w", WEIGHTS)], "w"):
        with pytest.raises(NotEncodable) as caught:
            save_model(
                tmp_path / "n.onnx", items, shapes={"w": (24, 40)}, dtypes={"w": "F32"}, template=topology
            )
        assert caught.value.path == name
    with pytest.raises(NotEncodable, match="original model"):
        save_model(tmp_path / "n.onnx", {"w": WEIGHTS})


@pytest.mark.parametrize("external", [False, True])
def test_a_model_as_template_keeps_its_other_tensors(tmp_path: Path, external: bool) -> None:
    case = CASES["eight_bits"]()
    save(case, tmp_path / "in" / "m.onnx", external=external)
    arrays = {"brain": np.ones(60, np.float32), "one": np.array(2, np.float32)}
    save_model(tmp_path / "n.onnx", arrays, template=tmp_path / "in" / "m.onnx", dtypes={"brain": "BF16"})
    before = {
        t.name: onnx.numpy_helper.to_array(t, str(tmp_path / "in"))
        for t in onnx.load(tmp_path / "in" / "m.onnx").graph.initializer
    }
    after = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(tmp_path / "n.onnx").graph.initializer}
    assert after["brain"].astype(np.float32).tolist() == [1.0] * 60
    assert after["one"] == 2
    for name in before.keys() - arrays.keys():
        assert after[name].tobytes() == before[name].tobytes()


def test_external_data_is_written_beside_the_model(tmp_path: Path) -> None:
    case = CASES["branches"]()
    save(case, tmp_path / "m.onnx")
    with open_model(tmp_path / "m.onnx") as source:
        save_model(tmp_path / "n.onnx", source, template=source.topology(), external_data=True)
        with pytest.raises(FileExistsError):
            save_model(tmp_path / "n.onnx", source, template=source.topology(), external_data=True)
    graph = onnx.load(tmp_path / "n.onnx", load_external_data=False).graph.node[0].attribute[0].g
    entries = {entry.key: entry.value for entry in graph.initializer[0].external_data}
    assert entries == {"location": "n.onnx.data", "offset": "0", "length": "3840"}
    with open_model(tmp_path / "n.onnx") as again:
        assert again["w"].tobytes() == source_bytes(tmp_path / "m.onnx", "w")


def source_bytes(path: Path, name: str) -> bytes:
    with open_model(path) as source:
        return source[name].tobytes()


def test_pipes_are_written_without_seeking(tmp_path: Path, topology: bytes) -> None:
    import threading

    os.mkfifo(tmp_path / "pipe.onnx")
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe.onnx").read_bytes()))
    reader.start()
    save_model(tmp_path / "pipe.onnx", {"w": WEIGHTS}, template=topology)
    reader.join()
    model = onnx.load_model_from_string(received[0])
    assert model.graph.initializer[0].raw_data == WEIGHTS.tobytes()


@pytest.mark.parametrize("max_model_bytes", [1 << 30, 4000], ids=["inside", "apart"])
@pytest.mark.parametrize("name", ["initializer", "branches", "eight_bits", "strings"])
def test_sessions_need_no_file(tmp_path: Path, name: str, max_model_bytes: int) -> None:
    pytest.importorskip("onnxruntime")
    case = CASES[name]()
    save(case, tmp_path / "m.onnx")
    with open_model(tmp_path / "m.onnx") as source:
        descriptions = {tensor: source.describe(tensor) for tensor in source}
        tensors = [(tensor, source[tensor]) for tensor in reversed(source.names())]
        if name in ("branches", "strings") and max_model_bytes == 4000:
            # Only initialisers of the main graph can be handed over apart.
            max_model_bytes = 20_000
        session = session_from_tensors(
            tensors, descriptions, source.topology() or b"", max_model_bytes=max_model_bytes
        )
    for result, expected in zip(
        session.run(None, case.inputs), run(tmp_path / "m.onnx", case.inputs), strict=True
    ):
        np.testing.assert_array_equal(result, expected)


def test_a_session_from_a_stream(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    save(CASES["initializer"](), tmp_path / "m.onnx")
    with open_model(tmp_path / "m.onnx") as source:
        stream = nnr_codec.encode(
            {name: source[name] for name in source},
            kind="onnx",
            metadata=Origin.of(source).to_metadata(),
            topology=source.topology(),
        )
    (tmp_path / "m.nnr").write_bytes(stream)
    expected = INPUT @ nnr_codec.decode(stream)["w"]
    for place in (stream, tmp_path / "m.nnr"):
        (result,) = inference_session(place).run(None, {"x": INPUT})
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(NotEncodable, match="no graph"):
        inference_session(nnr_codec.encode({"w": WEIGHTS}))
