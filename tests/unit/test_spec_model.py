# SPDX-License-Identifier: Apache-2.0
"""Levels and values of every shared vector, bit for bit, decoded straight through and by block rows."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
from spec import model

SHARED = Path(os.environ.get("NNR_SHARED", REPOSITORY.parent / "shared"))
VECTORS = SHARED / "vectors"
INDEX: list[dict[str, Any]] = (
    json.loads((VECTORS / "index.json").read_text()) if (VECTORS / "index.json").is_file() else []
)
BY_FILE = {entry["file"]: entry for entry in INDEX}

needs_vectors = pytest.mark.skipif(not INDEX, reason=f"no vectors in {VECTORS}; set NNR_SHARED")


def predecessors(name: str) -> list[str]:
    before = BY_FILE[name]["after"]
    return [] if before is None else [*predecessors(before), before]


@functools.lru_cache(maxsize=4)
def decoded(names: tuple[str, ...], block_rows_alone: bool) -> list[dict[str, model.Tensor]]:
    streams = [(VECTORS / name).read_bytes() for name in names]
    return model.decode(streams, block_rows_alone=block_rows_alone)


def check(name: str, block_rows_alone: bool) -> None:
    tensors = decoded((*predecessors(name), name), block_rows_alone)[-1]
    golden = np.load((VECTORS / name).with_suffix(".npz"))
    assert {key.partition(":")[2] for key in golden.files} == set(tensors)
    for tensor in tensors.values():
        levels, values = golden[f"level:{tensor.name}"], golden[f"value:{tensor.name}"]
        assert tensor.shape == levels.shape
        assert tensor.levels == levels.ravel().tolist()
        assert tensor.dtype == values.dtype.name
        assert tensor.value_bytes == values.astype(values.dtype.newbyteorder("<")).tobytes()
    for entry in BY_FILE[name]["tensors"]:
        assert hashlib.sha256(tensors[entry["name"]].value_bytes).hexdigest() == entry["sha256"]


@needs_vectors
@pytest.mark.parametrize("name", [entry["file"] for entry in INDEX])
def test_vector(name: str) -> None:
    check(name, block_rows_alone=False)


BLOCK_SCANS = [entry["file"] for entry in INDEX if "scan" in entry["file"] and "scan0" not in entry["file"]]


@needs_vectors
@pytest.mark.parametrize("name", BLOCK_SCANS)
def test_block_rows_on_their_own(name: str) -> None:
    check(name, block_rows_alone=True)


@needs_vectors
def test_index_is_complete() -> None:
    assert {path.name for path in VECTORS.glob("*.nnc")} == set(BY_FILE)


def test_model_imports_the_standard_library_only() -> None:
    for path in (REPOSITORY / "spec" / "model").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            else:
                continue
            assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names, path.name
