# SPDX-License-Identifier: Apache-2.0
"""Search of the smallest stream for a divergence of outputs, or of the least divergence for a size.

The divergence is nearly quadratic in the errors of weights, so that few measurements suffice. The search has three stages: one
scale of all steps; the divergence that each group of tensors causes alone, and the ratios of steps that follow from it; the
scale again.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.importance import Importance
from nnr_codec.codec.encode.quantize.tensor_roles import is_vector
from nnr_codec.errors import NotEncodable
from nnr_codec.rate_control.search_report import Journal, Point, SearchReport, Settings, groups_by_size
from nnr_codec.rate_control.settings_coder import SettingsCoder
from nnr_codec.rate_control.step_search import OnPoint

#: Returns the divergence of the model with these tensors instead of its own, which may be some of them.
Diverge = Callable[[Mapping[str, NDArray[Any]]], float]

_SCALE_RANGE = (-8.0, 6.0)
# Encodings per search of the scale, and the deviation from the target that ends it, in log2.
_MAX_ENCODINGS = 10
_TOLERANCE = {"divergence": 0.06, "size": 0.004}
# Initial slopes of log2 of the measure by log2 of the step.
_SLOPES = {"divergence": 2.0, "size": -0.35}
# Largest shift of a group's steps against the mean, in octaves.
_MAX_SHIFT = 3.0


def compress_to_divergence(
    tensors: Mapping[str, ArrayLike],
    diverge: Diverge,
    *,
    divergence: float | None = None,
    size_bytes: float | None = None,
    importance: Mapping[str, Importance] | None = None,
    config: EncoderConfig | None = None,
    journal: str | os.PathLike[str] | None = None,
    max_groups: int = 64,
    on_point: OnPoint | None = None,
    **source: Any,
) -> tuple[bytes, SearchReport]:
    """Encode a model to a divergence of its outputs, or to a size.

    Parameters
    ----------
    tensors : mapping of str to array
        All are held in memory.
    diverge : callable
        Takes a mapping of name to array, which replaces some of the model's tensors or all, and returns the divergence of its
        outputs from the original's; 0 for the original tensors.
    divergence : float, optional
        Largest divergence.
    size_bytes : float, optional
        Largest size of the stream. Exactly one of `divergence` and `size_bytes` is required.
    importance : mapping of str to float, array or Curvature, optional
        Weights of errors within each tensor; their scales between tensors do not matter much, because the divergence of each
        group is measured.
    config : EncoderConfig, optional
        Configuration without steps.
    journal : path-like, optional
        File of measured points. A search with the same journal continues from it.
    max_groups : int
        Largest number of groups whose divergence is measured.
    on_point : callable of (Point, SearchReport), optional
        Called after each point.
    **source
        ``kind``, ``metadata`` and the other arguments of `encode` that describe the source.

    Returns
    -------
    bytes
    SearchReport
        The score is the divergence.

    Raises
    ------
    NotEncodable
        The target is out of reach.
    ValueError
        Not exactly one target, or one that is not positive; or the journal belongs to another model.
    """
    targets = {"divergence": divergence, "size": size_bytes}
    requested = [(kind, value) for kind, value in targets.items() if value is not None]
    if len(requested) != 1 or not 0 < requested[0][1] < math.inf:
        raise ValueError("exactly one target of divergence and size_bytes is required, positive and finite")
    search = _Search(tensors, diverge, importance or {}, config or EncoderConfig(), journal, on_point, source)
    return search.run(*requested[0], max_groups=max_groups)


class _Search:
    """State of one search."""

    def __init__(
        self,
        tensors: Mapping[str, ArrayLike],
        diverge: Diverge,
        importance: Mapping[str, Importance],
        config: EncoderConfig,
        journal: str | os.PathLike[str] | None,
        on_point: OnPoint | None,
        source: Mapping[str, Any],
    ) -> None:
        self._coder = SettingsCoder(tensors, importance, config, source)
        self._diverge, self._on_point = diverge, on_point
        self._journal = Journal(journal, self._coder.fingerprint())
        # Bytes of the stream besides the coded tensors: source description, graph, attachments.
        self._report = SearchReport(0.0, math.inf, higher_is_better=False)

    def run(self, kind: str, target: float, max_groups: int) -> tuple[bytes, SearchReport]:
        """Search the scale, the ratios and the scale again, and encode."""
        self._coder.groups = step_groups(self._coder, max_groups)
        limit = target if kind == "divergence" else math.inf
        self._report = SearchReport(0.0, limit, higher_is_better=False, groups=self._coder.groups)
        if kind == "size":
            target = max(target - self._overhead(), 1.0)
        settings = self._scaled(Settings(0.0), kind, target, "step")
        if len(self._coder.groups) > 1:
            ratios, divergences = measure_ratios(self._coder, self._diverge, settings, self._journal)
            self._report.sensitivities.extend(divergences)
            settings = self._scaled(replace(settings, ratios=ratios), kind, target, "allocation")
        chosen = self._chosen(kind, target)
        stream = self._coder.encode(chosen.settings)
        self._report.points.sort(key=lambda point: point.size_bytes)
        return stream, replace(self._report, chosen=replace(chosen, size_bytes=len(stream)))

    def _overhead(self) -> int:
        """Return the bytes of the whole stream that `SettingsCoder.decoded` does not count."""
        finest = Settings(_SCALE_RANGE[1])
        return len(self._coder.encode(finest)) - self._coder.decoded(finest)[0]

    def _chosen(self, kind: str, target: float) -> Point:
        def measure(point: Point) -> float:
            return point.score if kind == "divergence" else point.size_bytes

        slack = 2.0 ** _TOLERANCE[kind]
        passing = [point for point in self._report.points if measure(point) <= target * slack]
        if not passing:
            unit = "divergence" if kind == "divergence" else "bytes"
            nearest = min(measure(point) for point in self._report.points)
            raise NotEncodable(f"the target is out of reach: the nearest is {nearest:g} {unit}")
        if kind == "divergence":
            return min(passing, key=lambda point: point.size_bytes)
        return min(passing, key=lambda point: point.score)

    def _scaled(self, start: Settings, kind: str, target: float, purpose: str) -> Settings:
        """Return `start` with the scale at which the measure meets the target."""
        goal, slope, scale = math.log2(target), _SLOPES[kind], start.scale
        below: tuple[float, float] | None = (
            None  # scale and measure of the points nearest to the target on either side
        )
        above: tuple[float, float] | None = None
        previous: tuple[float, float] | None = None
        nearest = (math.inf, scale)
        for _ in range(_MAX_ENCODINGS):
            point = self._try(replace(start, scale=scale), purpose)
            value = math.log2(max(point.score if kind == "divergence" else point.size_bytes, 1e-30))
            miss = value - goal
            nearest = min(nearest, (abs(miss), scale))
            if abs(miss) <= _TOLERANCE[kind]:
                break
            if previous is not None and abs(scale - previous[0]) > 1e-3:
                secant = (value - previous[1]) / (scale - previous[0])
                slope = min(max(secant / _SLOPES[kind], 0.3), 3.0) * _SLOPES[kind]
            previous = scale, value
            if (miss < 0) == (slope > 0):
                below = scale, value
            else:
                above = scale, value
            proposal = scale - miss / slope
            if below is not None and above is not None:
                margin = 0.1 * (above[0] - below[0])
                proposal = min(max(proposal, below[0] + margin), above[0] - margin)
                if abs(above[0] - below[0]) < 0.01:
                    break
            proposal = round(min(max(proposal, scale - 3.0), scale + 3.0), 3)
            proposal = min(max(proposal, _SCALE_RANGE[0]), _SCALE_RANGE[1])
            if proposal == scale:
                break
            scale = proposal
        return replace(start, scale=nearest[1])

    def _try(self, settings: Settings, purpose: str) -> Point:
        for point in self._report.points:
            if point.settings.key() == settings.key():
                return point
        entry = self._journal.find(settings.key())
        if entry is None:
            size, decoded = self._coder.decoded(settings)
            self._journal.note(
                settings.key(), size_bytes=size, score=float(self._diverge(decoded)), purpose=purpose
            )
            entry = self._journal.find(settings.key()) or {}
        point = Point(settings, int(entry["size_bytes"]), float(entry["score"]), purpose)
        self._report.points.append(point)
        if self._on_point is not None:
            self._on_point(point, self._report)
        return point


def step_groups(coder: SettingsCoder, max_groups: int) -> list[tuple[str, ...]]:
    """Return the groups of tensors that share a ratio of steps: matrices in order, by size, and all vectors.

    Parameters
    ----------
    coder : SettingsCoder
    max_groups : int
        Largest number of groups of matrices.
    """
    tensors = coder.tensors
    names = list(coder.base_steps)
    matrices = [(name, tensors[name].size) for name in names if not is_vector(tensors[name].shape)]
    vectors = tuple(name for name in names if is_vector(tensors[name].shape))
    return groups_by_size(matrices, max_groups) + ([vectors] if vectors else [])


def measure_ratios(
    coder: SettingsCoder, diverge: Diverge, settings: Settings, journal: Journal
) -> tuple[tuple[float, ...], list[float]]:
    """Measure the divergence that each group causes alone, and return the ratios of steps with equal slopes.

    With the divergence ``sum of c[g] * s[g]**2`` over the relative steps s of groups, and the rate ``-sum of n[g] * log2(s[g])``,
    the divergence at a rate is least if ``s[g]**2`` is proportional to ``n[g] / c[g]``.

    Parameters
    ----------
    coder : SettingsCoder
        With groups.
    diverge : callable
        As in `compress_to_divergence`.
    settings : Settings
        Settings at which the divergences are measured.
    journal : Journal
        Measured divergences.

    Returns
    -------
    ratios : tuple of float
        For `Settings.ratios`.
    divergences : list of float
    """
    decoded: Mapping[str, NDArray[Any]] | None = None
    divergences = []
    for index, group in enumerate(coder.groups):
        key = f"{settings.key()} {index}"
        entry = journal.find(key)
        if entry is None:
            decoded = decoded or coder.decoded(settings)[1]
            alone = diverge({name: decoded[name] for name in group})
            journal.note(key, divergence=float(alone))
            entry = journal.find(key) or {}
        divergences.append(float(entry["divergence"]))
    tensors = coder.tensors
    sizes = np.array([sum(tensors[name].size for name in group) for group in coder.groups], np.float64)
    floor = max(sum(d for d in divergences if math.isfinite(d)), 1e-30) * 1e-4 * sizes / sizes.sum()
    per_weight = np.maximum(np.nan_to_num(np.array(divergences), posinf=1e30), floor) / sizes
    shifts = -0.5 * np.log2(per_weight)
    shifts -= float(np.average(shifts, weights=sizes))
    return tuple(round(float(s), 3) for s in np.clip(shifts, -_MAX_SHIFT, _MAX_SHIFT)), divergences
