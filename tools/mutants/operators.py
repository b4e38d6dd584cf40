# SPDX-License-Identifier: Apache-2.0
"""Mutation operators: every applicable place of the model's source, one change per mutant."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Nodes that an operator may change.
Node = ast.expr | ast.stmt

MODEL = Path(__file__).resolve().parents[2] / "spec" / "model"

#: Modules of decoding; command line, errors and limits are not part of the format.
MODULES = (
    "tables", "arithmetic", "contexts", "tensor_data", "dependent_quantisation", "scan", "incremental",
    "reconstruction", "descriptors", "units", "parameter_sets", "data_unit", "unit_tensors", "stream",
)  # fmt: skip

#: Functions outside the contract: logging and post-processing of decoded tensors.
_OUTSIDE = {"_note", "_observed", "scaled_rows", "factors_product", "_rounded", "values", "limit"}

_COMPARE = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_ARITHMETIC = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult,
    ast.LShift: ast.Mult, ast.Mod: ast.Mult, ast.BitOr: ast.BitAnd,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """Model with one fault.

    Attributes
    ----------
    key : str
        Stable name while the line does not change: module, function, operator, text before and after.
    """

    module: str
    function: str
    line: int
    operator: str
    before: str
    after: str
    source: str
    ordinal: int = 0

    @property
    def key(self) -> str:
        """Stable name of the mutant."""
        suffix = f" #{self.ordinal}" if self.ordinal else ""
        return f"{self.module}.{self.function}: {self.operator}: {self.before} -> {self.after}{suffix}"


class _Places(ast.NodeVisitor):
    """Collector of applicable changes; a change is made in place and undone."""

    def __init__(self) -> None:
        self.function: list[str] = []
        self.statement: ast.stmt | None = None
        self.places: list[tuple[str, ast.stmt, Node, str, Any]] = []

    def generic_visit(self, node: ast.AST) -> None:
        kept = self.statement
        if isinstance(node, ast.stmt):
            self.statement = node
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            if node.name in _OUTSIDE:
                return
            self.function.append(node.name)
            for statement in node.body:
                self.visit(statement)
            self.function.pop()
        else:
            self._look(node)
            super().generic_visit(node)
        self.statement = kept

    def _add(self, node: Node, operator: str, change: Any) -> None:
        if self.statement is not None:
            self.places.append((".".join(self.function) or "module", self.statement, node, operator, change))

    def _look(self, node: ast.AST) -> None:
        if isinstance(node, ast.JoinedStr):
            return
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
            self._add(node, "comparison", _COMPARE[type(node.ops[0])])
        elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            self._add(node, "arithmetic", _ARITHMETIC[type(node.op)])
        elif isinstance(node, ast.BoolOp):
            self._add(node, "and-or", ast.Or if isinstance(node.op, ast.And) else ast.And)
        elif (
            isinstance(node, ast.UnaryOp)
            and isinstance(node.op, ast.Not | ast.USub)
            and not isinstance(node.operand, ast.Constant)
        ):
            self._add(node, "drop " + ("not" if isinstance(node.op, ast.Not) else "minus"), None)
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            # The steps are always shifted right by four or more, so a change below 16 has no effect.
            in_steps = (
                isinstance(self.statement, ast.Assign) and ast.unparse(self.statement.targets[0]) == "STEP"
            )
            self._add(node, "constant", node.value + (16 if in_steps and node.value >= 64 else 1))
        elif isinstance(node, ast.If | ast.While):
            self._add(node, "never", False)
            if isinstance(node, ast.If):
                self._add(node, "always", True)
        elif isinstance(node, ast.IfExp):
            self._add(node, "swap branches", None)
        elif (
            isinstance(node, ast.AugAssign | ast.Raise | ast.Break | ast.Continue)
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
            or (
                isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Attribute)
                and self.function[-1:] != ["__init__"]
            )
        ):
            self._add(node, "drop statement", None)


def _skipped(statement: ast.stmt) -> bool:
    """True for statements outside decoding: messages, logs, imports, declarations."""
    text = ast.unparse(statement)
    return (
        isinstance(statement, ast.ImportFrom | ast.Import | ast.FunctionDef | ast.ClassDef | ast.AnnAssign)
        or "self.element =" in text
        or "engine.element =" in text
        or "engine.path =" in text
        or text.startswith(("'", '"', "__all__", "assert"))
        or "n_bins" in text
        or "_observed(" in text
        or "observe" in text
        or ".limit(" in text
    )


def mutants_of(module: str) -> Iterator[Mutant]:
    """Generate the mutants of a module, in source order."""
    source = (MODEL / f"{module}.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    visitor = _Places()
    visitor.visit(tree)
    seen: dict[str, int] = {}
    for function, statement, node, operator, change in visitor.places:
        if _skipped(statement) or _in_message(statement, node):
            continue
        before = ast.unparse(node).split("\n")[0]
        undo = _apply(tree, node, operator, change)
        if undo is None:
            continue
        after = "nothing" if operator == "drop statement" else ast.unparse(node).split("\n")[0]
        mutated = ast.unparse(tree)
        undo()
        if operator == "constant" and module == "tables":
            before = f"{before} at {node.lineno}:{node.col_offset}"
        key = f"{function}{operator}{before}{after}"
        ordinal = seen[key] = seen.get(key, -1) + 1
        yield Mutant(module, function, node.lineno, operator, before, after, mutated, ordinal)


def _in_message(statement: ast.stmt, node: ast.AST) -> bool:
    """True for nodes inside the arguments of a raise statement."""
    if not isinstance(statement, ast.Raise):
        return False
    return node is not statement


def _apply(tree: ast.AST, node: Node, operator: str, change: Any) -> Callable[[], object] | None:
    """Change the tree; returns the function that undoes the change, or None without effect."""
    if isinstance(node, ast.Compare):
        kept = node.ops[0]
        node.ops[0] = change()
        return lambda: node.ops.__setitem__(0, kept)
    if isinstance(node, ast.BinOp | ast.BoolOp):
        kept_op = node.op
        node.op = change()
        return lambda: setattr(node, "op", kept_op)
    if isinstance(node, ast.Constant):
        kept_value = node.value
        node.value = change
        return lambda: setattr(node, "value", kept_value)
    if isinstance(node, ast.If | ast.While) and operator in ("never", "always"):
        kept_test = node.test
        node.test = ast.Constant(change)
        return lambda: setattr(node, "test", kept_test)
    if isinstance(node, ast.IfExp):
        body, orelse = node.body, node.orelse
        node.body, node.orelse = orelse, body

        def undo() -> None:
            node.body, node.orelse = body, orelse

        return undo
    return _replace(tree, node, node.operand if isinstance(node, ast.UnaryOp) else ast.Pass())


def _replace(tree: ast.AST, node: ast.AST, new: ast.AST) -> Callable[[], object] | None:
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is node:
                setattr(parent, name, new)
                return functools.partial(setattr, parent, name, node)
            if isinstance(value, list) and any(entry is node for entry in value):
                at = next(k for k, entry in enumerate(value) if entry is node)
                value[at] = new
                return functools.partial(value.__setitem__, at, node)
    return None


def all_mutants() -> list[Mutant]:
    """Generate all mutants of the model."""
    return [mutant for module in MODULES for mutant in mutants_of(module)]
