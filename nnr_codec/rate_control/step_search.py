# SPDX-License-Identifier: Apache-2.0
"""Search of step sizes and lambda for the smallest stream within a score limit."""

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
from nnr_codec.rate_control.search_report import Journal, Point, SearchReport, Settings, groups_by_size
from nnr_codec.rate_control.settings_coder import SettingsCoder

#: Returns the score of decoded tensors.
Evaluate = Callable[[dict[str, NDArray[Any]]], float]
#: Receives each point with the report so far.
OnPoint = Callable[[Point, SearchReport], None]

# The scale moves by octaves until a point fails; then bisection halves the interval down to _FINEST_MOVE octaves.
_FINEST_MOVE = 1 / 8
_FIRST_MOVE = 1.0
_SCALE_RANGE = (-8.0, 8.0)
# Octaves that a probe adds to the steps of one group. The gentle probe follows if the default probe loses more than
# _EXCESSIVE_LOSS times the allowed loss, the strong probe if it loses less than _NEGLIGIBLE_LOSS times.
_PROBE, _GENTLE_PROBE, _STRONG_PROBE = 1.0, 0.5, 2.0
_EXCESSIVE_LOSS, _NEGLIGIBLE_LOSS = 4.0, 0.1
# Sensitivities below this fraction of the allowed loss are too small to measure.
_SENSITIVITY_FLOOR = 0.02
# Largest shift of a group's steps against the mean, in octaves.
_MAX_SHIFT = 2.5
# Lambda scales in the order of the search, above and below the default.
_LAMBDA_SCALES = ((1.5, 2.5, 4.0, 6.0), (0.7,))


class StepSearch:
    """State of one search: the points so far, the journal and the remaining evaluations.

    Parameters
    ----------
    tensors, evaluate, importance, config, journal, max_evaluations, on_point, source
        As in `nnr_codec.compress_to_quality`.

    Raises
    ------
    ValueError
        The journal belongs to another model.
    """

    def __init__(
        self,
        tensors: Mapping[str, ArrayLike],
        evaluate: Evaluate,
        importance: Mapping[str, Importance] | None,
        config: EncoderConfig,
        journal: str | os.PathLike[str] | None,
        max_evaluations: int,
        on_point: OnPoint | None,
        source: Mapping[str, Any],
    ) -> None:
        self.coder = SettingsCoder(tensors, importance or {}, config, source)
        self._evaluate, self._on_point = evaluate, on_point
        self._remaining = max_evaluations
        self._journal = Journal(journal, self.coder.fingerprint())
        self.report = SearchReport(0.0, 0.0)

    def run(self, max_drop: float, relative: bool, higher_is_better: bool, max_groups: int) -> SearchReport:
        """Search the scale of steps, then the steps of groups, then lambda."""
        reference = self._reference_score()
        drop = abs(reference) * max_drop if relative else max_drop
        limit = reference - drop if higher_is_better else reference + drop
        tensors = self.coder.tensors
        sizes = [
            (name, tensors[name].size) for name in self.coder.base_steps if not is_vector(tensors[name].shape)
        ]
        self.coder.groups = groups_by_size(sizes, max_groups)
        self.report = SearchReport(reference, limit, higher_is_better, groups=self.coder.groups)
        settings = self._largest_step(Settings(0.0), "step")
        if settings is not None and len(self.report.groups) > 1:
            ratios = self._allocation(settings, drop)
            if ratios is not None:
                settings = self._largest_step(replace(settings, ratios=ratios), "allocation") or settings
        if settings is not None:
            for lambda_scales in _LAMBDA_SCALES:
                # Move away from the default as long as streams get smaller.
                for lambda_scale in lambda_scales:
                    if not self._is_lambda_better(lambda_scale):
                        break
        passing = self._passing()
        smallest = min(passing, key=lambda point: point.size_bytes) if passing else None
        return replace(self.report, chosen=smallest)

    def _passing(self) -> list[Point]:
        return [point for point in self.report.points if self.report.passes(point.score)]

    def _smallest(self) -> Point:
        return min(self._passing(), key=lambda point: point.size_bytes)

    def _is_lambda_better(self, lambda_scale: float) -> bool:
        """Search the step again with another lambda; return True if that gives the smallest stream so far."""
        smallest = self._smallest()
        # At the same step a larger lambda causes more error: about half an octave per doubling.
        scale = smallest.settings.scale - math.log2(lambda_scale / smallest.settings.lambda_scale) / 2
        settings = replace(smallest.settings, scale=scale, lambda_scale=lambda_scale)
        self._largest_step(settings, "lambda", first_move=0.25)
        return self._smallest().size_bytes < smallest.size_bytes

    def _reference_score(self) -> float:
        entry = self._journal.find("reference")
        if entry is None:
            self._journal.note("reference", score=float(self._evaluate(dict(self.coder.tensors))))
            entry = self._journal.find("reference") or {}
        return float(entry["score"])

    def _try(self, settings: Settings, purpose: str) -> Point | None:
        """Encode, decode and evaluate; None if no evaluations remain."""
        for point in self.report.points:
            if point.settings.key() == settings.key():
                return point
        entry = self._journal.find(settings.key())
        if entry is None:
            if self._remaining <= 0:
                return None
            size, decoded = self.coder.decoded(settings)
            self._journal.note(
                settings.key(), size_bytes=size, score=float(self._evaluate(decoded)), purpose=purpose
            )
            entry = self._journal.find(settings.key()) or {}
        self._remaining -= 1
        point = Point(settings, int(entry["size_bytes"]), float(entry["score"]), purpose)
        self.report.points.append(point)
        if self._on_point is not None:
            self._on_point(point, self.report)
        return point

    def _largest_step(
        self, start: Settings, purpose: str, first_move: float = _FIRST_MOVE
    ) -> Settings | None:
        """Return `start` with the largest scale that passes, or None if none passes."""
        scale, move, passing, failing = start.scale, first_move, None, None
        while True:
            point = self._try(replace(start, scale=scale), purpose)
            if point is None:
                break
            if self.report.passes(point.score):
                passing = scale
            else:
                failing = scale
            if passing is not None and failing is not None:
                if failing - passing <= _FINEST_MOVE:
                    break
                scale = (passing + failing) / 2
            else:
                scale += move if passing is not None else -move
                move *= 1.5 if passing is None else 1
                if not _SCALE_RANGE[0] <= scale <= _SCALE_RANGE[1]:
                    break
        return None if passing is None else replace(start, scale=passing)

    def _allocation(self, settings: Settings, drop: float) -> tuple[float, ...] | None:
        """Measure the sensitivity of each group, and return the ratios of steps with equal slopes.

        With the loss ``sum of c[g] * s[g]**2`` over the groups' relative steps s and the rate ``-sum of n[g] * log2(s[g])``,
        the loss at a rate is least if ``s[g]**2`` is proportional to ``n[g] / c[g]``.
        """
        groups = self.report.groups
        reference = self._try(settings, "step")
        if reference is None or self._remaining < len(groups) + 2:
            return None
        sensitivities = []
        for index in range(len(groups)):
            probe = _PROBE
            loss = self._probe_loss(settings, reference, index, probe)
            if (
                loss is not None
                and not _NEGLIGIBLE_LOSS * drop <= loss <= _EXCESSIVE_LOSS * drop
                and self._remaining > len(groups) - index
            ):
                probe = _GENTLE_PROBE if loss > drop else _STRONG_PROBE
                loss = self._probe_loss(settings, reference, index, probe)
            if loss is None:
                return None
            sensitivities.append(loss / (4.0**probe - 1))
        self.report.sensitivities.extend(sensitivities)
        tensors = self.coder.tensors
        sizes = np.array([sum(tensors[name].size for name in group) for group in groups], np.float64)
        floor = _SENSITIVITY_FLOOR * max(drop, 1e-12) * sizes / sizes.sum()
        per_weight = np.maximum(np.array(sensitivities), floor) / sizes
        shifts = -0.5 * np.log2(per_weight)
        shifts -= float(np.average(shifts, weights=sizes))
        return tuple(round(float(s), 3) for s in np.clip(shifts, -_MAX_SHIFT, _MAX_SHIFT))

    def _probe_loss(self, settings: Settings, reference: Point, index: int, probe: float) -> float | None:
        """Return the score lost by steps of one group that are larger by `probe` octaves."""
        groups = self.report.groups
        ratios = tuple(probe if other == index else 0.0 for other in range(len(groups)))
        purpose = f"sensitivity of {groups[index][0]}" + (" ..." if len(groups[index]) > 1 else "")
        point = self._try(replace(settings, ratios=ratios), purpose)
        if point is None:
            return None
        loss = reference.score - point.score
        return loss if self.report.higher_is_better else -loss
