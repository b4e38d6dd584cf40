#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Count what the suites exercise: ``python tools/vectors/coverage.py`` writes ``conformance/coverage.json``.

Nothing is claimed: streams are parsed with the grammar's own choices watched, and decoded with the model's bins
watched. What no stream can reach is listed by rules below, each with its reason.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
for _folder in (ROOT, ROOT / "conformance"):
    sys.path.insert(0, str(_folder))

from nnr_conformance.coverage import Coverage, CoverageGroup, CoverageItem  # noqa: E402
from nnr_conformance.record import save_record  # noqa: E402
from nnr_conformance.suite import Suite, find_suites  # noqa: E402

from nnr_codec.errors import NnrError  # noqa: E402
from nnr_codec.syntax import NNR_UNIT, SyntaxState, Trace, iter_unit_spans, parse_unit  # noqa: E402
from nnr_codec.syntax.descriptors import bs, byte_alignment, flt, i, ie, st, u, ue, unsupported  # noqa: E402
from nnr_codec.syntax.element import Element  # noqa: E402
from nnr_codec.syntax.grammar import Choice, IfPresent, Repeat, Syntax  # noqa: E402
from spec.model import Session, StreamError  # noqa: E402
from spec.model import stream as model_stream  # noqa: E402
from spec.model.arithmetic import ArithmeticDecoder  # noqa: E402
from spec.model.contexts import ContextSet  # noqa: E402

Item = tuple[str, str]
"""A group and an id in it."""

_TYPES = ("NNR_STR", "NNR_MPS", "NNR_LPS", "NNR_TPL", "NNR_QNT", "NNR_NDU", "NNR_AGG")


# The grammar's elements and branches, by a walk over the declarations.


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
    """The classes of an element's values, each with the reason why it cannot be reached, or none."""
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
    if element._allowed is not None and len(element._allowed) <= 16:
        return {str(value): "" for value in sorted(element._allowed)}
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
    """The class of the value of a traced element."""
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
    if element._allowed is not None and len(element._allowed) <= 16:
        return str(value) if value in element._allowed else "refused"
    if isinstance(element, u) and element.n_bits == 1:
        return str(value)
    if value == 0:
        return "zero"
    if isinstance(element, u) and value == (1 << event.n_bits) - 1 and "largest" in classes_of(element):
        return "largest"
    return "other"


def _is_count(element: Element) -> bool:
    """Counts would need as many entries: their largest values are left to the suite of resources."""
    return "count_" in (element.name or "")


_NOT_REACHABLE = {
    "nnr_unit.nnr_unit_size=zero": "a unit has at least its own size field and type",
    "nnr_unit.nnr_unit_size=largest": "a unit of 2 GiB; its short form is in resource/units/size-2-31",
    "nnr_aggregate_unit_payload.nnr_aggregate_unit_body=empty": "an aggregate unit is refused whatever it holds",
}  # fmt: skip
_NO_LIST_OF_ONE = "a list of names has two or more"


class GrammarMap:
    """Every element and branch with its id."""

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
                    self.items["grammar-branches", f"{name} -> {side}"] = _NO_LIST_OF_ONE if short else ""

    @staticmethod
    def sides(member: Any) -> list[str]:
        """What can become of a branch."""
        if isinstance(member, IfPresent):
            return ["true", "false"]
        if isinstance(member, Choice):
            return [*(str(int(case)) for case in member.cases), "default"]
        return ["none", "one", "several"]


@contextmanager
def watched(grammar: GrammarMap, found: Counter[Item]) -> Iterator[None]:
    """Count the branches and element values of everything that is parsed."""
    kept = IfPresent.parse_into, Choice.choose, Repeat._parse
    from nnr_codec.syntax import element as element_module

    traced = element_module._traced

    def parse_into(self: IfPresent, tree: Any, stream: Any, context: Any, path: str) -> None:
        side = "true" if self.condition(context) else "false"
        if id(self) in grammar.branches:
            found["grammar-branches", f"{grammar.branches[id(self)]} -> {side}"] += 1
        kept[0](self, tree, stream, context, path)

    def choose(self: Choice, scope: Any) -> Any:
        value = self.selector(scope)
        if id(self) in grammar.branches:
            side = str(int(value)) if value in self.cases else "default"
            found["grammar-branches", f"{grammar.branches[id(self)]} -> {side}"] += 1
        return kept[1](self, scope)

    def parse(self: Repeat, stream: Any, context: Any, path: str) -> Any:
        entries = kept[2](self, stream, context, path)
        side = ("none", "one", "several")[min(2, len(entries))]
        found["grammar-branches", f"{grammar.branches[id(self)]} -> {side}"] += 1
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
                found["syntax-elements", f"{named[0]}={class_of(element, event)}"] += 1

    IfPresent.parse_into, Choice.choose, Repeat._parse = parse_into, choose, parse  # type: ignore[method-assign]
    element_module._traced = note
    try:
        yield
    finally:
        IfPresent.parse_into, Choice.choose, Repeat._parse = kept  # type: ignore[method-assign]
        element_module._traced = traced


def parse_watched(stream: bytes) -> None:
    """Parse every unit, up to the first fault."""
    state, trace = SyntaxState(), Trace()
    try:
        for span in iter_unit_spans(stream):
            state = state.after(parse_unit(stream, span, state, trace))
    except NnrError:
        pass


# Contexts, initialisations and escapes, by watching the model.

_GREATER_WITH_BASE = "a base that is not 0 has a magnitude of 1 or more"


def context_items() -> Iterator[tuple[Item, str]]:
    """Every context with both bins, for the longest unary part; and why some cannot be reached."""
    names: list[tuple[str, str]] = [(f"significance[{k}]", "") for k in range(24)]
    names += [(f"significance-base[{k}]", "") for k in range(16)]
    names += [(f"significance-history[{k}]", "") for k in range(8)]
    names += [(f"sign[{k}]", "") for k in range(3)] + [(f"sign-base[{k}]", "") for k in range(2)]
    for j in range(256):
        names += [(f"greater[{j}].positive", ""), (f"greater[{j}].negative", "")]
        names += [
            (f"greater-base[{j}].reached", ""),
            (f"greater-base[{j}].below", _GREATER_WITH_BASE if j < 2 else ""),
        ]
    names += [(f"prefix[{j}]", "") for j in range(31)]
    names += [("initialisation-flag", ""), ("row-skip", "")]
    for name, reason in names:
        for bin_value in (0, 1):
            yield ("context-models", f"{name}.bin{bin_value}"), reason


CLASSES = (
    "significance",
    "significance-base",
    "significance-history",
    "sign",
    "sign-base",
    "greater",
    "greater-base",
    "prefix",
)


def name_of_context(index: int, contexts: ContextSet) -> str:
    """The context's name in `context_items`."""
    if index < 24:
        return f"significance[{index}]"
    if index < 40:
        return f"significance-base[{index - 24}]"
    if index < 48:
        return f"significance-history[{index - 40}]"
    if index < 53:
        return f"sign[{index - 48}]" if index < 51 else f"sign-base[{index - 51}]"
    if index < contexts.greater_base:
        return f"greater[{(index - 53) >> 1}].{'negative' if (index - 53) & 1 else 'positive'}"
    if index < contexts.exp_golomb:
        at = index - contexts.greater_base
        return f"greater-base[{at >> 1}].{'below' if at & 1 else 'reached'}"
    if index < contexts.initialisation_flag:
        return f"prefix[{index - contexts.exp_golomb}]"
    return "initialisation-flag" if index == contexts.initialisation_flag else "row-skip"


def entropy_items() -> dict[Item, str]:
    """Everything about contexts, initialisations, escapes and states."""
    items = dict(context_items())
    for name in CLASSES:
        for which in range(9):
            items["initialisations", f"{name}: {which}"] = ""
    for k in range(32):
        items["escapes", f"prefix of {k} ones"] = ""
    for state in range(8):
        for parity in (0, 1):
            items["trellis", f"state {state}, {'odd' if parity else 'even'}"] = ""
    for row in range(8):
        for column in range(32):
            items["lps-table", f"range row {row}, column {column}"] = ""
    return items


@contextmanager
def watched_model(found: Counter[Item]) -> Iterator[None]:
    """Count contexts, initialisations, escapes and states of everything that the model decodes."""
    tensor_data: Any = model_stream.TensorData
    engine_class: Any = ArithmeticDecoder

    class Data(tensor_data):  # type: ignore[misc]
        def decode(self) -> Any:
            self.chosen: dict[int, int] = defaultdict(int)
            self.engine.data = self
            return super().decode()

        def _initialisation_parameter(self, index: int) -> None:
            self.engine.which = 0
            super()._initialisation_parameter(index)
            self.chosen[index] = self.engine.which

        def _magnitude(self, *arguments: Any) -> Any:
            self.engine.ones = None
            result = super()._magnitude(*arguments)
            if self.engine.ones is not None:
                found["escapes", f"prefix of {self.engine.ones} ones"] += 1
            return result

        def _coded_value(self, base: int, seen: bool) -> int:
            value = super()._coded_value(base, seen)
            if self.coding.dependent:
                found["trellis", f"state {self.state}, {'odd' if value & 1 else 'even'}"] += 1
            return int(value)

    class Engine(engine_class):  # type: ignore[misc]
        data: Any = None
        which = 0
        ones: Any = None

        def regular(self, context: Any) -> int:
            both = context.s1 + 16 * context.s0
            found["lps-table", f"range row {(self.range >> 5) & 7}, column {abs(both >> 7)}"] += 1
            value = int(super().regular(context))
            name = name_of_context(context.index, self.data.contexts)
            found["context-models", f"{name}.bin{value}"] += 1
            group = name.partition("[")[0]
            if group in CLASSES:
                found["initialisations", f"{group}: {self.data.chosen[context.index]}"] += 1
            if group == "prefix":
                self.ones = (self.ones or 0) + value
            return value

        def uae(self, count: int) -> int:
            value = int(super().uae(count))
            if self.element == "context_initialisation":
                self.which = value + 1
            return value

    names = vars(model_stream)
    kept = names["TensorData"], names["ArithmeticDecoder"]
    names["TensorData"], names["ArithmeticDecoder"] = Data, Engine
    try:
        yield
    finally:
        names["TensorData"], names["ArithmeticDecoder"] = kept


def reached_by(grammar: GrammarMap, streams: Sequence[bytes]) -> Counter[Item]:
    """Everything that a vector reaches."""
    found: Counter[Item] = Counter()
    with watched(grammar, found):
        for stream in streams:
            parse_watched(stream)
    with watched_model(found):
        session = Session()
        try:
            for stream in streams:
                session.decode(stream)
        except StreamError:
            pass
    return found


GROUPS = {
    "syntax-elements": "Every syntax element with each class of its values",
    "grammar-branches": "Both sides of every condition, every case of every switch, loops of none, one and several",
    "context-models": "Every context model with both bins",
    "initialisations": "All nine initialisations on each class of contexts, where a bin is then decoded",
    "escapes": "Every length of an escape's prefix",
    "trellis": "Every transition of dependent quantisation",
    "lps-table": "Every entry of the table of ranges that a range can select",
}
_KEPT = 3


def count(suites: Sequence[Suite], progress: Any = None) -> Coverage:
    """Count over all vectors of the suites but those that are too large to be read by hand."""
    grammar = GrammarMap()
    items = grammar.items | entropy_items()
    total: Counter[Item] = Counter()
    by: dict[Item, list[str]] = defaultdict(list)
    for suite in suites:
        for vector in suite.manifest.vectors:
            if suite.name == "resource":
                continue
            reached = reached_by(grammar, [suite.read(file) for file in vector.streams])
            for item, number in reached.items():
                total[item] += number
                if len(by[item]) < _KEPT:
                    by[item].append(vector.id)
            if progress is not None:
                progress(vector.id)
    groups = []
    for name, title in GROUPS.items():
        listed = []
        for (group, key), reason in items.items():
            if group != name:
                continue
            reached_ids = () if reason else tuple(by.get((group, key), ()))
            if reason and by.get((group, key)):
                raise AssertionError(f"{key} is said not to be reachable, and {by[group, key][0]} reaches it")
            listed.append(
                CoverageItem(
                    id=key,
                    covered_by=reached_ids,
                    count=None if reason else total[group, key],
                    reachable=not reason,
                    reason=reason,
                )
            )
        groups.append(CoverageGroup(name=name, title=title, items=tuple(listed)))
    return Coverage(
        format="nnr-conformance-coverage/1",
        suites={suite.name: suite.manifest_sha256() for suite in suites},
        tool="tools/vectors/coverage.py",
        groups=tuple(groups),
    )


def main(arguments: list[str] | None = None) -> int:
    """Write the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--output", type=Path, default=ROOT / "conformance" / "coverage.json")
    options = parser.parse_args(arguments)
    save_record(count(find_suites()), options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
