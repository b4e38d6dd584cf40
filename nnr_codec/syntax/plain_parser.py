# SPDX-License-Identifier: Apache-2.0
"""The fast walk: a table translated into one Python function, for units in which nothing is wrong.

It keeps no paths, no trace and no positions but the current one, and reads runs of fixed-size elements out of one
integer. On anything out of the ordinary it gives up, and the walk that can tell what is wrong where takes its turn.
What it does return is what that walk returns: the tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import count, groupby
from typing import Any

from nnr_codec.errors import BitstreamError
from nnr_codec.model import Limits
from nnr_codec.syntax.descriptors import bs, byte_alignment, i, ie, st, u, ue
from nnr_codec.syntax.element import Element
from nnr_codec.syntax.expressions import EXPRESSION_NAMES, Expression
from nnr_codec.syntax.grammar import Check, Choice, Derived, Group, IfPresent, Repeat, Syntax, Tree
from nnr_codec.syntax.state import SyntaxState
from nnr_codec.syntax.unit import NNR_UNIT

#: How far ahead is looked, in bytes: most headers end within, and an integer of this size is handled quickly.
_WINDOW = 40
#: How much of the stream is searched for the end of a name.
_NAME_WINDOW = 256
#: The largest value of an Exp-Golomb code, where no element says otherwise.
_LARGEST = 0xFFFFFFFF
#: More bits than any Exp-Golomb code takes.
_LONGEST_CODE = 80

_Parser = Callable[..., Tree | None]


def parse_plainly(
    view: memoryview, start: int, end: int, kind: int, state: SyntaxState, limits: Limits
) -> Tree | None:
    """Parse the unit in bytes ``start`` to ``end``, whose type is `kind`.

    Returns
    -------
    dict or None
        What `parse_tree` returns, strict, for a unit without fault; None sends the caller there.
    """
    known = state.variables()
    names, count_names = known.pop("_reference_list"), known.pop("NumReferences")
    try:
        return _parser(nnr_unit_type=kind, **known)(view, start, end, limits, names, count_names)
    except (UnicodeDecodeError, BitstreamError):
        return None


@cache
def _parser(**known: int) -> _Parser:
    """Translate the table of a unit, all that depends on known elements being decided."""
    translator = _Translator(known)
    source = translator.function(NNR_UNIT)
    scope = {**EXPRESSION_NAMES, **translator.constants, "__more": _more}
    scope["__builtins__"] = {each.__name__: each for each in (bytes, int, len, locals, max, min, range)}
    # The text comes from declarations of this package, which are made when it is imported.
    exec(compile(source, f"<{NNR_UNIT.title}>", "exec"), scope)  # noqa: S102
    found: _Parser = scope["parse"]
    return found


def _more(view: memoryview, at: int, n_bits: int, end: int, wanted: int) -> tuple[int, int, int]:
    """Return a window from the current position on: its bits, how many are unread, and the byte behind it."""
    first = at - ((n_bits + 7) >> 3)
    behind = min(first + max(_WINDOW, (wanted >> 3) + 2), end)
    return int.from_bytes(view[first:behind], "big"), n_bits + 8 * (behind - at), behind


class _Translator:
    """Writes the function. In it ``__w`` is the window, of which ``__n`` bits are unread; byte ``__at`` follows it."""

    def __init__(self, known: dict[str, int]) -> None:
        self.constants: dict[str, Any] = {}
        self._known = known
        self._lines: list[str] = []
        self._depth = 1
        self._numbers = count()

    def function(self, table: Syntax) -> str:
        """Return the source of ``parse(view, start, end, limits, names, count_names)``."""
        self._say(
            "__w = __n = 0", "__tree = {}", *(f"{name} = {value}" for name, value in self._known.items())
        )
        self._table(table, "__tree")
        self._say("return __tree if __at == __end and __n == 0 else None")
        return "\n".join(
            ["def parse(__view, __at, __end, __limits, _reference_list, NumReferences):", *self._lines]
        )

    def _say(self, *lines: str) -> None:
        self._lines += [" " * self._depth + line for line in lines]

    def _inside(self, opening: str, table: Syntax, tree: str) -> None:
        self._say(opening)
        self._depth += 1
        self._table(table, tree)
        if self._lines[-1].endswith(opening):
            self._say("pass")
        self._depth -= 1

    def _new(self, value: Any = None) -> str:
        name = f"__{next(self._numbers)}"
        if value is not None:
            self.constants[name] = value
        return name

    def _table(self, table: Syntax, tree: str) -> None:
        for name, value in table.inferred.items():
            self._say(f"{name} = {value}")
        for fixed_size, members in groupby(table.members, _is_fixed_size):
            run = list(members)
            if fixed_size:
                self._run(run, tree)
                continue
            for member in run:
                if isinstance(member, Group):
                    self._group(member, tree)
                elif member.key is None:
                    self._table(member, tree)
                else:
                    self._say(f"{tree}[{member.key!r}] = {self._value(member)}")

    def _run(self, run: list[u | i], tree: str) -> None:
        """Write how elements of fixed size are parsed: taken together, and then apart."""
        sizes = [member.min_bits for member in run]
        left = sum(sizes)
        self._need(left)
        self._say(f"__n -= {left}", f"__bits = __w >> __n & {(1 << left) - 1}")
        for member, size in zip(run, sizes, strict=True):
            name = str(member.name)
            left -= size
            self._say(
                f"{name} = __bits >> {left} & {(1 << size) - 1}" if len(run) > 1 else f"{name} = __bits"
            )
            if isinstance(member, i):
                self._say(f"{name} = ({name} ^ {1 << size >> 1}) - {1 << size >> 1}")
            self._check(member, name)
            self._say(f"{tree}[{member.key!r}] = {name}")

    def _group(self, member: Group, tree: str) -> None:
        if isinstance(member, IfPresent) and set(member.condition.element_names) <= set(self._known):
            chosen = member.choose(self._known)
            if chosen is not None:
                self._table(chosen, tree)
        elif isinstance(member, IfPresent):
            self._inside(f"if {member.condition.text}:", member.members, tree)
            if member.otherwise is not None:
                self._inside("else:", member.otherwise, tree)
        elif isinstance(member, Choice):
            if set(member.selector.element_names) <= set(self._known):
                self._table(member.choose(self._known), tree)
            else:
                self._say("return None")  # in no unit of which there are many
        elif isinstance(member, Check):
            self._say(f"{self._new(member.demand)}(locals())")
        elif isinstance(member, Derived):
            formula = member.formula
            text = formula.text if isinstance(formula, Expression) else f"{self._new(formula)}(locals())"
            self._say(f"{member.name} = {text}")
        else:
            raise TypeError(f"no translation for {type(member).__name__}")

    def _value(self, member: Any) -> str:
        """Write how a member is parsed and return the name that holds its value."""
        if isinstance(member, Syntax):
            tree = self._new()
            self._say(f"{tree} = {{}}")
            self._table(member, tree)
            return tree
        if isinstance(member, Repeat):
            return self._repeat(member)
        name = str(member.name)
        self._read(member, name)
        self._check(member, name)
        return name

    def _repeat(self, member: Repeat) -> str:
        entries = self._new()
        self._say(f"{entries} = []", f"__count = {member.count.text}")
        self._say(f"if __count * {member.subcon.min_bits} > __n + 8 * (__end - __at): return None")
        self._say(f"for {member.index or '__index'} in range(__count):")
        self._depth += 1
        self._say(f"{entries}.append({self._value(member.subcon)})")
        self._depth -= 1
        self._say(f"{member.name} = {entries}")
        return entries

    def _need(self, n_bits: int | str) -> None:
        """Have so many bits in the window, or give up."""
        self._look_ahead(n_bits, f"if __n < {n_bits}: return None")

    def _look_ahead(self, n_bits: int | str, *then: str) -> None:
        """Have so many bits in the window where the unit has them."""
        more = f"__w, __n, __at = __more(__view, __at, __n, __end, {n_bits})"
        self._say(f"if __n < {n_bits}:", *(f" {line}" for line in (more, *then)))

    def _read(self, element: Element, name: str) -> None:
        if isinstance(element, u | i):
            size = element.n_bits
            self._say(f"__size = {size.text if isinstance(size, Expression) else size}")
            self._need("__size")
            self._say("__n -= __size", f"{name} = __w >> __n & (1 << __size) - 1")
            if isinstance(element, i):
                self._say(f"{name} = ({name} ^ (1 << __size >> 1)) - (1 << __size >> 1)")
        elif isinstance(element, ue):
            order = element.order
            self._read_exp_golomb(
                order.text if isinstance(order, Expression) else order, element.maximum, name
            )
        elif isinstance(element, ie):
            self._read_exp_golomb(element.order, _LARGEST, name)
            self._say(f"{name} = ({name} + 1) >> 1 if {name} & 1 else -({name} >> 1)")
        elif isinstance(element, st):
            self._read_text(name)
        elif isinstance(element, byte_alignment):
            self._say("__size = __n & 7 or 8")
            self._need("__size")
            self._say("__n -= __size", f"{name} = __w >> __n & (1 << __size) - 1")
            self._say(f"if {name} != 1 << (__size - 1): return None")
        elif isinstance(element, bs):
            self._say(
                "if __n & 7: return None",
                f"{name} = __view[__at - (__n >> 3) : __end]",
                "__at = __end; __n = 0",
            )
        else:
            self._say(f"{name} = 0", "return None")

    def _read_exp_golomb(self, order: int | str, maximum: int, name: str) -> None:
        # See BitReader.read_exp_golomb. Here __size is what follows the zeros; beyond 32 bits the value may be too large.
        self._look_ahead(_LONGEST_CODE)
        self._say("__zeros = __n - (__w & (1 << __n) - 1).bit_length()", f"__size = __zeros + ({order}) + 1")
        self._say("__n -= __zeros + __size", "if __n < 0 or __size > 32: return None")
        self._say(f"{name} = (__w >> __n & (1 << __size) - 1) - (1 << ({order}))")
        if maximum < _LARGEST:
            self._say(f"if {name} > {maximum}: return None")

    def _read_text(self, name: str) -> None:
        self._say("if __n & 7: return None", "__start = __at - (__n >> 3)")
        self._say(f"__piece = bytes(__view[__start : min(__start + {_NAME_WINDOW}, __end)])")
        self._say("__size = __piece.find(0)", "if __size < 0: return None")
        self._say(
            "__limit = __limits.max_name_bytes", "if __limit is not None and __size > __limit: return None"
        )
        self._say(f"{name} = __piece[:__size].decode()", "__at = __start + __size + 1; __n = 0")

    def _check(self, element: Element, name: str) -> None:
        wrong = []
        if element.allowed is not None:
            wrong.append(f"{name} not in {self._new(element.allowed)}")
        if element.rule is not None:
            wrong.append(f"not ({element.rule.text})")
        if element.limit is not None:
            wrong.append(f"__limits.{element.limit} is not None and {name} > __limits.{element.limit}")
        if name in self._known:
            wrong.append(f"{name} != {self._known[name]}")
        for condition in wrong:
            self._say(f"if {condition}: return None")


def _is_fixed_size(member: Any) -> bool:
    return isinstance(member, u | i) and isinstance(member.n_bits, int)
