# SPDX-License-Identifier: Apache-2.0
"""The smallest stream that keeps a model as good as asked for, by the user's own measure."""

from __future__ import annotations

import glob
import hashlib
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnr_codec.codec.decode.decoder import decode
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.encoder import encode
from nnr_codec.codec.encode.importance import Importance, mean_worth
from nnr_codec.codec.encode.steps import nearest_qp
from nnr_codec.codec.encode.tensor_roles import is_vector
from nnr_codec.errors import NotEncodable
from nnr_codec.quant import DEPENDENT_MSE, UNIFORM_MSE
from nnr_codec.rate_control.allocation import shapes_only
from nnr_codec.rate_control.search_report import Journal, Point, SearchReport, Settings, groups_by_size

Evaluate = Callable[[dict[str, NDArray[Any]]], float]
OnPoint = Callable[[Point, SearchReport], None]

_DENSITY = 5
# The search moves steps by octaves until it fails, then halves the interval down to this.
_FINEST_MOVE = 1 / 8
_FIRST_MOVE = 1.0
_RANGE = (-8.0, 8.0)
# Steps of a group whose sensitivity is measured, in octaves above the others': less when that ruins the model, more when it
# does not show.
_PROBE, _GENTLE_PROBE, _STRONG_PROBE = 1.0, 0.5, 2.0
_RUIN, _NOTHING = 4.0, 0.1  # as multiples of the loss allowed
# Groups are moved this many octaves at most against each other.
_MOST_SHIFT = 2.5
_LAMBDAS = ((1.5, 2.5, 4.0, 6.0), (0.7,))


class _Search:
    def __init__(
        self, tensors: Mapping[str, ArrayLike], evaluate: Evaluate, importance: Mapping[str, Importance] | None,
        config: EncoderConfig, journal: str | os.PathLike[str] | None, max_evaluations: int, on_point: OnPoint | None,
        source: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self._tensors = {name: np.asarray(tensors[name]) for name in tensors}
        self._evaluate, self._config, self._on_point = evaluate, config, on_point
        self._importance = dict(importance or {})
        self._left, self._source = max_evaluations, source
        self._base = self._base_steps()
        self._journal = Journal(journal, self._fingerprint())
        self._coded: dict[str, list[tuple[tuple[int, float], int, NDArray[Any]]]] = {}
        self.report = SearchReport(0.0, 0.0)

    def run(self, max_drop: float, relative: bool, higher_is_better: bool, most_groups: int) -> SearchReport:
        reference = self._reference()
        drop = abs(reference) * max_drop if relative else max_drop
        limit = reference - drop if higher_is_better else reference + drop
        weights = [
            (name, self._tensors[name].size)
            for name in self._base
            if not is_vector(self._tensors[name].shape)
        ]
        self.report = SearchReport(
            reference, limit, higher_is_better, groups=groups_by_size(weights, most_groups)
        )
        found = self._largest_step(Settings(0.0), "step")
        if found is not None and len(self.report.groups) > 1:
            ratios = self._allocation(found, drop)
            if ratios is not None:
                found = self._largest_step(replace(found, ratios=ratios), "allocation") or found
        if found is not None:
            for lambdas in _LAMBDAS:
                # Away from the usual value, as long as streams get smaller.
                for lambda_scale in lambdas:
                    if not self._helps(lambda_scale):
                        break
        passing = [point for point in self.report.points if self.report.passes(point.score)]
        best = min(passing, key=lambda point: point.size_bytes) if passing else None
        return replace(self.report, best=best)

    def _helps(self, lambda_scale: float) -> bool:
        """Search the step once more with a bit worth so much; tell whether that gave the smallest stream so far."""
        smallest = self._smallest()
        # A bit valued higher leaves more error at the same step: about half an octave for a doubling.
        shifted = smallest.settings.scale - math.log2(lambda_scale / smallest.settings.lambda_scale) / 2
        self._largest_step(
            replace(smallest.settings, scale=shifted, lambda_scale=lambda_scale), "lambda", first_move=0.25
        )
        return self._smallest().size_bytes < smallest.size_bytes

    def stream(self, settings: Settings) -> bytes:
        """Encode the whole model."""
        importance = shapes_only(self._importance)
        return encode(self._tensors, self._configured(settings), importance=importance, **self._source)

    def _smallest(self) -> Point:
        return min((p for p in self.report.points if self.report.passes(p.score)), key=lambda p: p.size_bytes)

    def _base_steps(self) -> dict[str, float]:
        """Steps at scale 0: the default relative error, or equal worth of squared errors where importance is known."""
        mse = math.sqrt(DEPENDENT_MSE if self._config.dependent else UNIFORM_MSE)
        plain: dict[str, float] = {}
        worths: dict[str, float] = {}
        for name, array in self._tensors.items():
            if array.dtype.kind != "f" or array.size == 0 or not np.isfinite(array).all():
                continue
            rms = math.sqrt(float(np.mean(np.square(array, dtype=np.float64))))
            if rms == 0:
                continue
            vector = is_vector(array.shape)
            error = self._config.relative_error_1d if vector else self._config.relative_error
            plain[name] = rms * error / mse
            given = self._importance.get(name)
            worth = 0.0 if given is None else mean_worth(given)
            if worth > 0:
                worths[name] = worth
        if not worths:
            return plain
        # The same mean rate as without importance, over the tensors that have one.
        sizes = {name: self._tensors[name].size for name in worths if name in plain}
        logs = sum(n * math.log2(plain[name] * math.sqrt(worths[name])) for name, n in sizes.items())
        price = 2.0 ** (logs / sum(sizes.values()))
        return {
            name: price / math.sqrt(worths[name]) if name in sizes else step for name, step in plain.items()
        }

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(repr((self._config, sorted(self._base.items()))).encode())
        for name, array in self._tensors.items():
            digest.update(f"{name}{array.shape}{array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def _configured(self, settings: Settings) -> EncoderConfig:
        qps = tuple((glob.escape(name), qp) for name, qp in self._qps(settings).items())
        return replace(
            self._config,
            qp_density=_DENSITY,
            qp_by_name=qps,
            lambda_scale=settings.lambda_scale * self._config.lambda_scale,
        )

    def _qps(self, settings: Settings) -> dict[str, int]:
        shift = dict.fromkeys(self._base, 0.0)
        for group, ratio in zip(self.report.groups, settings.ratios, strict=False):
            shift.update(dict.fromkeys(group, ratio))
        return {
            name: nearest_qp(step * 2.0 ** (settings.scale + shift[name]), _DENSITY)
            for name, step in self._base.items()
        }

    def _reference(self) -> float:
        known = self._journal.find("reference")
        if known is None:
            self._journal.note("reference", score=float(self._evaluate(dict(self._tensors))))
            known = self._journal.find("reference") or {}
        return float(known["score"])

    def _try(self, settings: Settings, purpose: str) -> Point | None:
        """Encode, decode and evaluate; None when no evaluations are left."""
        for point in self.report.points:
            if point.settings.key() == settings.key():
                return point
        known = self._journal.find(settings.key())
        if known is None:
            if self._left <= 0:
                return None
            size, decoded = self._decoded(settings)
            self._journal.note(
                settings.key(), size_bytes=size, score=float(self._evaluate(decoded)), purpose=purpose
            )
            known = self._journal.find(settings.key()) or {}
        self._left -= 1
        point = Point(settings, int(known["size_bytes"]), float(known["score"]), purpose)
        self.report.points.append(point)
        if self._on_point is not None:
            self._on_point(point, self.report)
        return point

    def _decoded(self, settings: Settings) -> tuple[int, dict[str, NDArray[Any]]]:
        """Return the stream's size and what it decodes to, encoding only tensors whose settings are new."""
        qps = self._qps(settings)
        # Types and shapes are known here; describing them once for each tensor would count in its size.
        config = replace(self._configured(settings), describe_source=False, checksum=False)
        shapes = shapes_only(self._importance)
        opening = len(encode({}, config))
        size, decoded = opening, {}
        for name, array in self._tensors.items():
            key = (qps.get(name, 0), settings.lambda_scale)
            kept = self._coded.setdefault(name, [])
            found = next((entry for entry in kept if entry[0] == key), None)
            if found is None:
                qp = () if name not in qps else ((glob.escape(name), qps[name]),)
                given = {name: shapes[name]} if name in shapes else None
                stream = encode({name: array}, replace(config, qp_by_name=qp), importance=given)
                values = decode(stream)[name] if array.size else array
                found = key, len(stream) - opening, values.astype(array.dtype).reshape(array.shape)
                kept.append(found)
                # The usual one and a probe's: a group's sensitivity changes few tensors.
                del kept[:-2]
            else:
                kept.remove(found)
                kept.append(found)
            size += found[1]
            decoded[name] = found[2]
        return size, decoded

    def _largest_step(
        self, start: Settings, purpose: str, first_move: float = _FIRST_MOVE
    ) -> Settings | None:
        """Return the settings with the largest scale that passes, around a start; None when nothing passes."""
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
                if not _RANGE[0] <= scale <= _RANGE[1]:
                    break
        return None if passing is None else replace(start, scale=passing)

    def _allocation(self, found: Settings, drop: float) -> tuple[float, ...] | None:
        """Measure what each group's error costs, and return the steps that make a bit buy the same in each.

        With the loss ``sum of c[g] * s[g]**2`` over groups' relative steps s and the rate ``-sum of n[g] * log2(s[g])``, the
        least loss at a rate has ``s[g]**2`` proportional to ``n[g] / c[g]``.
        """
        groups = self.report.groups
        here = self._try(found, "step")
        if here is None or self._left < len(groups) + 2:
            return None
        costs = []
        for index in range(len(groups)):
            lost = self._lost(found, here, index, _PROBE)
            probe = _PROBE
            if (
                lost is not None
                and not _NOTHING * drop <= lost <= _RUIN * drop
                and self._left > len(groups) - index
            ):
                probe = _GENTLE_PROBE if lost > drop else _STRONG_PROBE
                lost = self._lost(found, here, index, probe)
            if lost is None:
                return None
            costs.append(lost / (4.0**probe - 1))
        self.report.sensitivities.extend(costs)
        sizes = np.array([sum(self._tensors[name].size for name in group) for group in groups], np.float64)
        # What is too little to measure is taken for a small part of the loss allowed, shared by size.
        floor = 0.02 * max(drop, 1e-12) * sizes / sizes.sum()
        per_weight = np.maximum(np.array(costs), floor) / sizes
        shifts = -0.5 * np.log2(per_weight)
        shifts -= float(np.average(shifts, weights=sizes))
        return tuple(round(float(s), 3) for s in np.clip(shifts, -_MOST_SHIFT, _MOST_SHIFT))

    def _lost(self, found: Settings, here: Point, index: int, probe: float) -> float | None:
        """Return the score lost by larger steps in one group."""
        groups = self.report.groups
        ratios = tuple(probe if other == index else 0.0 for other in range(len(groups)))
        purpose = f"sensitivity of {groups[index][0]}" + (" ..." if len(groups[index]) > 1 else "")
        point = self._try(replace(found, ratios=ratios), purpose)
        if point is None:
            return None
        return here.score - point.score if self.report.higher_is_better else point.score - here.score


def compress_to_quality(
    model: Mapping[str, ArrayLike],
    evaluate: Evaluate,
    *,
    max_drop: float | str,
    higher_is_better: bool = True,
    importance: Mapping[str, Importance] | None = None,
    config: EncoderConfig | None = None,
    journal: str | os.PathLike[str] | None = None,
    max_evaluations: int = 60,
    most_groups: int = 16,
    on_point: OnPoint | None = None,
    **source: Any,
) -> tuple[bytes, SearchReport]:
    """Search the smallest stream whose decoded model scores as well as asked for.

    First the largest step for all tensors; then what each group of tensors costs in score when its steps alone grow, and the
    division of errors that follows; then what a bit is worth (lambda).

    Parameters
    ----------
    model : mapping of str to array
    evaluate : callable
        Takes a dict of name to array and returns a score. Called once for each point, and deterministic if the search is to
        be resumed. Measure on data of its own: what was searched on flatters itself.
    max_drop : float or str
        Loss of score allowed: a number in the score's own unit, or a share of the original's such as ``"0.5%"``.
    higher_is_better : bool
    importance : mapping, optional
        As in `encode`, on one scale for all tensors: it settles steps between tensors and levels within.
    config : EncoderConfig, optional
        Everything but steps and lambda.
    journal : path-like, optional
        Points are noted here, and found here when the search is started again.
    max_evaluations : int
        Points to try at most.
    most_groups : int
        Sensitivities measured at most; neighbouring tensors share one when there are more.
    on_point : callable of (Point, SearchReport), optional
        Called after each point.
    **source
        ``kind``, ``metadata`` and ``dtypes``, as in `encode`.

    Returns
    -------
    bytes, SearchReport

    Raises
    ------
    NotEncodable
        Not even the finest steps tried keep the score.
    ValueError
        The journal belongs to another model.
    """
    relative = isinstance(max_drop, str) and max_drop.strip().endswith("%")
    amount = float(str(max_drop).strip().removesuffix("%")) / (100 if relative else 1)
    if not amount >= 0:
        raise ValueError(f"max_drop is not negative, unlike {max_drop!r}")
    search = _Search(
        model, evaluate, importance, config or EncoderConfig(), journal, max_evaluations, on_point, source
    )
    report = search.run(amount, relative, higher_is_better, most_groups)
    if report.best is None:
        raise NotEncodable(
            f"no setting tried keeps the score within {max_drop} of {report.reference_score:g}"
        )
    stream = search.stream(report.best.settings)
    # What describes the source was left out while searching.
    return stream, replace(report, best=replace(report.best, size_bytes=len(stream)))
