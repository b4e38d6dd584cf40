# SPDX-License-Identifier: Apache-2.0
"""nnrdec's files: outputs that are no regular file, links, many names, and names that a terminal would obey."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from nnr_codec import encode
from nnr_codec.frameworks.safetensors import SafetensorsFile
from nnr_codec.model import DataUnit, DataUnitHeader, PayloadType, StartUnit
from nnr_codec.syntax import SyntaxState, build_unit


def raw_stream(names: list[str]) -> bytes:
    """Return a stream with a tensor for each name, whose value is its number."""
    state = SyntaxState().after(StartUnit(1))
    units = [build_unit(StartUnit(1), SyntaxState())]
    for number, name in enumerate(names):
        header = DataUnitHeader((name,), payload_type=PayloadType.NNR_PT_RAW_FLOAT, tensor_dimensions=(1,))
        units.append(build_unit(DataUnit(header, np.float32(number).tobytes()), state))
    return b"".join(units)


@pytest.mark.parametrize(("option", "code"), [
    ("--shape=w=2x3", 0), ("--shape=w=", 1), ("--shape=v=2x3", 1), ("--shape=w", 2), ("--shape=w=2x", 2), ("--shape=w=2y3", 2),
    ("--shape=w=99999999999999999999", 2),
])  # fmt: skip
def test_shapes_come_from_the_command_line(
    build_folder: Path, tmp_path: Path, option: str, code: int
) -> None:
    """A unit without dimensions has the shape of its name; another shape does not fit its bytes."""
    header = DataUnitHeader(("w",), payload_type=PayloadType.NNR_PT_RAW_FLOAT)
    values = np.arange(6, dtype=np.float32)
    unit = build_unit(DataUnit(header, values.tobytes()), SyntaxState().after(StartUnit(1)))
    path, output = tmp_path / "w.nnc", tmp_path / "w.npz"
    path.write_bytes(build_unit(StartUnit(1), SyntaxState()) + unit)
    result = subprocess.run(
        [build_folder / "nnrdec", option, path, "--to", output], capture_output=True, check=False
    )
    assert result.returncode == code, result.stderr
    if code == 0:
        with np.load(output) as arrays:
            assert np.array_equal(arrays["w"], values.reshape(2, 3))


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    path = tmp_path / "model.nnc"
    path.write_bytes(bytes(encode({"w": np.ones((2, 3), np.float32)})))
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_a_pipe_gets_the_bytes_of_the_file(
    build_folder: Path, tmp_path: Path, stream: Path, suffix: str
) -> None:
    """And it stays a pipe: a rename would put a file in its place, as in that of a device."""
    file, pipe = tmp_path / f"file{suffix}", tmp_path / f"pipe{suffix}"
    subprocess.run([build_folder / "nnrdec", stream, "--to", file], check=True)
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()), daemon=True)
    reader.start()
    subprocess.run([build_folder / "nnrdec", stream, "--to", pipe], check=True, timeout=60)
    reader.join(60)
    assert pipe.is_fifo()
    assert received == [file.read_bytes()]


def test_a_link_stays_a_link(build_folder: Path, tmp_path: Path, stream: Path) -> None:
    """The file that it names is replaced."""
    target, link = tmp_path / "target.npz", tmp_path / "link.npz"
    target.write_bytes(b"before")
    link.symlink_to(target)
    subprocess.run([build_folder / "nnrdec", stream, "--to", link], check=True)
    assert link.is_symlink()
    with np.load(target) as tensors:
        np.testing.assert_array_equal(tensors["w"], np.ones((2, 3), np.float32))


def test_a_folder_or_a_missing_one_is_no_output(build_folder: Path, tmp_path: Path, stream: Path) -> None:
    """Exit 74 with the path, and nothing is left beside it."""
    before = sorted(tmp_path.iterdir())
    for output in (tmp_path, tmp_path / "missing" / "x.npz"):
        failed = subprocess.run(
            [build_folder / "nnrdec", stream, "--to", output], capture_output=True, text=True, check=False
        )
        assert failed.returncode == 74
        assert str(output) in failed.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_a_name_that_comes_again_replaces(build_folder: Path, tmp_path: Path) -> None:
    """Each name once, with its last value, in the order of the first."""
    names = [f"w{number % 1000}" for number in range(2500)]
    path, output = tmp_path / "model.nnc", tmp_path / "model.safetensors"
    path.write_bytes(raw_stream(names))
    subprocess.run([build_folder / "nnrdec", path, "--to", output], check=True)
    with SafetensorsFile(str(output)) as tensors:
        assert {name: float(tensors[name][0]) for name in tensors} == {
            name: float(number) for number, name in enumerate(names)
        }


def test_a_name_that_safetensors_reserves(build_folder: Path, tmp_path: Path) -> None:
    """It would make a file that no reader takes; NPZ has no such name."""
    path, npz, safetensors = (tmp_path / name for name in ("m.nnc", "m.npz", "m.safetensors"))
    path.write_bytes(raw_stream(["w", "__metadata__"]))
    subprocess.run([build_folder / "nnrdec", path, "--to", npz], check=True)
    with np.load(npz) as tensors:
        assert tensors["__metadata__"] == 1
    failed = subprocess.run(
        [build_folder / "nnrdec", path, "--to", safetensors], capture_output=True, text=True, check=False
    )
    assert (failed.returncode, safetensors.exists()) == (74, False)
    assert "__metadata__" in failed.stderr


def test_info_prints_no_control_characters(build_folder: Path, tmp_path: Path) -> None:
    """Names are the stream's, and a terminal would obey them; each tensor has one line."""
    path = tmp_path / "model.nnc"
    path.write_bytes(raw_stream(["a\x1b[31m", "b\nc\td", "\x9b1m", "é\\"]))
    shown = subprocess.run(
        [build_folder / "nnrdec", "--info", path], capture_output=True, encoding="utf-8", check=True
    )
    names = [line.split("\t")[0] for line in shown.stdout.splitlines()]
    assert names == ["a\\x1b[31m", "b\\x0ac\\x09d", "\\x9b1m", "é\\x5c"]


def test_info_that_cannot_be_printed_is_a_file_error(build_folder: Path, stream: Path) -> None:
    """A full disk behind standard output."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "wb") as full:
        failed = subprocess.run(
            [build_folder / "nnrdec", "--info", stream], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert failed.returncode == 74
