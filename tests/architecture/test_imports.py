# SPDX-License-Identifier: Apache-2.0
"""Rooms know only what lies below them, and importing the package is cheap."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from tests.architecture.sources import ROOT, imported_modules, package_modules, room, tree

#: Frameworks and terminal libraries: heavy, some of them optional.
LAZY = ("torch", "onnx", "rich", "click", "safetensors", "tensorflow", "h5py", "gguf", "transformers")


def test_import_contracts_hold() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


@pytest.mark.parametrize(
    ("module", "rooms"),
    [
        ("nnr_codec._native", {"codec", "entropy", "quant", "syntax"}),
        ("construct", {"syntax"}),
        ("click", {"cli"}),
        ("torch", {"frameworks", "torch", "transformers"}),
        ("h5py", {"frameworks"}),
        ("gguf", {"frameworks"}),
        ("transformers", {"frameworks", "transformers"}),
        ("onnx", {"frameworks"}),
    ],
)
def test_a_library_has_its_rooms(module: str, rooms: set[str]) -> None:
    users = {room(p) for p in package_modules() if any(_is_within(n, module) for n in imported_modules(p))}
    assert users <= rooms


def _is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


@pytest.mark.parametrize("path", package_modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_frameworks_are_imported_inside_functions(path: Path) -> None:
    at_top = [node for node in tree(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in at_top if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in at_top if isinstance(node, ast.ImportFrom) and node.module}
    heavy = {name.split(".")[0] for name in names} & ({*LAZY} - {"click"})
    assert not heavy


def _measure(module: str) -> tuple[float, list[str]]:
    code = (
        "import sys, time, json; start = time.process_time();"
        f"import {module}; seconds = time.process_time() - start;"
        "print(json.dumps([seconds, sorted(sys.modules)]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, modules = json.loads(result.stdout)
    return seconds, modules


@pytest.mark.parametrize("module", ["nnr_codec", "nnr_codec.cli"])
def test_importing_is_cheap(module: str) -> None:
    runs = [_measure(module) for _ in range(5)]
    assert not set(LAZY) & set(runs[0][1])
    # Processor time, the least of five: other work on the machine only ever adds.
    assert min(seconds for seconds, _ in runs) < 0.15
