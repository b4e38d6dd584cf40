# SPDX-License-Identifier: Apache-2.0
"""The fast walk: a table translated into one Python function, for units in which nothing is wrong.

It keeps no paths, no trace and no positions but the current one, and reads runs of fixed-size elements out of one
integer. On anything out of the ordinary it gives up, and the walk that can tell what is wrong where takes its turn.
What it does return is what that walk returns: the tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from nnr_codec.errors import BitstreamError
from nnr_codec.model import Limits
from nnr_codec.syntax.descriptors import bs, byte_alignment, i, ie, st, u, ue
from nnr_codec.syntax.element import Element
from nnr_codec.syntax.expressions import Expression
from nnr_codec.syntax.grammar import Check, Repeat, Syntax, Tree
from nnr_codec.syntax.plain_walk import LARGEST, PlainTranslator
from nnr_codec.syntax.state import SyntaxState
from nnr_codec.syntax.unit import NNR_UNIT

#: How far ahead is looked, in bytes: most headers end within, and an integer of this size is handled quickly.
_WINDOW = 40
#: How much of the stream is searched for the end of a name.
_NAME_WINDOW = 256
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
    """Translate the table of a unit."""
    translator = _ParserTranslator(known)
    translator.say("__w = __n = 0", "__tree = {}")
    translator.say_known()
    translator.table(NNR_UNIT, "__tree")
    translator.say("return __tree if __at == __end and __n == 0 else None")
    head = "def parse(__view, __at, __end, __limits, _reference_list, NumReferences):"
    return translator.compiled(head, NNR_UNIT, __more=_more)


def _more(view: memoryview, at: int, n_bits: int, end: int, wanted: int) -> tuple[int, int, int]:
    """Return a window from the current position on: its bits, how many are unread, and the byte behind it."""
    first = at - ((n_bits + 7) >> 3)
    behind = min(first + max(_WINDOW, (wanted >> 3) + 2), end)
    return int.from_bytes(view[first:behind], "big"), n_bits + 8 * (behind - at), behind


class _ParserTranslator(PlainTranslator):
    """In the function ``__w`` is the window, of which ``__n`` bits are unread; byte ``__at`` follows it."""

    def run(self, members: list[u | i], tree: str) -> None:
        """Write how elements of fixed size are parsed: taken together, and then apart."""
        sizes = [member.min_bits for member in members]
        shift = sum(sizes)
        self._need(shift)
        self.say(f"__n -= {shift}", f"__bits = __w >> __n & {(1 << shift) - 1}")
        for member, size in zip(members, sizes, strict=True):
            name = str(member.name)
            shift -= size
            self.say(
                f"{name} = __bits >> {shift} & {(1 << size) - 1}" if len(members) > 1 else f"{name} = __bits"
            )
            if isinstance(member, i):
                self.say(f"{name} = ({name} ^ {1 << size >> 1}) - {1 << size >> 1}")
            self.check(member, name)
            self.say(f"{tree}[{member.key!r}] = {name}")

    def member(self, member: Any, tree: str) -> None:
        """Write how a member is parsed and put into the tree."""
        self.say(f"{tree}[{member.key!r}] = {self._value(member)}")

    def demand(self, check: Check) -> None:
        """Write that what a demand raises is raised."""
        self.say(f"{self.new(check.demand)}(locals())")

    def _value(self, member: Any) -> str:
        """Write how a member is parsed and return the name that holds its value."""
        if isinstance(member, Syntax):
            tree = self.new()
            self.say(f"{tree} = {{}}")
            self.table(member, tree)
            return tree
        if isinstance(member, Repeat):
            return self._repeat(member)
        name = str(member.name)
        self._read(member, name)
        self.check(member, name)
        return name

    def _repeat(self, member: Repeat) -> str:
        entries = self.new()
        self.say(f"{entries} = []", f"__count = {member.count.text}")
        self.say(f"if __count * {member.subcon.min_bits} > __n + 8 * (__end - __at): return None")
        self.loop(
            f"for {member.index or '__index'} in range(__count):",
            lambda: self.say(f"{entries}.append({self._value(member.subcon)})"),
        )
        self.say(f"{member.name} = {entries}")
        return entries

    def _need(self, n_bits: int | str) -> None:
        """Have so many bits in the window, or give up."""
        self._look_ahead(n_bits, f"if __n < {n_bits}: return None")

    def _look_ahead(self, n_bits: int | str, *then: str) -> None:
        """Have so many bits in the window where the unit has them."""
        more = f"__w, __n, __at = __more(__view, __at, __n, __end, {n_bits})"
        self.say(f"if __n < {n_bits}:", *(f" {line}" for line in (more, *then)))

    def _read(self, element: Element, name: str) -> None:
        if isinstance(element, u | i):
            size = element.n_bits
            self.say(f"__size = {size.text if isinstance(size, Expression) else size}")
            self._need("__size")
            self.say("__n -= __size", f"{name} = __w >> __n & (1 << __size) - 1")
            if isinstance(element, i):
                self.say(f"{name} = ({name} ^ (1 << __size >> 1)) - (1 << __size >> 1)")
        elif isinstance(element, ue):
            order = element.order
            self._read_exp_golomb(
                order.text if isinstance(order, Expression) else order, element.maximum, name
            )
        elif isinstance(element, ie):
            self._read_exp_golomb(element.order, LARGEST, name)
            self.say(f"{name} = ({name} + 1) >> 1 if {name} & 1 else -({name} >> 1)")
        elif isinstance(element, st):
            self._read_text(name)
        elif isinstance(element, byte_alignment):
            self.say("__size = __n & 7 or 8")
            self._need("__size")
            self.say("__n -= __size", f"{name} = __w >> __n & (1 << __size) - 1")
            self.say(f"if {name} != 1 << (__size - 1): return None")
        elif isinstance(element, bs):
            self.say(
                "if __n & 7: return None",
                f"{name} = __view[__at - (__n >> 3) : __end]",
                "__at = __end; __n = 0",
            )
        else:
            self.say(f"{name} = 0", "return None")

    def _read_exp_golomb(self, order: int | str, maximum: int, name: str) -> None:
        # See BitReader.read_exp_golomb. Here __size is what follows the zeros; beyond 32 bits the value may be too large.
        self._look_ahead(_LONGEST_CODE)
        self.say("__zeros = __n - (__w & (1 << __n) - 1).bit_length()", f"__size = __zeros + ({order}) + 1")
        self.say("__n -= __zeros + __size", "if __n < 0 or __size > 32: return None")
        self.say(f"{name} = (__w >> __n & (1 << __size) - 1) - (1 << ({order}))")
        if maximum < LARGEST:
            self.say(f"if {name} > {maximum}: return None")

    def _read_text(self, name: str) -> None:
        self.say("if __n & 7: return None", "__start = __at - (__n >> 3)")
        self.say(f"__piece = bytes(__view[__start : min(__start + {_NAME_WINDOW}, __end)])")
        self.say("__size = __piece.find(0)", "if __size < 0: return None")
        self.say(
            "__limit = __limits.max_name_bytes", "if __limit is not None and __size > __limit: return None"
        )
        self.say(f"{name} = __piece[:__size].decode()", "__at = __start + __size + 1; __n = 0")

    def check(self, element: Element, name: str) -> None:
        """Write that a value must be allowed, and within its limit."""
        super().check(element, name)
        if element.limit is not None:
            limit = f"__limits.{element.limit}"
            self.say(f"if {limit} is not None and {name} > {limit}: return None")
