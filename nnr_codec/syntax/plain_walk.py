# SPDX-License-Identifier: Apache-2.0
"""A table translated into one Python function, for units in which nothing is out of the ordinary: what both directions share.

Such a function gives up, and returns None, on anything else; then the walk that can tell what is wrong where takes its turn.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, groupby
from typing import Any

from nnr_codec.syntax.descriptors import i, u
from nnr_codec.syntax.element import Element
from nnr_codec.syntax.expressions import EXPRESSION_NAMES, Expression
from nnr_codec.syntax.grammar import Check, Choice, Derived, Group, IfPresent, Syntax

#: The largest value of an Exp-Golomb code, where no element says otherwise.
LARGEST = 0xFFFFFFFF
_BUILTINS = (bytearray, bytes, int, isinstance, len, list, locals, max, memoryview, min, range, tuple)


class PlainTranslator:
    """Writes the function's lines. All that depends on known elements is decided while it is written.

    Parameters
    ----------
    known : mapping of str to int
        Elements, and variables of earlier units, whose values are known.
    """

    def __init__(self, known: dict[str, int]) -> None:
        self.constants: dict[str, Any] = {}
        self._known = known
        self._lines: list[str] = []
        self._depth = 1
        self._numbers = count()

    # What a direction defines.

    def run(self, members: list[u | i], tree: str) -> None:
        """Write how elements of fixed size that follow each other are taken together."""
        raise NotImplementedError

    def member(self, member: Any, tree: str) -> None:
        """Write how another member that has a key is taken."""
        raise NotImplementedError

    def demand(self, check: Check) -> None:
        """Write how a demand on several elements is made."""
        raise NotImplementedError

    # What they share.

    def compiled(self, head: str, table: Syntax, **scope: Any) -> Callable[..., Any]:
        """Return the function whose first line is `head` and whose other lines are those said so far."""
        source = "\n".join([head, *self._lines])
        names = {**EXPRESSION_NAMES, **self.constants, **scope}
        names["__builtins__"] = {builtin.__name__: builtin for builtin in _BUILTINS}
        # The text comes from declarations of this package, which are made when it is imported.
        exec(compile(source, f"<{table.title}>", "exec"), names)  # noqa: S102 - declarations alone
        function: Callable[..., Any] = names[head.partition("(")[0].removeprefix("def ")]
        return function

    def say(self, *lines: str) -> None:
        """Write lines at the present depth."""
        self._lines += [" " * self._depth + line for line in lines]

    def say_known(self) -> None:
        """Write the assignments of what is known."""
        self.say(*(f"{name} = {value}" for name, value in self._known.items()))

    def new(self, value: Any = None) -> str:
        """Return a name that nothing has, for a value if one is given."""
        name = f"__{next(self._numbers)}"
        if value is not None:
            self.constants[name] = value
        return name

    def loop(self, opening: str, body: Callable[[], None]) -> None:
        """Write a block."""
        self.say(opening)
        self._depth += 1
        body()
        if self._lines[-1].endswith(opening):
            self.say("pass")
        self._depth -= 1

    def table(self, table: Syntax, tree: str) -> None:
        """Write how a table's members are taken out of or put into the tree of this name."""
        for name, value in table.inferred.items():
            self.say(f"{name} = {value}")
        for fixed_size, members in groupby(table.members, _is_fixed_size):
            run = list(members)
            if fixed_size:
                self.run(run, tree)
                continue
            for member in run:
                if isinstance(member, Group):
                    self._group(member, tree)
                elif member.key is None:
                    self.table(member, tree)
                else:
                    self.member(member, tree)

    def check(self, element: Element, name: str) -> None:
        """Write that a value must be allowed."""
        wrong = []
        if element.allowed is not None:
            wrong.append(f"{name} not in {self.new(element.allowed)}")
        if element.rule is not None:
            wrong.append(f"not ({element.rule.text})")
        if name in self._known:
            wrong.append(f"{name} != {self._known[name]}")
        for condition in wrong:
            self.say(f"if {condition}: return None")

    def _group(self, member: Group, tree: str) -> None:
        if isinstance(member, IfPresent) and set(member.condition.element_names) <= set(self._known):
            chosen = member.choose(self._known)
            if chosen is not None:
                self.table(chosen, tree)
        elif isinstance(member, IfPresent):
            self.loop(f"if {member.condition.text}:", lambda: self.table(member.members, tree))
            otherwise = member.otherwise
            if otherwise is not None:
                self.loop("else:", lambda: self.table(otherwise, tree))
        elif isinstance(member, Choice):
            if set(member.selector.element_names) <= set(self._known):
                self.table(member.choose(self._known), tree)
            else:
                self.say("return None")  # in no unit of which there are many
        elif isinstance(member, Check):
            self.demand(member)
        elif isinstance(member, Derived):
            formula = member.formula
            text = formula.text if isinstance(formula, Expression) else f"{self.new(formula)}(locals())"
            self.say(f"{member.name} = {text}")
        else:
            raise TypeError(f"no translation for {type(member).__name__}")


def _is_fixed_size(member: Any) -> bool:
    return isinstance(member, u | i) and isinstance(member.n_bits, int)
