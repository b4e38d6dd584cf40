# SPDX-License-Identifier: Apache-2.0
"""The independent decoder in Rust, written from the pages alone, under all conformance suites."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CRATE = ROOT / "conformance/rust_decoder"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("cargo") is None, reason="cargo, which builds the Rust decoder, is not installed"
    ),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("target")
    command = [
        "cargo",
        "build",
        "--release",
        "--offline",
        "--quiet",
        "--manifest-path",
        str(CRATE / "Cargo.toml"),
    ]
    subprocess.run([*command, "--target-dir", str(target)], check=True)
    return target / "release/nnc_decoder"


def test_the_rust_decoder_conforms(program: Path) -> None:
    command = [sys.executable, "-m", "nnr_conformance", "run", "-q", "-j", "2", "--time-scale", "5"]
    result = subprocess.run(
        [*command, "--decoder", f"cmd:{program} {{inputs}} --to {{outputs}} --trace --shape={{shape}}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "conformance"), str(ROOT)])},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
