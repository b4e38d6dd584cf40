# SPDX-License-Identifier: Apache-2.0
"""Rules of every source file: licence line, length, names, assertions, paths."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGE, ROOT, package_modules, sources, tree

SPDX = "SPDX-License-Identifier: Apache-2.0"
MAX_LINES = 400
FORBIDDEN_WORDS = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "handle"}
FORBIDDEN_ALONE = {"data", "info", "tmp"}
#: Modules with another library's signatures.
FOREIGN_SIGNATURES = {PACKAGE / "numpy.py", PACKAGE / "torch.py"}
#: Tables are long, and what is generated; nothing else may be.
TABLES = {"tables.hpp", "tables.py"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", sources(".py", ".pyi", ".cpp", ".hpp", ".h", ".cmake"), ids=name_of)
def test_licence_line_and_length(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    # An empty file holds nothing to license.
    assert not lines or SPDX in "".join(lines[:2])
    assert path.name in TABLES or path.parent.name == "generated" or len(lines) <= MAX_LINES


def _declared_names(module: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def _words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


@pytest.mark.parametrize("path", package_modules(), ids=name_of)
def test_names_say_something(path: Path) -> None:
    names = _declared_names(tree(path))
    assert not {name for name in names if _words(name) & FORBIDDEN_WORDS}
    alone = {name for name in names if name.strip("_") in FORBIDDEN_ALONE}
    assert not alone or (path in FOREIGN_SIGNATURES and alone == {"data"})
    assert not _words(path.stem) & FORBIDDEN_WORDS


@pytest.mark.parametrize("path", package_modules(), ids=name_of)
def test_assertions_validate_nothing(path: Path) -> None:
    assert not [node.lineno for node in ast.walk(tree(path)) if isinstance(node, ast.Assert)]


@pytest.mark.parametrize("path", package_modules(), ids=name_of)
def test_examples_in_docstrings_hold(path: Path) -> None:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    if parts[-1] == "__main__":
        return
    module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
    assert doctest.testmod(module).failed == 0


def test_nothing_names_a_machine() -> None:
    # Written so that this file does not find itself.
    places = re.compile("/(" + "|".join(["work", "farm", "home", "Users"]) + r")/\w")
    texts = [
        *sources(".py", ".cpp", ".hpp", ".md", ".toml", ".txt", ".json"),
        ROOT / "README.md",
        ROOT / "pyproject.toml",
    ]
    assert not [
        name_of(path) for path in texts if places.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
