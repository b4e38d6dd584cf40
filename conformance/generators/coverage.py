# SPDX-License-Identifier: Apache-2.0
"""Coverage count: ``python -m conformance.generators.coverage`` writes ``conformance/coverage.json``.

Every stream is parsed with an observer on the branches of the grammar, and decoded with an observer on the bins of the
model. Rules below list the unreachable items, with reasons.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnr_conformance.coverage import Coverage, CoverageGroup, CoverageItem
from nnr_conformance.json_schema import save_json
from nnr_conformance.suite import Suite, find_suites

from conformance.generators.grammar_map import GrammarMap, Item, observed, parse_leniently
from spec.model import Session, StreamError
from spec.model import stream as model_stream
from spec.model.arithmetic import ArithmeticDecoder
from spec.model.contexts import ContextSet
from spec.model.tensor_data import TensorData

ROOT = Path(__file__).resolve().parents[2]

# Contexts, initialisations and escapes, observed in the model.

_GREATER_WITH_BASE = "a base that is not 0 has a magnitude of 1 or more"


def context_items() -> Iterator[tuple[Item, str]]:
    """Yield every context with both bins, for the longest unary part, and the reason if it is unreachable."""
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
    """Name of a context in `context_items`."""
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
    """List all items of contexts, initialisations, escapes, states and the LPS table."""
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
def observed_model(reached: Counter[Item]) -> Iterator[None]:
    """Count contexts, initialisations, escapes and states in all that the model decodes."""

    class Data(TensorData):
        engine: Any

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
                reached["escapes", f"prefix of {self.engine.ones} ones"] += 1
            return result

        def _coded_value(self, base: int, seen: bool) -> int:
            value = super()._coded_value(base, seen)
            if self.coding.dependent:
                reached["trellis", f"state {self.state}, {'odd' if value & 1 else 'even'}"] += 1
            return int(value)

    class Engine(ArithmeticDecoder):
        data: Any = None
        which = 0
        ones: Any = None

        def regular(self, context: Any) -> int:
            both = context.s1 + 16 * context.s0
            reached["lps-table", f"range row {(self.range >> 5) & 7}, column {abs(both >> 7)}"] += 1
            value = int(super().regular(context))
            name = name_of_context(context.index, self.data.contexts)
            reached["context-models", f"{name}.bin{value}"] += 1
            group = name.partition("[")[0]
            if group in CLASSES:
                reached["initialisations", f"{group}: {self.data.chosen[context.index]}"] += 1
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
    """Count the items that a vector reaches."""
    reached: Counter[Item] = Counter()
    with observed(grammar, reached):
        for stream in streams:
            parse_leniently(stream)
    with observed_model(reached):
        session = Session()
        try:
            for stream in streams:
                session.decode(stream)
        except StreamError:
            pass
    return reached


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
    """Count over all vectors but those of the suite ``resource``."""
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
                raise AssertionError(f"{key} is listed as unreachable, but {by[group, key][0]} reaches it")
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
        tool="conformance/generators/coverage.py",
        groups=tuple(groups),
    )


def main(arguments: list[str] | None = None) -> int:
    """Count and write the coverage file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--output", type=Path, default=ROOT / "conformance" / "coverage.json")
    options = parser.parse_args(arguments)
    save_json(count(find_suites()), options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
