# SPDX-License-Identifier: Apache-2.0
"""What a search for the smallest stream tried, and what came of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Settings:
    """One way to encode a model.

    Attributes
    ----------
    scale : float
        Binary logarithm of all steps, against those that the encoder's default error gives.
    lambda_scale : float
        As in `EncoderConfig`.
    ratios : tuple of float
        Binary logarithm of each group's steps, against the others'; empty before sensitivities are measured.
    """

    scale: float
    lambda_scale: float = 1.0
    ratios: tuple[float, ...] = ()

    def key(self) -> str:
        """Return what a journal knows these settings by."""
        return json.dumps(
            [round(self.scale, 4), round(self.lambda_scale, 4), [round(r, 4) for r in self.ratios]]
        )


@dataclass(frozen=True)
class Point:
    """Settings that were tried."""

    settings: Settings
    size_bytes: int
    score: float
    purpose: str


@dataclass(frozen=True)
class SearchReport:
    """All points of a search.

    Attributes
    ----------
    reference_score : float
        Of the model as it was.
    limit : float
        The worst score allowed.
    points : list of Point
        In the order they were tried.
    groups : list of (str, ...)
        Names of the tensors whose steps move together, in the order of `Settings.ratios`.
    sensitivities : list of float
        Score lost per group when its squared relative error grows by 1; empty when none was measured.
    best : Point or None
        The smallest within the limit.
    """

    reference_score: float
    limit: float
    higher_is_better: bool = True
    points: list[Point] = field(default_factory=list)
    groups: list[tuple[str, ...]] = field(default_factory=list)
    sensitivities: list[float] = field(default_factory=list)
    best: Point | None = None

    def passes(self, score: float) -> bool:
        """Tell whether a score is within the limit."""
        return score >= self.limit if self.higher_is_better else score <= self.limit

    def pareto(self) -> list[Point]:
        """Return the points that no other beats in both size and score, smallest first."""
        sign = 1 if self.higher_is_better else -1
        front: list[Point] = []
        for point in sorted(self.points, key=lambda p: (p.size_bytes, -sign * p.score)):
            if not front or sign * point.score > sign * front[-1].score:
                front.append(point)
        return front

    def table(self) -> str:
        """Return the points as text, smallest first; ``*`` marks the Pareto front, ``<`` the one chosen."""
        front = {id(point) for point in self.pareto()}
        lines = [f"{'bytes':>12}  {'score':>12}  {'lost':>10}  {'step':>6}  {'lambda':>6}     for"]
        for point in sorted(self.points, key=lambda p: p.size_bytes):
            marks = ("*" if id(point) in front else " ") + (
                "<" if self.best is not None and point.settings == self.best.settings else " "
            )
            lost = (
                self.reference_score - point.score
                if self.higher_is_better
                else point.score - self.reference_score
            )
            lines.append(
                f"{point.size_bytes:12d}  {point.score:12.6g}  {lost:10.4g}  {point.settings.scale:+6.2f}"
                f"  {point.settings.lambda_scale:6.2f}  {marks} {point.purpose}"
            )
        return "\n".join(lines)

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw size against score. Needs matplotlib.

        Raises
        ------
        ModuleNotFoundError
            Without matplotlib: ``pip install 'nnr_codec[plot]'``.
        """
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.5), layout="constrained")
        axes = figure.subplots()
        axes.plot(
            [p.size_bytes for p in self.points],
            [p.score for p in self.points],
            "o",
            color="0.7",
            label="tried",
        )
        front = self.pareto()
        axes.plot(
            [p.size_bytes for p in front], [p.score for p in front], "o-", color="C0", label="Pareto front"
        )
        if self.best is not None:
            axes.plot(
                [self.best.size_bytes], [self.best.score], "*", color="C3", markersize=14, label="chosen"
            )
        axes.axhline(self.limit, color="C3", linestyle=":", label="worst allowed")
        axes.axhline(self.reference_score, color="0.4", linestyle="--", label="original")
        axes.set_xlabel("bytes")
        axes.set_ylabel("score")
        axes.legend()
        figure.savefig(path)


class Journal:
    """A file of points that outlives a search, one line of JSON each.

    Parameters
    ----------
    path : path-like or None
        None remembers nothing.
    fingerprint : str
        Of the model and all that decides what settings mean.

    Raises
    ------
    ValueError
        The file belongs to another model.
    """

    def __init__(self, path: str | os.PathLike[str] | None, fingerprint: str) -> None:
        self._path = None if path is None else Path(path)
        self._known: dict[str, dict[str, Any]] = {}
        if self._path is None:
            return
        if self._path.exists():
            lines = list(self._lines())
            if not lines or lines[0].get("fingerprint") != fingerprint:
                raise ValueError(
                    f"{self._path} is the journal of another model or search: remove it, or name another"
                )
            self._known = {line["key"]: line for line in lines[1:]}
            if not self._path.read_text().endswith("\n"):
                # An interruption cut a line: the next must not be read as its rest.
                with open(self._path, "a") as file:
                    file.write("\n")
        else:
            self._append({"fingerprint": fingerprint})

    def find(self, key: str) -> dict[str, Any] | None:
        """Return what was noted under a key."""
        return self._known.get(key)

    def note(self, key: str, **values: Any) -> None:
        """Write a line at once, so that an interruption costs one evaluation at most."""
        self._known[key] = {"key": key, **values}
        self._append(self._known[key])

    def _lines(self) -> Iterator[dict[str, Any]]:
        text_of_file = "" if self._path is None else self._path.read_text()
        for text in text_of_file.splitlines():
            try:
                yield json.loads(text)
            except ValueError:
                continue  # the line an interruption cut

    def _append(self, line: dict[str, Any]) -> None:
        if self._path is not None:
            with open(self._path, "a") as file:
                file.write(json.dumps(line) + "\n")


def groups_by_size(sizes: Sequence[tuple[str, int]], most: int) -> list[tuple[str, ...]]:
    """Return names in order, cut into at most so many groups of about the same size.

    >>> groups_by_size([("a", 5), ("b", 1), ("c", 1), ("d", 5)], 3)
    [('a',), ('b', 'c'), ('d',)]
    """
    if len(sizes) <= most:
        return [(name,) for name, _ in sizes]
    total = sum(size for _, size in sizes)
    groups: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes:
        # Close a group where the middle of the next tensor lies beyond its share.
        if groups[-1] and len(groups) < most and filled + size / 2 > total * len(groups) / most:
            groups.append([])
        groups[-1].append(name)
        filled += size
    return [tuple(group) for group in groups]
