# SPDX-License-Identifier: Apache-2.0
"""Installer of the environment of the peer codec NNCodec.

``python -m conformance.peers.environment [DIR]`` creates it in DIR, else in ``$NNR_PEER_VENV``, else in ``.venv-peer``
of the source tree; an existing environment stays unchanged. The peer is compiled from source, which needs a C++
compiler and the Python headers and takes two to three minutes on one core.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path

from conformance.peers.client import BRIDGE, REPOSITORY

# The peer's dependency list has several GB for training; coding needs only these.
REQUIREMENTS = ("nncodec==2.1.3", "numpy<2", "pybind11")
NUMPY1_LAST_PYTHON = (3, 12)  # last Python with wheels of NumPy 1


def default_folder() -> Path:
    """Default folder of the environment."""
    return Path(os.environ.get("NNR_PEER_VENV") or REPOSITORY / ".venv-peer")


def interpreter(folder: Path) -> Path:
    """Path of the environment's Python."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def greet(folder: Path) -> str | None:
    """Read the ready line of the bridge; None if the environment is missing or broken."""
    python = interpreter(folder)
    if not python.exists():
        return None
    result = subprocess.run(
        [str(python), "-I", str(BRIDGE)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    line = result.stdout.strip()
    return line if result.returncode == 0 and '"ready": true' in line else None


def make(folder: Path) -> None:
    """Create the environment and install the peer in it."""
    if sys.version_info[:2] > NUMPY1_LAST_PYTHON:
        newest = ".".join(map(str, NUMPY1_LAST_PYTHON))
        raise SystemExit(
            f"the peer needs NumPy 1, whose last Python is {newest}; run this with Python {newest} or older"
        )
    print(f"making {folder} with Python {sys.version.split()[0]}", flush=True)
    venv.EnvBuilder(with_pip=True).create(folder)  # never cleared: the folder may hold other files
    print(f"installing {', '.join(REQUIREMENTS)}; the peer is compiled, which takes minutes", flush=True)
    command = [
        str(interpreter(folder)),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ]
    subprocess.run([*command, *REQUIREMENTS], check=True)


def main() -> int:
    """Create the environment and return the exit code."""
    parser = argparse.ArgumentParser(description="Make the environment in which the peer codec runs.")
    parser.add_argument("folder", nargs="?", type=Path, default=default_folder(), help="default: %(default)s")
    folder: Path = parser.parse_args().folder.absolute()
    if greet(folder) is None:
        make(folder)
    greeting = greet(folder)
    if greeting is None:
        print(f"the peer does not start in {folder}; delete it and try again", file=sys.stderr)
        return 1
    print(f"ready in {folder}: {greeting}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
