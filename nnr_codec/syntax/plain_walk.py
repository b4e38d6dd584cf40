# SPDX-License-Identifier: Apache-2.0
"""Translation of a syntax table into one Python function: base class of the generated parser and builder.

A generated function handles regular units only and returns None for all others. The caller then falls back to the reference
walk, which locates errors.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, groupby
from typing import Any

from nnr_codec.syntax.descriptors import i, u
from nnr_codec.syntax.element import Element
from nnr_codec.syntax.expressions import EXPRESSION_NAMES, Expression
from nnr_codec.syntax.grammar import Check, Choice, Derived, Group, IfPresent, Syntax

#: Default of the largest value of an Exp-Golomb code.
LARGEST = 0xFFFFFFFF
_BUILTINS = (bytearray, bytes, int, isinstance, len, list, locals, max, memoryview, min, range, tuple)


class PlainTranslator:
    """Emitter of the lines of a generated function. Conditions on known elements are evaluated at generation.

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

    # Defined by parser and builder.

    def run(self, members: list[u | i], tree: str) -> None:
        """Emit code for consecutive elements of fixed size."""
        raise NotImplementedError

    def member(self, member: Any, tree: str) -> None:
        """Emit code for a member with a key that is not of fixed size."""
        raise NotImplementedError

    def demand(self, check: Check) -> None:
        """Emit code for a condition on several elements."""
        raise NotImplementedError

    # Shared by both.

    def compiled(self, head: str, table: Syntax, **scope: Any) -> Callable[..., Any]:
        """Compile the emitted lines, with `head` as the first line, and return the function."""
        source = "\n".join([head, *self._lines])
        names = {**EXPRESSION_NAMES, **self.constants, **scope}
        names["__builtins__"] = {builtin.__name__: builtin for builtin in _BUILTINS}
        # The text comes from declarations of this package, which are made when it is imported.
        exec(compile(source, f"<{table.title}>", "exec"), names)  # noqa: S102 - declarations alone
        function: Callable[..., Any] = names[head.partition("(")[0].removeprefix("def ")]
        return function

    def say(self, *lines: str) -> None:
        """Emit lines at the current indentation."""
        self._lines += [" " * self._depth + line for line in lines]

    def say_known(self) -> None:
        """Emit assignments of the known elements."""
        self.say(*(f"{name} = {value}" for name, value in self._known.items()))

    def new(self, value: Any = None) -> str:
        """Return an unused name; bind it to a constant unless `value` is None."""
        name = f"__{next(self._numbers)}"
        if value is not None:
            self.constants[name] = value
        return name

    def loop(self, opening: str, body: Callable[[], None]) -> None:
        """Emit a compound statement with its body."""
        self.say(opening)
        self._depth += 1
        body()
        if self._lines[-1].endswith(opening):
            self.say("pass")
        self._depth -= 1

    def table(self, table: Syntax, tree: str) -> None:
        """Emit code for the members of a table, with `tree` as the name of the dictionary of their values."""
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
        """Emit the checks of an element's value."""
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
                self.say("return None")  # only in rare units
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
