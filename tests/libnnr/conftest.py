# SPDX-License-Identifier: Apache-2.0
"""Builds of libnnr for its tests, kept under build/ between runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools import libnnr
from tools.damage.libnnr import Library


def built(variant: str) -> Path:
    """Build a variant, or skip where there is nothing to build it with."""
    if libnnr.tool("cmake") is None:
        pytest.skip("libnnr is built by cmake, which is not here")
    try:
        return libnnr.build(variant, quiet=True)
    except subprocess.CalledProcessError as error:
        if "Could NOT find ZLIB" in f"{error.output}{error.stderr}":
            pytest.skip("zlib's header is not here")
        pytest.fail(f"{error}\n{error.output}\n{error.stderr}")


@pytest.fixture(scope="session")
def build_folder() -> Path:
    """Return the folder of the shared library, nnrdec, the examples and the test programs."""
    return built("libnnr-tests")


@pytest.fixture(scope="session")
def library(build_folder: Path) -> Library:
    """Return the shared library."""
    return Library(next(build_folder.glob("libnnr.*[!0-9]")))
