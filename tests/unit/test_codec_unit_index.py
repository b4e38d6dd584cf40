# SPDX-License-Identifier: Apache-2.0
"""Information from headers alone, and the index that finds one tensor of many."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnr_codec
from nnr_codec import UnitIndex, _native, decode, encode
from nnr_codec.codec.stream import unit_index
from nnr_codec.codec.stream.input import opened
from nnr_codec.model import PayloadType
from tests.shared_folder import VECTORS, needs_shared, peer_streams

MODEL: dict[str, Any] = {
    "first": np.random.default_rng(0).laplace(0, 1, (4, 5)).astype(np.float32),
    "none": np.zeros((0, 3), np.float64),
    "half": np.random.default_rng(1).laplace(0, 1, (7,)).astype(np.float16),
    "count": np.array(41, np.int64),
    "inf": np.array([np.inf, 1], np.float32),
    "last": np.empty((2, 0), np.float32),
}


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    path = tmp_path / "m.nnr"
    path.write_bytes(encode(MODEL))
    return path


def make_index(stream: Path) -> Path:
    path = Path(f"{stream}.idx")
    with open(path, "wb") as file:
        UnitIndex.write(stream, file)
    return path


def test_a_summary_agrees_with_decoding(stream: Path) -> None:
    summary = nnr_codec.describe(stream)
    decoded = decode(stream)
    assert [t.name for t in summary.tensors] == list(decoded)
    assert [t.shape for t in summary.tensors] == [a.shape for a in decoded.values()]
    assert [t.dtype for t in summary.tensors] == ["F32", "F64", "F16", "I64", "F32", "F32"]
    assert [t.payload_type for t in summary.tensors][1:5] == [
        None, PayloadType.NNR_PT_FLOAT, PayloadType.NNR_PT_INT, PayloadType.NNR_PT_RAW_FLOAT,
    ]  # fmt: skip
    assert sum(unit.size_bytes for unit in summary.units) == summary.size_bytes == stream.stat().st_size
    assert nnr_codec.describe(stream.read_bytes()) == summary
    content = stream.read_bytes()
    for tensor in summary.tensors:
        if tensor.payload_type is not None:
            assert (
                tensor.name.encode() in content[tensor.unit_offset : tensor.unit_offset + tensor.unit_bytes]
            )


def test_a_summary_does_not_need_numpy(stream: Path) -> None:
    code = "import sys, nnr_codec; nnr_codec.describe(sys.argv[1]);sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, stream], check=False).returncode == 0
    code = "import sys; from nnr_codec.cli import main; main(sys.argv[1:]);sys.exit('numpy' in sys.modules)"
    for arguments in (["--help"], ["info", str(stream)]):
        assert (
            subprocess.run(
                [sys.executable, "-c", code, *arguments], capture_output=True, check=False
            ).returncode
            == 0
        )


def test_one_tensor_is_found_without_reading_other_headers(
    stream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_index(stream)
    units: list[Any] = []

    class Counting(_native.StreamWalk):
        def next(self, *bounds: Any) -> Any:
            step = super().next(*bounds)
            units.extend(step if isinstance(step, _native.UnitBatch) else [step])
            return step

    monkeypatch.setattr(_native, "StreamWalk", Counting)
    for name, array in decode(stream.read_bytes()).items():
        units.clear()
        decoded = decode(stream, names=[name])
        assert {n for unit in units if isinstance(unit, _native.DataUnit) for n in unit.names} <= {name}
        assert list(decoded) == [name]
        assert decoded[name].dtype == array.dtype
        assert np.array_equal(decoded[name], array)
    assert list(decode(stream, names=["inf", "first", "none"])) == ["first", "none", "inf"]


def test_a_name_that_is_not_there_is_reported_with_an_index_too(stream: Path) -> None:
    make_index(stream)
    with pytest.raises(KeyError, match="nothing"):
        decode(stream, names=["first", "nothing"])


def test_a_stale_index_is_not_used(stream: Path) -> None:
    index = make_index(stream)
    assert UnitIndex.beside(stream) is not None
    other = stream.read_bytes().replace(b"first", b"fifth")
    before = stream.stat()
    stream.write_bytes(other)
    os.utime(stream, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))
    assert UnitIndex.beside(stream) is None
    assert np.array_equal(decode(stream, names=["fifth"])["fifth"], decode(other)["fifth"])
    # With the old modification time, fingerprints still reveal the change.
    os.utime(stream, ns=(before.st_atime_ns, before.st_mtime_ns))
    stale = UnitIndex.beside(stream)
    assert stale is not None
    with opened(stream) as buffer:
        assert stale.units(buffer, ["first"]) is None
    assert np.array_equal(decode(stream, names=["fifth"])["fifth"], decode(other)["fifth"])
    stream.write_bytes(encode(MODEL) + encode(MODEL)[4:])
    assert UnitIndex.beside(stream) is None
    assert index.exists()


@pytest.mark.parametrize("length", [0, 1, 40, 200, -1, -40])
def test_a_damaged_index_is_not_used(stream: Path, length: int) -> None:
    index = make_index(stream)
    index.write_bytes(index.read_bytes()[:length])
    assert UnitIndex.beside(stream) is None
    assert list(decode(stream, names=["half"])) == ["half"]


def test_bits_that_flip_in_an_index_change_no_result(stream: Path) -> None:
    index = make_index(stream)
    intact = index.read_bytes()
    expected = decode(stream.read_bytes(), names=["half"])["half"]
    for position in range(0, len(intact), 3):
        damaged = bytearray(intact)
        damaged[position] ^= 1 << (position % 8)
        index.write_bytes(damaged)
        assert np.array_equal(decode(stream, names=["half"])["half"], expected)


def test_updates_are_not_indexed(tmp_path: Path) -> None:
    path = tmp_path / "update.nnr"
    path.write_bytes(encode({"w": np.ones((2, 2), np.float32)}, incremental=True))
    make_index(path)
    index = UnitIndex.beside(path)
    assert index is not None
    with opened(path) as buffer:
        assert index.units(buffer, ["w"]) is None
    assert list(decode(path, names=["w"])) == ["w"]


@needs_shared
@pytest.mark.parametrize("entry", peer_streams(), ids=lambda e: e["file"])
def test_every_tensor_of_the_peers_streams_is_found(entry: dict[str, Any], tmp_path: Path) -> None:
    if entry.get("after"):
        # An update needs what came before it, with or without an index.
        assert entry["after"] != entry["file"]
        return
    path = tmp_path / "peer.nnc"
    shutil.copyfile(VECTORS / entry["file"], path)
    whole = decode(path)
    make_index(path)
    for name, array in whole.items():
        assert np.array_equal(decode(path, names=[name])[name], array, equal_nan=True)


def test_the_index_uses_binary_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "many.nnr"
    path.write_bytes(encode({f"t{i}": np.array([i], np.int32) for i in range(3000)}))
    make_index(path)
    index = UnitIndex.beside(path)
    assert index is not None
    looked = []
    real = unit_index._RECORD

    class Counting:
        size = real.size

        @staticmethod
        def unpack_from(table: Any, at: int) -> Any:
            looked.append(at)
            return real.unpack_from(table, at)

    monkeypatch.setattr(unit_index, "_RECORD", Counting)
    assert decode(path, names=["t1234"])["t1234"].tolist() == [1234]
    # The record that is found, and the next one of another name, for the three names it may have.
    assert len(looked) <= 8
