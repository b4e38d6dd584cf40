# SPDX-License-Identifier: Apache-2.0
"""Voice of the sources: how docstrings open, and names that carry no meaning."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, sources, tree

#: Rooms that are not converted yet; a room leaves this list and never comes back.
NOT_YET = ("nnr_codec", "spec", "tests")
#: A docstring opens with a noun phrase or an imperative, not with a clause that paraphrases one.
BANNED_OPENING = re.compile(r"(What|Where|Which|How|Whether|Who|From)\b")
#: Words that say nothing about a value. Leading and trailing underscores do not change that.
BANNED_NAMES = {
    "best", "each", "found", "given", "left", "old", "own", "said", "there", "these", "told", "worth",
}  # fmt: skip


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def converted() -> list[Path]:
    return [path for path in sources(".py") if path.relative_to(ROOT).parts[0] not in NOT_YET]


def docstrings(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring, and of the strings below assignments that document an attribute."""
    for node in ast.walk(module):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        for number, statement in enumerate(body):
            documents = (
                number == 0
                and isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            ) or (number > 0 and isinstance(body[number - 1], ast.Assign | ast.AnnAssign))
            if documents and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                text = statement.value.value
                if isinstance(text, str):
                    yield statement.lineno, text


def declared_names(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of everything a module declares: variables, attributes, parameters, functions, classes."""
    for node in ast.walk(module):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case (
                ast.arg(arg=name)
                | ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                yield node.lineno, name
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield node.lineno, name


def faults_of(module: ast.Module) -> list[str]:
    faults = [
        f"line {line}: a docstring opens with {text.split(maxsplit=1)[0]!r}"
        for line, text in docstrings(module)
        if BANNED_OPENING.match(text.lstrip())
    ]
    faults += [
        f"line {line}: {name!r} says nothing about its value"
        for line, name in declared_names(module)
        if name.strip("_").lower() in BANNED_NAMES
    ]
    return faults


@pytest.mark.parametrize("path", converted(), ids=name_of)
def test_a_converted_room_keeps_the_voice(path: Path) -> None:
    assert not faults_of(tree(path))


def test_rooms_that_wait_exist() -> None:
    assert all((ROOT / room).is_dir() for room in NOT_YET)


@pytest.mark.parametrize(
    "source",
    [
        '"""What a module does."""',
        'class A:\n    """Which of them."""',
        'def f():\n    """Whether it is so."""',
        'LIMIT = 3\n"""How far it goes."""',
        "found = 1",
        "self._told = 1",
        "def f(given): pass",
        "[0 for each in x]",
        "for left, right in pairs: pass",
        "if (best := f()): pass",
        "with f() as there: pass",
    ],
)
def test_the_lint_sees_every_kind_of_fault(source: str) -> None:
    assert faults_of(ast.parse(source))


def test_the_lint_allows_plain_sentences() -> None:
    source = '"""Input sources: bytes, paths and files."""\nbest_cost = first = 0\n"""Cost so far."""\n'
    assert not faults_of(ast.parse(source))
