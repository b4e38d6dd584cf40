# SPDX-License-Identifier: Apache-2.0
"""The fast walk in the other direction: a table translated into one Python function that writes a unit's bits.

What it returns is what the walk over the table builds, strictly; on anything out of the ordinary it gives up, and that walk finds
out what is wrong. The tests compare the two.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

from nnr_codec.model.units import ByteString
from nnr_codec.syntax.descriptors import bs, byte_alignment, i, ie, st, u, ue
from nnr_codec.syntax.element import Element
from nnr_codec.syntax.expressions import Expression
from nnr_codec.syntax.grammar import Check, Repeat, Syntax, Tree
from nnr_codec.syntax.plain_walk import LARGEST, PlainTranslator
from nnr_codec.syntax.state import SyntaxState
from nnr_codec.syntax.unit import NNR_UNIT

#: Bits that may wait in one integer; in longer ones a shift costs more than a call.
_MOST_WAITING = 1024


class _Builder(Protocol):
    def __call__(
        self, tree: Tree, names: tuple[str, ...], count_names: int
    ) -> tuple[bytes, ByteString] | None: ...


def build_plainly(tree: Tree, kind: int, state: SyntaxState) -> tuple[bytes, ByteString] | None:
    """Build a unit of type `kind` from its syntax elements, its size among them.

    Returns
    -------
    (bytes, bytes-like) or None
        What precedes the unit's payload, and the payload, for elements without fault; None sends the caller to `build_tree`.
    """
    known = state.variables()
    names, count_names = known.pop("_reference_list"), known.pop("NumReferences")
    try:
        return _builder(nnr_unit_type=kind, **known)(tree, names, count_names)
    # Whatever is wrong, missing or of another type; only the other walk can tell.
    except (KeyError, NameError, TypeError, ValueError, AttributeError, OverflowError):
        return None


@cache
def _builder(**known: int) -> _Builder:
    """Translate the table of a unit."""
    translator = _BuilderTranslator(known)
    translator.say("__w = __n = 0", "__out = bytearray()", "__payload = b''")
    translator.say_known()
    translator.tree(NNR_UNIT, "__tree")
    translator.say("if __n & 7: return None")
    translator.flush()
    translator.say("return bytes(__out), __payload")
    function: _Builder = translator.compiled("def build(__tree, _reference_list, NumReferences):", NNR_UNIT)
    return function


class _BuilderTranslator(PlainTranslator):
    """In the function ``__w`` holds the last ``__n`` bits written, the whole bytes before them are in ``__out``."""

    def tree(self, table: Syntax, tree: str) -> None:
        """Write how a table with a tree of its own is built, all of whose keys must have a place."""
        self.say(f"{tree}_used = 0")
        self.table(table, tree)
        self.say(f"if len({tree}) != {tree}_used: return None")

    def flush(self) -> None:
        """Write that the whole bytes go out."""
        self.say("__out += (__w >> (__n & 7)).to_bytes(__n >> 3, 'big')", "__n &= 7", "__w &= (1 << __n) - 1")

    def run(self, members: list[u | i], tree: str) -> None:
        """Write how elements of fixed size are built: looked at apart, and then put together."""
        size = sum(member.min_bits for member in members)
        shift, text = size, [f"__w << {size}"]
        for member in members:
            name, n_bits = str(member.name), member.min_bits
            shift -= n_bits
            self._take(member, tree)
            low, high = (
                (-1 << n_bits >> 1, (1 << n_bits >> 1) - 1)
                if isinstance(member, i)
                else (0, (1 << n_bits) - 1)
            )
            self.say(f"if not {low} <= {name} <= {high}: return None")
            value = f"({name} & {(1 << n_bits) - 1})" if isinstance(member, i) else name
            text.append(f"{value} << {shift}" if shift else value)
        self.say(f"__w = {' | '.join(text)}", f"__n += {size}")

    def member(self, member: Any, tree: str) -> None:
        """Write how a member is taken out of the tree and built."""
        if isinstance(member, Syntax):
            subtree = self.new()
            self.say(f"{subtree} = {tree}[{member.key!r}]", f"{tree}_used += 1")
            self.tree(member, subtree)
        elif isinstance(member, Repeat):
            self._repeat(member, tree)
        elif isinstance(member, byte_alignment):
            self._align(member, tree)
        else:
            self._take(member, tree)
            self._write(member, str(member.name))

    def demand(self, check: Check) -> None:
        """Write nothing: see `Check.build_from`."""

    def _take(self, element: Element, tree: str) -> None:
        """Write that an element's value is taken out of the tree, and that it must be allowed."""
        name = str(element.name)
        if element.fixed:
            self.say(f"{tree}_used += {element.key!r} in {tree}")
            self.say(f"{name} = {tree}.get({element.key!r}, {element.values})")
        else:
            self.say(f"{name} = {tree}[{element.key!r}]", f"{tree}_used += 1")
        self.check(element, name)

    def _repeat(self, member: Repeat, tree: str) -> None:
        entries, entry, index = self.new(), self.new(), self.new()
        self.say(f"{entries} = {tree}[{member.key!r}]", f"{tree}_used += 1")
        self.say(
            f"if not isinstance({entries}, (list, tuple)) or len({entries}) != max(0, {member.count.text}): return None"
        )

        def build_entry() -> None:
            self.say(f"{index} += 1")
            if member.index is not None:
                self.say(f"{member.index} = {index}")
            if isinstance(member.subcon, Syntax):
                self.tree(member.subcon, entry)
            else:
                name = str(member.subcon.name)
                self.say(f"{name} = {entry}")
                self.check(member.subcon, name)
                self._write(member.subcon, name)
            self.loop(f"if __n > {_MOST_WAITING}:", self.flush)

        self.say(f"{index} = -1")
        self.loop(f"for {entry} in {entries}:", build_entry)
        self.say(f"{member.name} = {entries}")

    def _align(self, element: byte_alignment, tree: str) -> None:
        self.say("__size = 8 - (__n & 7)", f"{tree}_used += {element.key!r} in {tree}")
        self.say(f"if {tree}.get({element.key!r}, 1 << (__size - 1)) != 1 << (__size - 1): return None")
        self.say("__w = __w << __size | 1 << (__size - 1)", "__n += __size")

    def _write(self, element: Element, name: str) -> None:
        if isinstance(element, u | i):
            size = element.n_bits
            self.say(f"__size = {size.text if isinstance(size, Expression) else size}")
            if isinstance(element, i):
                self.say(f"if not -1 << __size >> 1 <= {name} < 1 << __size >> 1: return None")
                self.say(f"__w = __w << __size | {name} & (1 << __size) - 1")
            else:
                self.say(f"if not 0 <= {name} < 1 << __size: return None", f"__w = __w << __size | {name}")
            self.say("__n += __size")
        elif isinstance(element, ue):
            order = element.order
            self._write_exp_golomb(
                order.text if isinstance(order, Expression) else order, element.maximum, name
            )
        elif isinstance(element, ie):
            self.say(f"__folded = 2 * {name} - 1 if {name} > 0 else -2 * {name}")
            self._write_exp_golomb(element.order, LARGEST, "__folded")
        elif isinstance(element, st):
            self.say(f"__text = {name}.encode()", "if __n & 7 or 0 in __text: return None")
            self.flush()
            self.say("__out += __text", "__out.append(0)")
        elif isinstance(element, bs):
            self.say(
                f"if __n & 7 or not isinstance({name}, (bytes, memoryview)): return None",
                # Its length is to be that of its bytes; a view that skips some is refused.
                f"__payload = memoryview({name}).cast('B')",
            )
        else:
            self.say("return None")

    def _write_exp_golomb(self, order: int | str, maximum: int, name: str) -> None:
        # See BitWriter.write_exp_golomb.
        self.say(f"if not 0 <= {name} <= {maximum}: return None")
        self.say(
            f"__shifted = {name} + (1 << ({order}))", f"__size = 2 * __shifted.bit_length() - ({order}) - 1"
        )
        self.say("__w = __w << __size | __shifted", "__n += __size")
