# SPDX-License-Identifier: Apache-2.0
"""Settings, points, report and journal of a quality search."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Settings:
    """Encoder settings that a search varies.

    Attributes
    ----------
    scale : float
        Binary logarithm of all steps relative to the default steps.
    lambda_scale : float
        As in `EncoderConfig`.
    ratios : tuple of float
        Binary logarithm of the steps of each group relative to the mean; empty before sensitivities are measured.
    """

    scale: float
    lambda_scale: float = 1.0
    ratios: tuple[float, ...] = ()

    def key(self) -> str:
        """Return the key of the settings in a journal."""
        return json.dumps(
            [round(self.scale, 4), round(self.lambda_scale, 4), [round(r, 4) for r in self.ratios]]
        )


@dataclass(frozen=True)
class Point:
    """One evaluated encoding.

    Attributes
    ----------
    settings : Settings
    size_bytes : int
        Size of the stream.
    score : float
        Score of the decoded model.
    purpose : str
        Stage of the search: ``step``, ``allocation``, ``lambda``, or ``sensitivity of`` a group.
    """

    settings: Settings
    size_bytes: int
    score: float
    purpose: str


@dataclass(frozen=True)
class SearchReport:
    """Result of `compress_to_quality`.

    Attributes
    ----------
    reference_score : float
        Score of the original model.
    limit : float
        Worst score that passes.
    higher_is_better : bool
    points : list of Point
        In the order of the search.
    groups : list of tuple of str
        Names of the tensors that share a ratio, in the order of `Settings.ratios`.
    sensitivities : list of float
        Score lost per unit of squared relative error of a group; empty if not measured.
    best : Point or None
        Point with the smallest size that passes.
    """

    reference_score: float
    limit: float
    higher_is_better: bool = True
    points: list[Point] = field(default_factory=list)
    groups: list[tuple[str, ...]] = field(default_factory=list)
    sensitivities: list[float] = field(default_factory=list)
    best: Point | None = None

    def passes(self, score: float) -> bool:
        """Return True if a score is within the limit."""
        return score >= self.limit if self.higher_is_better else score <= self.limit

    def pareto(self) -> list[Point]:
        """Return the points on the Pareto front of size and score, smallest first."""
        sign = 1 if self.higher_is_better else -1
        front: list[Point] = []
        for point in sorted(self.points, key=lambda p: (p.size_bytes, -sign * p.score)):
            if not front or sign * point.score > sign * front[-1].score:
                front.append(point)
        return front

    def table(self) -> str:
        """Return the points as a text table, smallest first; ``*`` marks the Pareto front and ``<`` the best point."""
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
        """Plot size against score, and write the figure to a file.

        Raises
        ------
        ModuleNotFoundError
            matplotlib is not installed; ``pip install 'nnr_codec[plot]'`` installs it.
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
    """File of evaluated points, one line of JSON each, from which a search can be resumed.

    Parameters
    ----------
    path : path-like or None
        None keeps points in memory only.
    fingerprint : str
        Digest of the model and of all that determines the meaning of settings.

    Raises
    ------
    ValueError
        The file belongs to another model.
    """

    def __init__(self, path: str | os.PathLike[str] | None, fingerprint: str) -> None:
        self._path = None if path is None else Path(path)
        self._entries: dict[str, dict[str, Any]] = {}
        if self._path is None:
            return
        if self._path.exists():
            lines = list(self._lines())
            if not lines or lines[0].get("fingerprint") != fingerprint:
                raise ValueError(
                    f"{self._path} is the journal of another model or search: remove it, or use another file"
                )
            self._entries = {line["key"]: line for line in lines[1:]}
            if not self._path.read_text().endswith("\n"):
                # An interruption truncated the last line. End it, so that the next line is parsed on its own.
                with open(self._path, "a") as file:
                    file.write("\n")
        else:
            self._append({"fingerprint": fingerprint})

    def find(self, key: str) -> dict[str, Any] | None:
        """Return the entry of a key, or None."""
        return self._entries.get(key)

    def note(self, key: str, **values: Any) -> None:
        """Add an entry and write it immediately, so that an interruption loses at most one evaluation."""
        self._entries[key] = {"key": key, **values}
        self._append(self._entries[key])

    def _lines(self) -> Iterator[dict[str, Any]]:
        text_of_file = "" if self._path is None else self._path.read_text()
        for text in text_of_file.splitlines():
            try:
                yield json.loads(text)
            except ValueError:
                continue  # a line truncated by an interruption

    def _append(self, line: dict[str, Any]) -> None:
        if self._path is not None:
            with open(self._path, "a") as file:
                file.write(json.dumps(line) + "\n")


def groups_by_size(sizes: Sequence[tuple[str, int]], most: int) -> list[tuple[str, ...]]:
    """Divide names into at most `most` consecutive groups of similar total size.

    Examples
    --------
    >>> groups_by_size([("a", 5), ("b", 1), ("c", 1), ("d", 5)], 3)
    [('a',), ('b', 'c'), ('d',)]
    """
    if len(sizes) <= most:
        return [(name,) for name, _ in sizes]
    total = sum(size for _, size in sizes)
    groups: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes:
        # Close a group if the middle of the next tensor is beyond the group's share.
        if groups[-1] and len(groups) < most and filled + size / 2 > total * len(groups) / most:
            groups.append([])
        groups[-1].append(name)
        filled += size
    return [tuple(group) for group in groups]
