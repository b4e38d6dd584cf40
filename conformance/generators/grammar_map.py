# SPDX-License-Identifier: Apache-2.0
"""Coverage of the grammar: syntax elements with classes of values, and branches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from nnr_codec.errors import NnrError
from nnr_codec.syntax import NNR_UNIT, SyntaxState, Trace, iter_unit_spans, parse_unit
from nnr_codec.syntax.descriptors import bs, byte_alignment, flt, i, ie, st, u, ue, unsupported
from nnr_codec.syntax.element import Element
from nnr_codec.syntax.grammar import Choice, IfPresent, Repeat, Syntax

Item = tuple[str, str]
"""Group and id of a coverage item."""

# Elements and branches of the grammar, from a walk over its declarations.


def walk_grammar() -> Iterator[tuple[str, Any]]:
    """Yield every element, condition, choice and repetition with the name of its table; shared tables once."""
    seen: set[int] = set()

    def walk(table: Syntax, name: str) -> Iterator[tuple[str, Any]]:
        if id(table.members) in seen:
            return
        seen.add(id(table.members))
        for member in table.members:
            yield name, member
            if isinstance(member, IfPresent):
                yield from walk(member.members, name)
                if member.otherwise is not None:
                    yield from walk(member.otherwise, name)
            elif isinstance(member, Choice):
                for case in (*member.cases.values(), member.default):
                    yield from walk(case, case.title or name)
            elif isinstance(member, Syntax):
                yield from walk(member, member.title or name)
            elif isinstance(member, Repeat):
                if isinstance(member.subcon, Syntax):
                    yield from walk(member.subcon, name)
                else:
                    yield name, member.subcon

    yield from walk(NNR_UNIT, "nnr_unit")


def classes_of(element: Element) -> dict[str, str]:
    """Classes of the values of an element, with the reason for an unreachable class."""
    if isinstance(element, byte_alignment):
        return {"whole-byte": "", "part-of-a-byte": ""}
    if isinstance(element, unsupported):
        return {"refused": ""}
    if isinstance(element, bs):
        return {"some": "", "empty": ""}
    if isinstance(element, st):
        return {"empty": "", "ascii": "", "beyond-ascii": ""}
    if isinstance(element, flt):
        return {"zero": "", "number": "", "not-finite": ""}
    if isinstance(element, i | ie):
        return {"negative": "", "zero": "", "positive": ""}
    if element.fixed:
        return {str(element.values): "", "refused": ""}
    if element.allowed is not None and len(element.allowed) <= 16:
        return {str(value): "" for value in sorted(element.allowed)}
    if isinstance(element, u) and element.n_bits == 1:
        return {"0": "", "1": ""}
    if isinstance(element, u | ue):
        largest = (
            isinstance(element, u)
            and not _is_count(element)
            and element.n_bits != 256
            and element.n_bits != 512
        )
        return {"zero": "", "other": ""} | ({"largest": ""} if largest else {})
    raise TypeError(type(element).__name__)


def class_of(element: Element, event: Any) -> str:
    """Class of the value of a traced element."""
    value = event.value
    if isinstance(element, byte_alignment):
        return "whole-byte" if event.n_bits == 8 else "part-of-a-byte"
    if isinstance(element, unsupported):
        return "refused"
    if isinstance(element, bs):
        return "some" if len(value) else "empty"
    if isinstance(element, st):
        return "empty" if not value else "ascii" if value.isascii() else "beyond-ascii"
    if isinstance(element, flt):
        if isinstance(value, bytes) or value != value or abs(value) == float("inf"):
            return "not-finite"
        return "number" if value else "zero"
    if isinstance(element, i | ie):
        return "negative" if value < 0 else "positive" if value else "zero"
    if element.fixed:
        return str(value) if value == element.values else "refused"
    if element.allowed is not None and len(element.allowed) <= 16:
        return str(value) if value in element.allowed else "refused"
    if isinstance(element, u) and element.n_bits == 1:
        return str(value)
    if value == 0:
        return "zero"
    if isinstance(element, u) and value == (1 << event.n_bits) - 1 and "largest" in classes_of(element):
        return "largest"
    return "other"


def _is_count(element: Element) -> bool:
    """True for counts, whose largest values need as many entries; the suite ``resource`` covers them."""
    return "count_" in (element.name or "")


_MAPPING_REFUSED = "several names outside a block are refused at their flag, invalid/data-unit/several-names-in-payload-type-0"
_NOT_REACHABLE = {
    "nnr_unit.nnr_unit_size=zero": "a unit has at least its own size field and type",
    "nnr_unit.nnr_unit_size=largest": "a unit of 2 GiB; its short form is in resource/units/size-2-31",
    "nnr_aggregate_unit_payload.nnr_aggregate_unit_body=empty": "an aggregate unit is refused, whatever it holds",
    "nnr_compressed_data_unit_header.topology_tensor_dimension_mapping=refused": _MAPPING_REFUSED,
    "nnr_compressed_data_unit_header: if (nnr_compressed_data_unit_payload_type != NNR_PT_BLOCK"
    " && nnr_multiple_topology_elements_present_flag == 1) -> true": _MAPPING_REFUSED,
}  # fmt: skip
_NO_LIST_OF_ONE = "a list of names has two or more"


class GrammarMap:
    """All elements and branches of the grammar, with ids."""

    def __init__(self) -> None:
        self.elements: dict[int, tuple[str, Element]] = {}
        self.by_name: dict[tuple[str, str], Element] = {}
        self.items: dict[Item, str] = {}
        self.branches: dict[int, str] = {}
        counts: Counter[str] = Counter()
        for table, member in walk_grammar():
            if isinstance(member, Element):
                name = f"{table}.{member.key or member.name}"
                self.by_name[table, member.key or member.name or ""] = member
                for value_class, reason in classes_of(member).items():
                    key = f"{name}={value_class}"
                    self.items["syntax-elements", key] = reason or _NOT_REACHABLE.get(key, "")
                self.elements[id(member)] = (name, member)
            elif isinstance(member, IfPresent | Choice | Repeat):
                text = str(
                    member.condition
                    if isinstance(member, IfPresent)
                    else member.selector
                    if isinstance(member, Choice)
                    else member.count
                )
                name = f"{table}: {'if' if isinstance(member, IfPresent) else 'switch' if isinstance(member, Choice) else 'for'} ({text})"
                counts[name] += 1
                if counts[name] > 1:
                    name += f" #{counts[name]}"
                self.branches[id(member)] = name
                for side in self.sides(member):
                    short = table.startswith("topology_elements_ids_list") and side in ("none", "one")
                    key = f"{name} -> {side}"
                    self.items["grammar-branches", key] = (
                        _NO_LIST_OF_ONE if short else _NOT_REACHABLE.get(key, "")
                    )

    @staticmethod
    def sides(member: Any) -> list[str]:
        """Outcomes of a branch."""
        if isinstance(member, IfPresent):
            return ["true", "false"]
        if isinstance(member, Choice):
            return [*(str(int(case)) for case in member.cases), "default"]
        return ["none", "one", "several"]


@contextmanager
def observed(grammar: GrammarMap, reached: Counter[Item]) -> Iterator[None]:
    """Count the branches and element values in all that is parsed."""
    kept = IfPresent.parse_into, Choice.choose, Repeat._parse
    from nnr_codec.syntax import element as element_module

    traced = element_module._traced

    def parse_into(self: IfPresent, tree: Any, stream: Any, context: Any, path: str) -> None:
        side = "true" if self.condition(context) else "false"
        if id(self) in grammar.branches:
            reached["grammar-branches", f"{grammar.branches[id(self)]} -> {side}"] += 1
        kept[0](self, tree, stream, context, path)

    def choose(self: Choice, scope: Any) -> Any:
        value = self.selector(scope)
        if id(self) in grammar.branches:
            side = str(int(value)) if value in self.cases else "default"
            reached["grammar-branches", f"{grammar.branches[id(self)]} -> {side}"] += 1
        return kept[1](self, scope)

    def parse(self: Repeat, stream: Any, context: Any, path: str) -> Any:
        entries = kept[2](self, stream, context, path)
        side = ("none", "one", "several")[min(2, len(entries))]
        reached["grammar-branches", f"{grammar.branches[id(self)]} -> {side}"] += 1
        return entries

    def note(element: Element, stream: Any, context: Any, path: str) -> Any:
        try:
            return traced(element, stream, context, path)
        finally:
            event = stream.trace[-1]
            named = grammar.elements.get(id(element))
            if (
                named is not None
                and event.path == path
                and (event.value is not None or isinstance(element, unsupported))
            ):
                reached["syntax-elements", f"{named[0]}={class_of(element, event)}"] += 1

    with (
        mock.patch.object(IfPresent, "parse_into", parse_into),
        mock.patch.object(Choice, "choose", choose),
        mock.patch.object(Repeat, "_parse", parse),
        mock.patch.object(element_module, "_traced", note),
    ):
        yield


def parse_leniently(stream: bytes) -> None:
    """Parse all units up to the first fault."""
    state, trace = SyntaxState(), Trace()
    try:
        for span in iter_unit_spans(stream):
            state = state.after(parse_unit(stream, span, state, trace))
    except NnrError:
        pass
