# SPDX-License-Identifier: Apache-2.0
"""Installed packages know no source tree around them, and no program edits the module search path."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, sources, tree

#: Roots of the wheel.
INSTALLED = (ROOT / "nnr_codec", ROOT / "conformance" / "nnr_conformance")
#: A user's own program, which the command line runs as Python would run the file itself.
RUNS_A_USERS_FILE = ROOT / "nnr_codec" / "cli" / "compress.py"


def installed_modules() -> list[Path]:
    return sorted(path for folder in INSTALLED for path in folder.rglob("*.py"))


def climbs(module: ast.Module) -> Iterator[int]:
    """Lines of ``.parents[n]`` and ``.parent.parent``, which lead out of a package."""
    for node in ast.walk(module):
        match node:
            case ast.Subscript(value=ast.Attribute(attr="parents")):
                yield node.lineno
            case ast.Attribute(attr="parent", value=ast.Attribute(attr="parent")):
                yield node.lineno


def search_path_edits(module: ast.Module) -> Iterator[int]:
    """Lines that call a method of ``sys.path`` or assign to it."""
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Attribute(value=ast.Name(id="sys"), attr="path"))):
                yield node.lineno
            case ast.Attribute(value=ast.Name(id="sys"), attr="path", ctx=ast.Store()):
                yield node.lineno


@pytest.mark.parametrize("path", installed_modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_an_installed_module_stays_in_its_package(path: Path) -> None:
    assert not list(climbs(tree(path)))


def test_nothing_edits_the_search_path() -> None:
    edits = {path for path in sources(".py") if list(search_path_edits(tree(path)))}
    assert edits <= {RUNS_A_USERS_FILE}


@pytest.mark.parametrize(
    "source", ["Path(__file__).parents[3]", "Path(__file__).resolve().parent.parent / 'x'"]
)
def test_a_climb_is_seen(source: str) -> None:
    assert list(climbs(ast.parse(source)))


@pytest.mark.parametrize(
    "source", ["sys.path.insert(0, x)", "sys.path.append(x)", "sys.path = []", "sys.path += [x]"]
)
def test_an_edit_is_seen(source: str) -> None:
    assert list(search_path_edits(ast.parse(source)))
