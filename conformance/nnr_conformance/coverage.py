# SPDX-License-Identifier: Apache-2.0
"""Coverage: what the vectors exercise, counted by whoever generates them and stored beside the suites."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nnr_conformance.record import item, load_record
from nnr_conformance.suite import Suite


@dataclass(frozen=True, kw_only=True)
class CoverageItem:
    """One thing that can be covered."""

    id: str = item("What: `cabac_unary_length_minus1=0`, `context[17].bin1`.", pattern=r"\S")
    covered_by: tuple[str, ...] = item("Ids of the vectors that reach it; a few are enough.", default=())
    count: int | None = item("How often they reach it in all.", default=None, minimum=0)
    reachable: bool = item("Whether any stream can reach it.", default=True)
    reason: str = item("Why it is not reachable, or not covered.", default="")


@dataclass(frozen=True, kw_only=True)
class CoverageGroup:
    """Things of one kind."""

    name: str = item(
        "Name: syntax-elements, grammar-branches, contexts, initialisations, escapes.", pattern=r"\S"
    )
    title: str = item("One line.", default="")
    items: tuple[CoverageItem, ...] = item("The things.", min_items=1)

    @property
    def n_reachable(self) -> int:
        """How many can be reached."""
        return sum(part.reachable for part in self.items)

    @property
    def n_covered(self) -> int:
        """How many of those are."""
        return sum(part.reachable and bool(part.covered_by) for part in self.items)

    @property
    def percent(self) -> float:
        """Covered of what is reachable."""
        return 100.0 * self.n_covered / self.n_reachable if self.n_reachable else 100.0


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """All groups, and the suites in which they were counted."""

    format: Literal["nnr-conformance-coverage/1"] = item("The format of this file.")
    suites: dict[str, str] = item("SHA-256 of each suite's manifest when it was counted.")
    tool: str = item("The program that counted.", default="")
    groups: tuple[CoverageGroup, ...] = item("The groups.", min_items=1)

    def faults(self, suites: Sequence[Suite]) -> list[str]:
        """What makes the counts worthless: other suites, unknown vectors, excuses without a reason."""
        faults = []
        present = {suite.name: suite.manifest_sha256() for suite in suites}
        for name, sha256 in self.suites.items():
            if present.get(name) != sha256:
                faults.append(
                    f"suite {name} has changed since it was counted"
                    if name in present
                    else f"no suite {name}"
                )
        ids: Collection[str] = {vector.id for suite in suites for vector in suite.manifest.vectors}
        for group in self.groups:
            for part in group.items:
                unknown = [vector for vector in part.covered_by if vector not in ids]
                if unknown:
                    faults.append(f"{group.name}: {part.id} is covered by {unknown[0]}, which does not exist")
                if not part.reachable and not part.reason:
                    faults.append(f"{group.name}: {part.id} is not reachable, but no reason is given")
                if not part.reachable and part.covered_by:
                    faults.append(
                        f"{group.name}: {part.id} is not reachable, but {part.covered_by[0]} reaches it"
                    )
        return faults


def load_coverage(path: Path) -> Coverage:
    """Read ``conformance/coverage.json``."""
    return load_record(Coverage, path)


def render_coverage(coverage: Coverage, *, missing: bool = False) -> str:
    """A line for each group; with ``missing``, what it lacks."""
    width = max(len(group.name) for group in coverage.groups)
    lines = []
    for group in coverage.groups:
        out = len(group.items) - group.n_reachable
        beyond = f", {out} not reachable" if out else ""
        lines.append(
            f"{group.name:{width}}  {group.percent:6.2f} %  {group.n_covered}/{group.n_reachable}{beyond}"
        )
        if missing:
            for part in group.items:
                if not part.covered_by:
                    state = "not reachable" if not part.reachable else "not covered"
                    lines.append(
                        f"{'':{width}}  {part.id}: {state}{f' ({part.reason})' if part.reason else ''}"
                    )
    return "\n".join(lines) + "\n"
