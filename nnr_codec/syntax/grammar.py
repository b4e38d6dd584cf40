# SPDX-License-Identifier: Apache-2.0
"""The combinators that syntax tables are made of, on top of construct.

A table is a tree of these objects, and everything done with a table is a walk over it. Beside construct's own
``_parse`` and ``_build``, a walker may read: ``Syntax.title``, ``.clause`` and ``.members``;
``Element.name``,
``.key``, ``.descriptor``, ``.values``, ``.inferred``, ``.limit``; ``IfPresent.condition``, ``.members`` and
``.otherwise``; ``Choice.selector``, ``.cases`` and ``.default``; ``Repeat.count`` and ``.subcon``;
``Derived.name``
and ``.formula``. Conditions and counts are ``Expression``: their text is what is evaluated.

What differs from construct's own combinators, and why: an absent element is absent from the tree rather
than None;
``if`` and ``switch`` do not open a level, as in the standard's tables; names resolve in one flat scope; a
key too
many or too few is an error; paths carry indices.
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
    """A member that opens no level: its members' keys go into the surrounding table's tree."""

    key: None = None
    min_bits = 0

    def tables(self) -> tuple[Syntax, ...]:
        """Return the member lists inside, each as an untitled table."""
        raise NotImplementedError

    def parse_into(self, tree: Tree, stream: SyntaxReader, context: Any, path: str) -> None:
        """Parse what is present into ``tree``."""
        chosen = self.choose(context)
        if chosen is not None:
            chosen.parse_into(tree, stream, context, path)

    def build_from(self, tree: Tree, stream: SyntaxWriter, context: Any, path: str) -> None:
        """Build what is present out of ``tree``, removing what was used."""
        chosen = self.choose(context)
        if chosen is not None:
            chosen.build_from(tree, stream, context, path)

    def choose(self, scope: Scope) -> Syntax | None:
        """Return the member list that is present."""
        raise NotImplementedError


class Syntax(Named, Struct):  # type: ignore[misc]  # construct has no types
    """A syntax table.

    Parameters
    ----------
    title : str
        The table's name in the standard; empty for the inside of a group.
    *members : Element, Syntax, Repeat, IfPresent, Choice or Derived
        In stream order. A table without a name of its own is part of the surrounding one.
    clause : str
        Where the specification defines it.
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
                    # Defaults hold for the whole table, so the group need not set them again.
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
        """Build the members out of ``tree``, removing what was used."""
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
    """Members that are in the stream exactly when a condition holds.

    Examples
    --------
    ``IfPresent("dq_flag == 1", "dq_state" / u(3))``, perhaps followed by ``.or_else(*members)``.
    """

    def __init__(self, condition: str, *members: Any) -> None:
        super().__init__()
        self.condition = Expression(condition)
        self.members = Syntax("", *members)
        self.otherwise: Syntax | None = None

    def or_else(self, *members: Any) -> IfPresent:
        """Return this with members for when the condition does not hold."""
        self.otherwise = Syntax("", *members)
        return self

    def tables(self) -> tuple[Syntax, ...]:
        """Return the member lists inside."""
        return (self.members,) if self.otherwise is None else (self.members, self.otherwise)

    def choose(self, scope: Scope) -> Syntax | None:
        """Return the member list that is present."""
        return self.members if self.condition(scope) else self.otherwise

    def parse_into(self, tree: Tree, stream: SyntaxReader, context: Any, path: str) -> None:
        """Parse what is present into ``tree``."""
        chosen = (
            self.members if self.condition(context) else self.otherwise
        )  # one call less on the busiest path
        if chosen is not None:
            chosen.parse_into(tree, stream, context, path)


class Choice(Group):
    """One of several tables, by value. What no case names goes to the default, which there always is."""

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
    """A variable of the standard, computed from elements already read; it takes no bits and is not in the
    tree.
    """

    def __init__(self, name: str, formula: Callable[[Scope], Any]) -> None:
        super().__init__()
        self.name = name
        self.formula = formula

    def tables(self) -> tuple[Syntax, ...]:
        """Return the member lists inside."""
        return ()

    def parse_into(self, tree: Tree, stream: SyntaxReader, context: Any, path: str) -> None:
        """Parse what is present into ``tree``."""
        context[self.name] = self.formula(context)

    def build_from(self, tree: Tree, stream: SyntaxWriter, context: Any, path: str) -> None:
        """Build what is present out of ``tree``."""
        context[self.name] = self.formula(context)


class Check(Group):
    """A demand on several elements together, made where the last of them has been read; it takes no bits.

    Like the rule of an element, it is made of strict readers only: others show what is there.
    """

    def __init__(self, demand: Callable[[Scope], Any]) -> None:
        super().__init__()
        self.demand = demand

    def tables(self) -> tuple[Syntax, ...]:
        """Return the member lists inside."""
        return ()

    def parse_into(self, tree: Tree, stream: SyntaxReader, context: Any, path: str) -> None:
        """Raise what the demand raises."""
        if stream.strict:
            self.demand(context)

    def build_from(self, tree: Tree, stream: SyntaxWriter, context: Any, path: str) -> None:
        """Take nothing: what is built comes from a meaning that fulfils the demand, or is to be faulty."""


class Repeat(Named, Subconstruct):  # type: ignore[misc]  # construct has no types
    """``count`` elements or tables after each other; a negative count is none.

    ``index`` names the loop variable where conditions inside need it. Nothing is allocated by the count: every
    entry takes bits, so that a count beyond what the unit holds ends at the first entry that is missing.
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
