# SPDX-License-Identifier: Apache-2.0
"""Translation of a table's expressions to C++."""

from __future__ import annotations

import ast

from nnr_codec.syntax.expressions import EXPRESSION_NAMES, Expression

_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.LShift: "<<", ast.RShift: ">>", ast.BitAnd: "&", ast.BitOr: "|",
}  # fmt: skip


def cxx_expression(expression: int | Expression) -> str:
    """Return an expression over ``s``, the scope of 64-bit values.

    Parameters
    ----------
    expression : int or Expression

    Raises
    ------
    NotImplementedError
        For a construct of Python that no table used before.

    Examples
    --------
    >>> cxx_expression(Expression("a == 1 and 0 <= (b >> 1) + c < d"))
    's.a == 1 && (0 <= (s.b >> 1) + s.c && (s.b >> 1) + s.c < s.d)'
    >>> cxx_expression(Expression("a in (NNR_PT_INT, NNR_PT_BLOCK)"))
    '(s.a == NNR_PT_INT || s.a == NNR_PT_BLOCK)'
    """
    if isinstance(expression, int):
        return str(expression)
    return _translated(ast.parse(expression.text, mode="eval").body)


def cxx_condition(expression: Expression) -> str:
    """Return an expression whose value is a truth value."""
    node = ast.parse(expression.text, mode="eval").body
    return _truth(node)


def _truth(node: ast.expr) -> str:
    if isinstance(node, ast.BoolOp):
        sign = " && " if isinstance(node.op, ast.And) else " || "
        return sign.join(
            f"({_truth(value)})" if isinstance(value, ast.BoolOp) else _truth(value) for value in node.values
        )
    if isinstance(node, ast.Compare) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)):
        return _translated(node)
    return f"({_translated(node)}) != 0"


def _translated(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=int(value)):
            return str(value)
        case ast.Name(id=name):
            return name if name in EXPRESSION_NAMES else f"s.{name}"
        case ast.BoolOp():
            return _truth(node)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return f"!({_truth(operand)})"
        case ast.BinOp(left=before, op=op, right=right) if type(op) in _OPERATORS:
            return f"{_operand(before)} {_OPERATORS[type(op)]} {_operand(right)}"
        case ast.Compare(left=before, ops=[ast.In()], comparators=[ast.Tuple(elts=values)]):
            text = _operand(before)
            return "(" + " || ".join(f"{text} == {_operand(value)}" for value in values) + ")"
        case ast.Compare(left=before, ops=ops, comparators=comparators) if all(
            type(op) in _COMPARISONS for op in ops
        ):
            sides = [before, *comparators]
            parts = [
                f"{_side(side)} {_COMPARISONS[type(op)]} {_side(after)}"
                for side, op, after in zip(sides, ops, comparators, strict=False)
            ]
            return parts[0] if len(parts) == 1 else f"({' && '.join(parts)})"
    raise NotImplementedError(f"no translation for {ast.unparse(node)}")


def _operand(node: ast.expr) -> str:
    text = _translated(node)
    return f"({text})" if isinstance(node, ast.BinOp | ast.BoolOp | ast.Compare) else text


def _side(node: ast.expr) -> str:
    # C++ binds comparisons tighter than bit operations.
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
        return f"({_translated(node)})"
    return _translated(node)
