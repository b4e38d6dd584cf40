# SPDX-License-Identifier: Apache-2.0
"""Archive and wheel of the suites: reproducible bytes, right hashes, and suites that the checker finds."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from nnr_conformance.errors import SuiteError, UsageError
from nnr_conformance.suite import find_suites
from nnr_conformance.toy_suite import write_toy_suite

from tools.suites import archive_of, collect, wheel_of, write_packages

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder like ``conformance``, with a small suite."""
    folder = tmp_path / "conformance"
    write_toy_suite(folder / "suites/toy")
    shutil.copytree(ROOT / "conformance/schema", folder / "schema")
    for name in ("README.md", "levels.json"):
        shutil.copy(ROOT / "conformance" / name, folder)
    return folder


def test_the_same_suites_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    first = [path.read_bytes() for path in write_packages(folder, tmp_path / "first")]
    copy = shutil.copytree(folder, tmp_path / "elsewhere/conformance")
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    assert [path.read_bytes() for path in write_packages(copy, tmp_path / "second")] == first


def test_the_sums_are_those_of_all_other_files(folder: Path) -> None:
    version, files = collect(folder)
    with tarfile.open(fileobj=io.BytesIO(archive_of("stem", files))) as archive:
        packed = {m.name.removeprefix("stem/"): archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]  # all are files
    sums = dict(reversed(line.split("  ")) for line in packed.pop("SHA256SUMS").decode().splitlines())
    assert sums == {name: hashlib.sha256(content).hexdigest() for name, content in packed.items()}
    assert packed["VERSION"] == f"{version}\n".encode()
    assert packed["LICENSE"] == (ROOT / "LICENSE").read_bytes()
    stored = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(packed) == stored | {"VERSION", "LICENSE"}


def test_the_wheel_records_its_files(folder: Path) -> None:
    version, files = collect(folder)
    with zipfile.ZipFile(io.BytesIO(wheel_of(version, files))) as wheel:
        info = f"nnr_conformance_vectors-{version}.dist-info"
        record = [line.split(",") for line in wheel.read(f"{info}/RECORD").decode().splitlines()]
        assert [name for name, _, _ in record] == wheel.namelist()
        sizes = {name: size for name, _, size in record if size}
        assert sizes == {
            entry.filename: str(entry.file_size)
            for entry in wheel.infolist()
            if "RECORD" not in entry.filename
        }
        assert b"License-Expression: Apache-2.0" in wheel.read(f"{info}/METADATA")


def test_a_damaged_suite_is_not_packed(folder: Path) -> None:
    stream = next((folder / "suites/toy/vectors").glob("*.nnc"))
    stream.write_bytes(b"")
    with pytest.raises(SuiteError):
        collect(folder)


def test_installed_vectors_are_found_and_absent_ones_explained(folder: Path, tmp_path: Path) -> None:
    """As in an empty folder behind ``pip install``: the wheel's files are on the path, or are not."""
    version, files = collect(folder)
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    with zipfile.ZipFile(io.BytesIO(wheel_of(version, files))) as wheel:
        wheel.extractall(site)

    def run(*path: Path) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if key != "NNR_SUITES"}
        environment["PYTHONPATH"] = os.pathsep.join(map(str, (ROOT / "conformance", *path)))
        command = [sys.executable, "-m", "nnr_conformance", "list"]
        return subprocess.run(
            command, cwd=empty, env=environment, capture_output=True, text=True, check=False
        )

    installed = run(site)
    assert installed.returncode == 0, installed.stderr
    assert "toy/dense" in installed.stdout
    absent = run()
    assert absent.returncode == UsageError.exit_code
    assert "pip install 'nnr_codec[conformance]'" in absent.stderr


def test_the_extra_names_the_version_of_the_suites() -> None:
    """The codec's extra asks for the major version of the suites that are in the tree."""
    (version,) = {suite.manifest.version for suite in find_suites(ROOT / "conformance/suites")}
    major = int(version.partition(".")[0])
    extra = f'conformance = ["nnr_conformance_vectors>={major},<{major + 1}"]'
    assert extra in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
