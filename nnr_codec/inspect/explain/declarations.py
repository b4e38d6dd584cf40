# SPDX-License-Identifier: Apache-2.0
"""Declarations of the syntax elements, collected by a walk over the grammar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from nnr_codec.syntax import NNR_UNIT
from nnr_codec.syntax.element import Element
from nnr_codec.syntax.grammar import Choice, Derived, IfPresent, Repeat, Syntax


@dataclass(frozen=True)
class Declaration:
    """One place of an element in the syntax tables.

    Attributes
    ----------
    element, descriptor, table, clause : str
        In the standard's spelling.
    conditions : tuple of str
        Conditions for the element's presence; all must hold. Empty for an element that is always present.
    count : str or None
        Number of entries of a repeated element, as an expression.
    values : str
        Range or list of the values that the format allows.
    inferred : int or None
        Value of an absent element.
    limit : str or None
        Field of `Limits` that bounds the element.
    symbols : dict of int to str
        Names of the values.
    """

    element: str
    descriptor: str
    table: str
    clause: str
    conditions: tuple[str, ...]
    count: str | None
    values: str
    inferred: int | None
    limit: str | None
    symbols: dict[int, str]


@cache
def declarations() -> dict[str, tuple[Declaration, ...]]:
    """Return the declarations of every element of the grammar, elements in order of appearance."""
    by_element: dict[str, list[Declaration]] = {}
    for declaration in _walk(NNR_UNIT, "nnr_unit", (), None):
        places = by_element.setdefault(declaration.element, [])
        if declaration not in places:
            places.append(declaration)
    return {name: tuple(places) for name, places in by_element.items()}


def _walk(member: Any, table: str, conditions: tuple[str, ...], count: str | None) -> Iterator[Declaration]:
    if isinstance(member, Element):
        yield _declaration(member, table, conditions, count)
    elif isinstance(member, Syntax):
        for inner in member.members:
            yield from _walk(inner, member.title or table, conditions, count)
    elif isinstance(member, IfPresent):
        yield from _walk(member.members, table, (*conditions, str(member.condition)), count)
        if member.otherwise is not None:
            yield from _walk(member.otherwise, table, (*conditions, f"!({member.condition})"), count)
    elif isinstance(member, Choice):
        for value, case in member.cases.items():
            name = getattr(value, "name", str(value))
            yield from _walk(case, table, (*conditions, f"{member.selector} == {name}"), count)
        others = ", ".join(str(int(value)) for value in member.cases)
        yield from _walk(member.default, table, (*conditions, f"{member.selector} not in ({others})"), count)
    elif isinstance(member, Repeat):
        inner = member.subcon
        if isinstance(inner, Element) and inner.name is None:
            inner = member.name / inner
        yield from _walk(inner, table, conditions, str(member.count))
    elif isinstance(member, Derived):
        return


def _declaration(element: Element, table: str, conditions: tuple[str, ...], count: str | None) -> Declaration:
    members: list[Any] = [] if element.symbols is None else list(element.symbols)
    symbols = {int(member): str(member.name) for member in members}
    return Declaration(
        element.name or "",
        element.descriptor,
        table,
        element.clause or "",
        conditions,
        count,
        _allowed_values(element),
        element.inferred,
        element.limit,
        symbols,
    )


def _allowed_values(element: Element) -> str:
    if element.descriptor == "byte_alignment()":
        return "a one, then zeros up to the byte boundary"
    if element.symbols is not None and element.values is not None:
        symbols: list[Any] = list(element.symbols)
        separator = " | " if element.allowed is None else ", "
        return separator.join(f"{int(symbol)} {symbol.name}" for symbol in symbols)
    if element.rule is not None:
        return str(element.rule)
    if element.values is not None:
        return element.allowed_text.removeprefix("only ")
    return _natural_range(element.descriptor)


def _natural_range(descriptor: str) -> str:
    kind, _, inside = descriptor.partition("(")
    size = inside.rstrip(")")
    if kind == "u" and size.isdigit() and int(size) <= 64:
        return f"0..{(1 << int(size)) - 1}"
    if kind == "u":
        return f"0..2^({size}) - 1"
    if kind == "i" and size.isdigit():
        half = 1 << (int(size) - 1)
        return f"{-half}..{half - 1}"
    return {
        "ue": "0..2^32 - 1",
        "ie": "-2^31..2^31 - 1",
        "flt": "any binary32",
        "st": "UTF-8 without a zero byte",
        "bs": "any bytes",
    }.get(kind, "")
