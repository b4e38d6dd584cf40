# SPDX-License-Identifier: Apache-2.0
"""Coverage of the format by the vectors; counted by the generators and stored beside the suites."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nnr_conformance.json_schema import json_field, load_json
from nnr_conformance.suite import Suite


@dataclass(frozen=True, kw_only=True)
class CoverageItem:
    """One coverable item."""

    id: str = json_field(
        "Name of the item: `cabac_unary_length_minus1=0`, `context[17].bin1`.", pattern=r"\S"
    )
    covered_by: tuple[str, ...] = json_field("Ids of some of the vectors that reach the item.", default=())
    count: int | None = json_field(
        "Number of times that all vectors together reach the item.", default=None, minimum=0
    )
    reachable: bool = json_field("False if no stream can reach the item.", default=True)
    reason: str = json_field("Reason for an item that is not reachable or not covered.", default="")


@dataclass(frozen=True, kw_only=True)
class CoverageGroup:
    """Coverable items of one kind."""

    name: str = json_field(
        "Name: syntax-elements, grammar-branches, contexts, initialisations, escapes.", pattern=r"\S"
    )
    title: str = json_field("One-line title.", default="")
    items: tuple[CoverageItem, ...] = json_field("Items of the group.", min_items=1)

    @property
    def n_reachable(self) -> int:
        """Number of reachable items."""
        return sum(part.reachable for part in self.items)

    @property
    def n_covered(self) -> int:
        """Number of reachable items that are covered."""
        return sum(part.reachable and bool(part.covered_by) for part in self.items)

    @property
    def percent(self) -> float:
        """Share of the reachable items that is covered, in percent."""
        return 100.0 * self.n_covered / self.n_reachable if self.n_reachable else 100.0


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Coverage counts with the suites that they belong to."""

    format: Literal["nnr-conformance-coverage/1"] = json_field("Name and version of the file format.")
    suites: dict[str, str] = json_field("SHA-256 of the manifest of every suite at the time of counting.")
    tool: str = json_field("Program that counted.", default="")
    groups: tuple[CoverageGroup, ...] = json_field("Groups of items.", min_items=1)

    def faults(self, suites: Sequence[Suite]) -> list[str]:
        """Faults that invalidate the counts: changed suites, unknown vectors, unreachable items without a reason."""
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
    """Read a coverage file."""
    return load_json(Coverage, path)


def render_coverage(coverage: Coverage, *, missing: bool = False) -> str:
    """One line per group; with ``missing``, also its uncovered items."""
    width = max(len(group.name) for group in coverage.groups)
    lines = []
    for group in coverage.groups:
        n_unreachable = len(group.items) - group.n_reachable
        suffix = f", {n_unreachable} not reachable" if n_unreachable else ""
        lines.append(
            f"{group.name:{width}}  {group.percent:6.2f} %  {group.n_covered}/{group.n_reachable}{suffix}"
        )
        if missing:
            for part in group.items:
                if not part.covered_by:
                    state = "not reachable" if not part.reachable else "not covered"
                    lines.append(
                        f"{'':{width}}  {part.id}: {state}{f' ({part.reason})' if part.reason else ''}"
                    )
    return "\n".join(lines) + "\n"
