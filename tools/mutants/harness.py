# SPDX-License-Identifier: Apache-2.0
"""Mutated models, imported in memory and run on the vectors of the suites."""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.util
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FrameType, ModuleType
from typing import Any

from tools.mutants.operators import MODEL

# The slowest vector takes the original model a quarter of a second; twenty times as long is a timeout.
_SECONDS, _TIMES_ORIGINAL = 1.0, 20
_PACKAGE = "spec.model"


class TooSlow(Exception):
    """Mutant that exceeds its time limit."""


class _Loader(importlib.abc.Loader):
    def __init__(self, code: CodeType, extra: dict[str, Any]) -> None:
        self.code, self.extra = code, extra

    def create_module(self, spec: Any) -> None:
        """Use the default module."""

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(self.extra)
        exec(self.code, vars(module))  # noqa: S102 - the source of the model with one fault


class Sources(importlib.abc.MetaPathFinder):
    """Importer of the model's modules from compiled sources, some of them replaced."""

    def __init__(self) -> None:
        self.codes = {
            path.stem: compile(path.read_text(encoding="utf-8"), str(path), "exec")
            for path in sorted(MODEL.glob("*.py"))
        }
        self.changed: dict[str, CodeType] = {}
        self.extra: dict[str, Any] = {}

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        del path, target
        if name != _PACKAGE and not name.startswith(_PACKAGE + "."):
            return None
        stem = "__init__" if name == _PACKAGE else name.rpartition(".")[2]
        code = self.changed.get(stem, self.codes[stem])
        return importlib.util.spec_from_loader(name, _Loader(code, self.extra), is_package=stem == "__init__")

    @contextmanager
    def model(
        self, changed: dict[str, str] | None = None, extra: dict[str, Any] | None = None
    ) -> Iterator[ModuleType]:
        """Import the model with replaced sources of some modules."""
        self.changed = {name: compile(text, f"<{name}>", "exec") for name, text in (changed or {}).items()}
        self.extra = extra or {}
        kept = {
            name: sys.modules.pop(name)
            for name in list(sys.modules)
            if name == _PACKAGE or name.startswith(_PACKAGE + ".")
        }
        sys.meta_path.insert(0, self)
        try:
            yield importlib.import_module(_PACKAGE)
        finally:
            sys.meta_path.remove(self)
            for name in list(sys.modules):
                if name == _PACKAGE or name.startswith(_PACKAGE + "."):
                    del sys.modules[name]
            sys.modules.update(kept)


@dataclass
class Case:
    """Vector with the data that the harness needs."""

    id: str
    streams: list[bytes]
    verdict: str
    classes: tuple[str, ...] = ()
    bits: tuple[int, int] | None = None
    alone: bool = False
    dimensions: dict[str, tuple[int, ...]] | None = None
    expected: Any = None
    statements: frozenset[int] = frozenset()
    seconds: float = 0.0


@dataclass
class Outcome:
    """Outcome of a case: rejection, values, and optional layers."""

    rejected: tuple[str, int] | None = None
    values: list[Any] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupt the block after some processor time, which does not depend on other load."""

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise TooSlow

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def run(model: ModuleType, case: Case) -> Outcome:
    """Decode a case; exceptions other than rejections propagate."""
    outcome = Outcome()
    log: list[Any] = []
    states: list[Any] = []
    _watch(model, states)
    session = model.Session(dimensions=case.dimensions, log=log)
    try:
        for stream in case.streams:
            log.clear()
            states.clear()
            decoded = session.decode(stream)
            outcome.values.append(
                {name: (t.shape, t.dtype, t.value_bytes) for name, t in decoded.tensors.items()}
            )
            outcome.others.append(
                (
                    {name: t.levels for name, t in decoded.tensors.items()},
                    decoded.units,
                    [unit.topology_data for unit in decoded.topology],
                    list(states),
                    [
                        (f.path.rpartition(".")[2].partition("[")[0], f.bit_offset, f.n_bits, repr(f.value))
                        for f in log
                    ],
                )
            )
        if case.alone:
            alone = model.Session(dimensions=case.dimensions, block_rows_alone=True)
            outcome.others.append(
                [{n: t.levels for n, t in alone.decode(s).tensors.items()} for s in case.streams]
            )
    except model.StreamError as error:
        outcome.rejected = (error.verdict, error.bit_offset)
    return outcome


def _watch(model: ModuleType, states: list[Any]) -> None:
    """Record the state of the arithmetic decoder after every tensor."""
    names = vars(sys.modules[f"{model.__name__}.stream"])
    original: Any = names.setdefault("_OriginalTensorData", names["TensorData"])

    class Watched(original):  # type: ignore[misc]  # a class of the imported mutant
        def decode(self) -> Any:
            levels = super().decode()
            engine = self.engine
            states.append((engine.range, engine.offset, [(c.s0, c.s1) for c in self.contexts.models]))
            return levels

    names["TensorData"] = Watched


def verdict_on(model: ModuleType, case: Case) -> str:
    """Judge a mutant on a case; returns an empty string if it passes, else the kind of difference."""
    try:
        with time_limit(_SECONDS + _TIMES_ORIGINAL * case.seconds):
            outcome = run(model, case)
    except TooSlow:
        return "timeout"
    except MemoryError:
        return "memory"
    except Exception as error:
        return f"crash {type(error).__name__}"
    if case.verdict == "either":
        return ""
    if case.verdict == "reject":
        if outcome.rejected is None:
            return "accepts"
        verdict, bit = outcome.rejected
        if verdict not in case.classes:
            return "class"
        if case.bits is not None and not case.bits[0] <= bit <= case.bits[1]:
            return "bit"
        return ""
    if outcome.rejected is not None:
        return "rejects"
    if outcome.values != case.expected.values:
        return "values"
    return "layers" if outcome.others != case.expected.others else ""


class _Marks(ast.NodeTransformer):
    """Inserts a mark before every statement of every function."""

    def __init__(self) -> None:
        self.lines: dict[int, int] = {}

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list) and body and not isinstance(node, ast.Module | ast.ClassDef):
                marked: list[ast.stmt] = []
                for statement in body:
                    mark = ast.parse(f"_MARKS.add({statement.lineno})").body[0]
                    ast.copy_location(mark, statement)
                    marked += [mark, statement]
                setattr(node, name, marked)
        return node


def statements_of(sources: Sources, cases: Sequence[Case], modules: Sequence[str]) -> None:
    """Record the statements that every case executes, so that a mutant is run on the cases that reach it."""
    sets: dict[str, set[int]] = {module: set() for module in modules}
    changed = {}
    for number, module in enumerate(modules):
        tree = ast.parse((MODEL / f"{module}.py").read_text(encoding="utf-8"))
        tree = ast.fix_missing_locations(_Marks().visit(tree))
        changed[module] = ast.unparse(tree).replace("_MARKS.add(", f"_MARKS[{number}].add(")
    marks = [sets[module] for module in modules]
    with sources.model(changed, {"_MARKS": marks}) as model:
        for case in cases:
            for lines in marks:
                lines.clear()
            try:
                with time_limit(40 * _SECONDS):
                    run(model, case)
            except TooSlow:
                pass
            case.statements = frozenset(
                number << 16 | line for number, lines in enumerate(marks) for line in lines
            )
