# SPDX-License-Identifier: Apache-2.0
"""Combinators for syntax tables, based on construct.

HOWTO add a syntax element
--------------------------
Add one line to the table of its unit, in stream order and with the standard's spelling:

- always present:  ``"lps_qp_density" / u(3)``; with allowed values ``u(4, range(5))`` or ``u(5, PayloadType)``
- reserved bits:   ``"nnr_reserved_zero_7bits" / u(7, 0)``; the value is checked, and is the default when building
- optional:        ``IfPresent("dq_flag == 1", "dq_state" / u(3))``, if necessary with ``.or_else(*members)``
- inferred:        ``"dq_flag" / u(1, inferred=0)``: conditions use 0 if the element is absent
- repeated:        ``"tensor_dimensions" / Repeat("count_tensor_dimensions", ue(7))``
- nested table:    ``"codebook" / CODEBOOK``, where ``CODEBOOK = Syntax("codebook", *members, clause="format 3")``
- one of several:  ``Choice("nnr_unit_type", {NnrUnitType.NNR_MPS: TABLE}, default=TABLE)``
- a variable:      ``Derived("CbZeroOffset", Expression("(codebook_size >> 1) + codebook_center_offset"))``
- a constraint:    ``rule="..."`` or ``limit="max_names"`` on an element, ``Check(function)`` for several elements

Then run ``python -m tools.codegen``, and follow CONTRIBUTING.md for the meaning of the element. Parser, builder, trace, dump and
the tables in ``spec/`` follow from the declaration.

construct is kept because these tables are the formal statement of the syntax: readable beside the standard, executable, and
the source of all generated code. A table is walked with construct to trace, to explain, to build forbidden values, to locate a
fault by its path, and to check the generated parser and builder, which do the rest.

Differences from construct's own combinators: an absent element has no key in the tree, instead of the value None; ``if`` and
``switch`` open no level, as in the standard's tables; all names are in one flat scope; a missing or unexpected key is an
error; paths have indices. A walk over a table may read the public attributes of these classes and of `Element`. Conditions
and counts are `Expression` objects, whose text is evaluated and shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from construct import Construct, Struct, Subconstruct

from nnr_codec.errors import NotEncodable
from nnr_codec.syntax.element import Element, Named
from nnr_codec.syntax.expressions import Expression, Scope
from nnr_codec.syntax.streams import SyntaxReader, SyntaxWriter

Tree = dict[str, Any]


class Group(Construct):  # type: ignore[misc]  # construct has no types
    """Member that opens no level: the keys of its members belong to the tree of the enclosing table."""

    key: None = None
    min_bits = 0

    def tables(self) -> tuple[Syntax, ...]:
        """Return the member lists inside, each as an untitled table."""
        raise NotImplementedError

    def parse_into(self, tree: Tree, stream: SyntaxReader, context: Any, path: str) -> None:
        """Parse the members that are present into ``tree``."""
        chosen = self.choose(context)
        if chosen is not None:
            chosen.parse_into(tree, stream, context, path)

    def build_from(self, tree: Tree, stream: SyntaxWriter, context: Any, path: str) -> None:
        """Build the members that are present from ``tree``, and remove their keys."""
        chosen = self.choose(context)
        if chosen is not None:
            chosen.build_from(tree, stream, context, path)

    def choose(self, scope: Scope) -> Syntax | None:
        """Return the member list that is present, or None."""
        raise NotImplementedError


class Syntax(Named, Struct):  # type: ignore[misc]  # construct has no types
    """Syntax table.

    Parameters
    ----------
    title : str
        Name of the table in the standard; empty for the member list of a group.
    *members : Element, Syntax, Repeat, IfPresent, Choice, Derived or Check
        Members in stream order. The members of an unnamed table belong to the enclosing table.
    clause : str
        Clause of the specification that defines the table.
    """

    def __init__(self, title: str, *members: Any, clause: str | None = None) -> None:
        super().__init__(*members)
        self.title = title
        self.clause = clause
        self.members: tuple[Any, ...] = members
        self.min_bits = max(1, sum(member.min_bits for member in members))
        self.inferred: Tree = {}
        self._keyed = [(member.key, member) for member in members]
        self._spread(clause)

    def _spread(self, clause: str | None) -> None:
        for member in self.members:
            if isinstance(member, Group):
                for table in member.tables():
                    table._spread(clause)
                    # Inferred values hold for the whole table, so the group does not set them again.
                    self.inferred |= table.inferred
                    table.inferred = {}
            elif isinstance(member, Repeat) and isinstance(member.subcon, Element | Syntax):
                if member.subcon.clause is None:
                    member.subcon.clause = clause
                    if isinstance(member.subcon, Syntax):
                        member.subcon._spread(clause)
            elif isinstance(member, Element):
                if member.clause is None:
                    member.clause = clause
                if member.inferred is not None:
                    self.inferred[member.name or ""] = member.inferred

    def _parse(self, stream: SyntaxReader, context: Any, path: str) -> Tree:
        tree: Tree = {}
        self.parse_into(tree, stream, context, path if path[0] != "(" else stream.root)
        return tree

    def parse_into(self, tree: Tree, stream: SyntaxReader, context: Any, path: str) -> None:
        """Parse the members into ``tree``."""
        if self.inferred:
            context.update(self.inferred)
        for key, member in self._keyed:
            if key is None:
                member.parse_into(tree, stream, context, path)
            else:
                tree[key] = member._parse(stream, context, f"{path}.{key}")

    def _build(self, obj: Any, stream: SyntaxWriter, context: Any, path: str) -> None:
        path = path if path[0] != "(" else stream.root
        if not isinstance(obj, Mapping):
            raise NotEncodable(
                f"a table of elements is needed, not {type(obj).__name__}", path=path, element=self.name
            )
        unused = dict(obj)
        self.build_from(unused, stream, context, path)
        for key in unused:
            raise NotEncodable("this element has no place here", path=f"{path}.{key}", element=key)

    def build_from(self, tree: Tree, stream: SyntaxWriter, context: Any, path: str) -> None:
        """Build the members from ``tree``, and remove their keys."""
        if self.inferred:
            context.update(self.inferred)
        for key, member in self._keyed:
            if key is None:
                member.build_from(tree, stream, context, path)
            elif key in tree:
                member._build(tree.pop(key), stream, context, f"{path}.{key}")
            elif isinstance(member, Element) and member.fixed:
                member._build(None, stream, context, f"{path}.{key}")
            else:
                raise NotEncodable("this element is missing", path=f"{path}.{key}", element=key)


class IfPresent(Group):
    """Members that are present if a condition holds.

    Examples
    --------
    ``IfPresent("dq_flag == 1", "dq_state" / u(3))``, optionally with ``.or_else(*members)``.
    """

    def __init__(self, condition: str, *members: Any) -> None:
        super().__init__()
        self.condition = Expression(condition)
        self.members = Syntax("", *members)
        self.otherwise: Syntax | None = None

    def or_else(self, *members: Any) -> IfPresent:
        """Add members that are present if the condition does not hold, and return self."""
        self.otherwise = Syntax("", *members)
        return self

    def tables(self) -> tuple[Syntax, ...]:
        """Return the member lists inside."""
        return (self.members,) if self.otherwise is None else (self.members, self.otherwise)

    def choose(self, scope: Scope) -> Syntax | None:
        """Return the member list that is present."""
        return self.members if self.condition(scope) else self.otherwise

    def parse_into(self, tree: Tree, stream: SyntaxReader, context: Any, path: str) -> None:
        """Parse the members that are present into ``tree``."""
        # Inlined `choose`: this is the most frequent call of a parse.
        chosen = self.members if self.condition(context) else self.otherwise
        if chosen is not None:
            chosen.parse_into(tree, stream, context, path)


class Choice(Group):
    """One of several tables, selected by a value. Values without a case select the default."""

    def __init__(self, selector: str, cases: Mapping[Any, Syntax], default: Syntax) -> None:
        super().__init__()
        self.selector = Expression(selector)
        self.cases = dict(cases)
        self.default = default

    def tables(self) -> tuple[Syntax, ...]:
        """Return the member lists inside."""
        return ()  # each table has its own clause and its own inferred values

    def choose(self, scope: Scope) -> Syntax:
        """Return the member list that is present."""
        chosen: Syntax = self.cases.get(self.selector(scope), self.default)
        return chosen


class Derived(Group):
    """Variable of the standard, computed from earlier elements. It takes no bits and has no key in the tree."""

    def __init__(self, name: str, formula: Callable[[Scope], Any]) -> None:
        super().__init__()
        self.name = name
        self.formula = formula

    def tables(self) -> tuple[Syntax, ...]:
        """Return the member lists inside."""
        return ()

    def parse_into(self, tree: Tree, stream: SyntaxReader, context: Any, path: str) -> None:
        """Set the variable."""
        context[self.name] = self.formula(context)

    def build_from(self, tree: Tree, stream: SyntaxWriter, context: Any, path: str) -> None:
        """Set the variable."""
        context[self.name] = self.formula(context)


class Check(Group):
    """Constraint on several elements, checked after the last of them. It takes no bits.

    Like the rule of an element, it applies to strict readers only.
    """

    def __init__(self, demand: Callable[[Scope], Any]) -> None:
        super().__init__()
        self.demand = demand

    def tables(self) -> tuple[Syntax, ...]:
        """Return the member lists inside."""
        return ()

    def parse_into(self, tree: Tree, stream: SyntaxReader, context: Any, path: str) -> None:
        """Check the constraint."""
        if stream.strict:
            self.demand(context)

    def build_from(self, tree: Tree, stream: SyntaxWriter, context: Any, path: str) -> None:
        """Do nothing: units satisfy the constraint, and trees may be built with faults on purpose."""


class Repeat(Named, Subconstruct):  # type: ignore[misc]  # construct has no types
    """Sequence of ``count`` elements or tables; a negative count is an empty sequence.

    ``index`` names the loop variable for conditions inside. The count allocates no memory: every entry takes bits, so a count
    beyond the size of the unit ends at the first missing entry.
    """

    def __init__(self, count: str, subcon: Any, index: str | None = None) -> None:
        super().__init__(subcon)
        self.count = Expression(count)
        self.index = index
        self.name = None

    def __rtruediv__(self, name: str) -> Any:
        named = super().__rtruediv__(name)
        if isinstance(self.subcon, Element):
            named.subcon = name / self.subcon
        return named

    def _parse(self, stream: SyntaxReader, context: Any, path: str) -> list[Any]:
        count = max(0, self.count(context))
        entries = []
        for index in range(count):
            if self.index is not None:
                context[self.index] = index
            entries.append(self.subcon._parse(stream, context, f"{path}[{index}]"))
        context[self.name] = entries
        return entries

    def _build(self, obj: Any, stream: SyntaxWriter, context: Any, path: str) -> None:
        count = max(0, self.count(context))
        if not isinstance(obj, list | tuple) or len(obj) != count:
            raise NotEncodable(
                f"a list of {count} entries ({self.count}) is needed", path=path, element=self.name
            )
        for index, entry in enumerate(obj):
            if self.index is not None:
                context[self.index] = index
            self.subcon._build(entry, stream, context, f"{path}[{index}]")
        context[self.name] = obj
