# SPDX-License-Identifier: Apache-2.0
"""Atomic output under full disks, killed processes and concurrent writers; inputs do not change."""

import os
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="limits and signals of POSIX")

WEIGHTS = np.random.default_rng(0).normal(0, 1, (64, 64)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.savez(tmp_path / "m.npz", w=WEIGHTS)
    assert nnr(tmp_path, "encode", "m.npz", "m.nnr").returncode == 0
    return tmp_path


def nnr(folder: Path, *arguments: str, largest_file: int | None = None) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    command = [sys.executable, "-m", "nnr_codec.cli", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, preexec_fn=limit)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "arguments",
    [
        ("encode", "m.npz", "new.nnr"),
        ("encode", "m.npz", "m.nnr", "--force"),
        ("decode", "m.nnr", "new.npz"),
        ("decode", "m.nnr", "new.safetensors"),
        ("dump", "m.nnr", "--view", "html", "-o", "new.html"),
    ],
    ids=lambda arguments: " ".join(arguments[:1] + arguments[2:3]),
)
def test_a_full_disk_leaves_everything_as_it_was(folder: Path, arguments: tuple[str, ...]) -> None:
    before = contents(folder)
    result = nnr(folder, *arguments, largest_file=1000)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "File too large" in result.stderr
    assert contents(folder) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_device_that_is_full_is_said_in_one_line(folder: Path) -> None:
    result = nnr(folder, "encode", "m.npz", "/dev/full", "--force")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "No space left" in result.stderr


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_a_process_that_dies_while_it_writes_leaves_the_old_file(folder: Path, signal_number: int) -> None:
    before = contents(folder)
    program = f"""
        import os
        import time
        from nnr_codec.cli import app
        from nnr_codec.files import encoding
        def dying(tensors, config, *, file, **rest):
            file.write(b"half a stream")
            os.kill(os.getpid(), {signal_number})
            time.sleep(60)
        encoding.encode = dying
        raise SystemExit(app.run(["encode", "m.npz", "m.nnr", "--force"]))
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    result = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert result.returncode == (-signal_number if signal_number == signal.SIGKILL else 128 + signal_number)
    after = contents(folder)
    assert {name: after[name] for name in before} == before
    left_over = after.keys() - before.keys()
    # Nobody can tidy up behind SIGKILL: what stays is hidden, and not under the name of a stream.
    assert len(left_over) == (1 if signal_number == signal.SIGKILL else 0)
    assert all(name.startswith(".") and name.endswith(".part") for name in left_over)
    assert nnr(folder, "encode", "m.npz", "m.nnr", "--force").returncode == 0
    assert contents(folder)["m.nnr"] == before["m.nnr"]


def test_of_writers_that_meet_one_wins_and_the_file_is_whole(folder: Path) -> None:
    command = [sys.executable, "-m", "nnr_codec.cli", "encode", "m.npz", "new.nnr"]
    writers = [subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    ends = [(writer.communicate()[1], writer.returncode) for writer in writers]
    assert sorted(code for _, code in ends) == [0, 1, 1, 1]
    assert all("exists already" in messages for messages, code in ends if code == 1)
    entries = contents(folder)
    assert entries["new.nnr"] == entries["m.nnr"]
    assert entries.keys() == {"m.npz", "m.nnr", "new.nnr"}


def test_writers_that_overwrite_each_other_leave_a_whole_file(folder: Path) -> None:
    command = [sys.executable, "-m", "nnr_codec.cli", "encode", "m.npz", "new.nnr", "--force"]
    writers = [subprocess.Popen(command, cwd=folder) for _ in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    entries = contents(folder)
    assert entries["new.nnr"] == entries["m.nnr"]
    assert entries.keys() == {"m.npz", "m.nnr", "new.nnr"}


@pytest.mark.parametrize("arguments", [("encode", "cut.npz", "new.nnr"), ("decode", "cut.nnr", "new.npz"), ("info", "cut.nnr")],
                         ids=lambda arguments: arguments[0])  # fmt: skip
def test_a_file_that_was_only_half_copied_is_said_in_one_line(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    for name in ("m.npz", "m.nnr"):
        whole = (folder / name).read_bytes()
        (folder / name.replace("m.", "cut.")).write_bytes(whole[: len(whole) // 2])
    before = contents(folder)
    result = nnr(folder, *arguments)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "a bug" not in result.stderr
    assert contents(folder) == before


@pytest.mark.parametrize("command", ["encode", "decode", "info", "index"])
def test_what_cannot_be_read_is_said_in_one_line(folder: Path, command: str) -> None:
    (folder / "d.npz").mkdir()
    before = sorted(path.name for path in folder.iterdir())
    for source in ("d.npz", "missing.npz"):
        result = nnr(
            folder,
            command,
            source,
            *(["new.nnr"] if command == "encode" else ["new.npz"] if command == "decode" else []),
        )
        assert result.returncode == 1
        assert len(result.stderr.splitlines()) == 1
        assert "a bug" not in result.stderr
        assert source in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == before
