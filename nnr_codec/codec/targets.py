# SPDX-License-Identifier: Apache-2.0
"""Streams of a wanted size or error: one number sought for the whole model.

All tensors share one slope: a bit is worth the same error everywhere, which is what makes an allocation optimal. As lambda is
tied to the square of the step, that means steps in fixed proportion: all equal for the plain squared error, or proportional
to each tensor's root mean square when errors count relative to it.
"""

from __future__ import annotations

import glob
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnr_codec.codec.config import EncoderConfig
from nnr_codec.codec.decoder import decode
from nnr_codec.codec.encoder import encode
from nnr_codec.codec.rdo_search import USUAL_SLOPE, sample_of
from nnr_codec.codec.steps import nearest_qp, root_mean_square
from nnr_codec.codec.tensor_targets import steps_for_errors
from nnr_codec.codec.tensors import QuantizedTensor
from nnr_codec.entropy import TensorCoding, rate
from nnr_codec.errors import NotEncodable
from nnr_codec.quant import DEPENDENT_MSE, UNIFORM_MSE, matched_lambda, quantize_rdo, step_size

# Steps of QP per doubling, as a power of 2: a step changes a model's size by a few tenths of a percent.
_DENSITY = 7
_SAMPLE = 1 << 13
_TOLERANCE = 0.004
_MAX_ENCODINGS = 8
_MAX_BRACKETING = 24
# Of log scale per miss in log value; the true one is 1 at low rates and grows with the bits per weight.
_FIRST_STRIDE = 1.5
_MAX_SOLVING = 6

#: What is being done, the number sought so far and what it gives.
Progress = Callable[[str, float, float], None]


@dataclass(frozen=True)
class TensorReport:
    """What became of one tensor."""

    name: str
    weights: int
    step: float  # 0 when its values are stored as they are
    relative_error: float


@dataclass(frozen=True)
class TargetReport:
    """What a search for a target found.

    Attributes
    ----------
    asked, reached : float
        In the target's own unit: a ratio, bits per weight, or a relative error.
    points : tuple of (scale, reached)
        The whole encodings tried, in order; per tensor, how many tensors each round encoded and the error farthest off.
    """

    target: str
    asked: float
    reached: float
    size_bytes: int
    bits_per_weight: float
    ratio: float
    relative_error: float
    points: tuple[tuple[float, float], ...]
    tensors: tuple[TensorReport, ...]


class _Model:
    """The tensors whose step is sought, and how sizes and errors follow from one scale."""

    def __init__(self, tensors: dict[str, NDArray[Any]], config: EncoderConfig, allocation: str) -> None:
        self.tensors, self.config = tensors, config
        self.size_bytes = sum(t.nbytes for t in tensors.values())
        self.count = sum(t.size for t in tensors.values())
        self.mse = DEPENDENT_MSE if config.dependent else UNIFORM_MSE
        self._real = {
            name: np.require(t, np.float32, ["C", "A"]).reshape(-1)
            for name, t in tensors.items()
            if t.dtype.kind == "f" and t.size and np.isfinite(t).all() and t.any()
        }
        self._rms = {name: root_mean_square(values) for name, values in self._real.items()}
        self._unit = {name: rms if allocation == "relative" else 1.0 for name, rms in self._rms.items()}
        self._samples = {name: sample_of(values, _SAMPLE) for name, values in self._real.items()}
        self.energy = sum(self._rms[name] ** 2 * values.size for name, values in self._real.items())

    def start(self) -> float:
        """Return a scale at which errors are small."""
        return 0.05 * math.sqrt(self.energy / sum(u * u * self._real[n].size for n, u in self._unit.items()))

    def qps(self, scale: float) -> dict[str, int]:
        steps = {}
        for name, unit in self._unit.items():
            step = scale * unit
            if self.tensors[name].ndim <= 1:
                step = min(step, self.config.relative_error_1d * self._rms[name] / math.sqrt(self.mse))
            steps[name] = nearest_qp(step, _DENSITY)
        return steps

    def encode(self, qps: Mapping[str, int], options: Mapping[str, Any]) -> bytes:
        by_name = tuple((glob.escape(name), qp) for name, qp in qps.items())
        return encode(self.tensors, replace(self.config, qp_by_name=by_name, qp_density=_DENSITY), **options)

    def start_for_errors(self, asked: float) -> dict[str, int]:
        """Return the usual steps for one relative error, of the tensors whose error a target is."""
        return {
            name: nearest_qp(asked * rms / math.sqrt(self.mse), _DENSITY)
            for name, rms in self._rms.items()
            if self.tensors[name].ndim > 1
        }

    def errors(self, qps: Mapping[str, int]) -> dict[str, float]:
        """Return the relative errors that some tensors are left with."""
        by_name = tuple((glob.escape(name), qp) for name, qp in qps.items())
        config = replace(self.config, qp_by_name=by_name, qp_density=_DENSITY)
        decoded = decode(encode({name: self.tensors[name] for name in qps}, config))
        return {name: self._error(name, decoded[name]) / self._rms[name] for name in qps}

    def _error(self, name: str, decoded: ArrayLike) -> float:
        return root_mean_square(self._real[name] - np.asarray(decoded, np.float32).reshape(-1))

    def estimate(self, scale: float) -> tuple[float, float]:
        """Return bits and squared error, by samples and the rate model."""
        bits = squared = 0.0
        slope = self.config.lambda_scale * USUAL_SLOPE * matched_lambda(self.mse)
        for name, qp in self.qps(scale).items():
            sample, step = self._samples[name], step_size(qp, _DENSITY)
            coding = TensorCoding(rows=1, width=sample.size, dependent=self.config.dependent)
            levels = quantize_rdo(sample, step, coding, slope)
            share = self._real[name].size / sample.size
            found = rate.estimate_bits(levels, coding)
            bits += (found.total - found.side) * share + found.side + 8 * (16 + len(name))
            squared += root_mean_square(sample - np.float32(step) * levels) ** 2 * self._real[name].size
        return bits, squared

    def report(self, stream: bytes) -> tuple[float, tuple[TensorReport, ...]]:
        """Return the relative error of the whole model, and each tensor's."""
        found = decode(stream, dequantize=False)
        squared, rows = 0.0, []
        for name, values in self._real.items():
            tensor = found[name]
            coded = isinstance(tensor, QuantizedTensor)
            error = self._error(name, tensor.dequantize() if coded else tensor)
            squared += error**2 * values.size
            step = tensor.step_size if coded else 0.0
            rows.append(TensorReport(name, values.size, step, error / self._rms[name]))
        return math.sqrt(squared / self.energy), tuple(rows)


def compress_to_target(
    tensors: Mapping[str, ArrayLike],
    *,
    ratio: float | None = None,
    bits: float | None = None,
    max_error: float | None = None,
    per_tensor: bool = False,
    allocation: str = "relative",
    config: EncoderConfig | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> tuple[bytes, TargetReport]:
    """Encode a model to a wanted size or error.

    Parameters
    ----------
    tensors : mapping of str to array
    ratio : float, optional
        The model's bytes over the stream's.
    bits : float, optional
        Of the stream, per weight.
    max_error : float, optional
        Relative: root of the squared error over the squared weights, of the whole model.
    per_tensor : bool
        The error is that of each tensor of two dimensions and more instead; others keep the finer of it and the
        configuration's ``relative_error_1d``. The report gives as reached what is farthest from the target.
    allocation : str
        ``relative``: a tensor's error counts relative to its root mean square, as nothing is known of how layers are scaled
        against each other. ``squared``: the plain squared error of the whole model.
    progress : callable, optional
        Called with what is being done, the scale of steps, and what it gives in the target's unit.
    **options
        Of `encode`, such as ``kind`` and ``metadata``.

    Returns
    -------
    bytes, TargetReport
        The stream of the tried ones that comes nearest: 1 % and better unless the target is out of reach, as the report says.

    Raises
    ------
    NotEncodable
        A tensor the format cannot hold, or no weight whose step could be chosen.
    ValueError
        Not exactly one target, one that is not positive, or `per_tensor` with another than an error.
    """
    given = {"ratio": ratio, "bits": bits, "max_error": max_error}
    named = [(name, value) for name, value in given.items() if value is not None]
    if len(named) != 1 or named[0][1] <= 0 or allocation not in ("relative", "squared"):
        raise ValueError(
            "one of ratio, bits and max_error is given and positive; allocation is 'relative' or 'squared'"
        )
    target, asked = named[0]
    if per_tensor and target != "max_error":
        raise ValueError("per_tensor goes with max_error")
    arrays = {name: np.asarray(value) for name, value in tensors.items()}
    model = _Model(arrays, config or EncoderConfig(), allocation)
    if model.energy == 0:
        raise NotEncodable("a target needs weights that are not all zero")
    if per_tensor:
        return _each_to_error(model, asked, progress, options)

    def reached(stream_bits: float, squared_error: float) -> float:
        if target == "max_error":
            return math.sqrt(squared_error / model.energy)
        return 8 * model.size_bytes / stream_bits if target == "ratio" else stream_bits / model.count

    def estimated(scale: float) -> float:
        found = reached(*model.estimate(scale))
        if progress is not None:
            progress("estimating", scale, found)
        return found

    # Ratio and error grow with the scale, bits fall; in logarithms all are nearly straight.
    sign = -1.0 if target == "bits" else 1.0
    curve = _bracket(estimated, model.start(), asked, sign)
    points: list[tuple[float, float]] = []
    best: tuple[float, bytes] | None = None
    scale, stride = _solve(curve, math.log(asked), sign, estimated), _FIRST_STRIDE
    for _ in range(_MAX_ENCODINGS):
        stream = model.encode(model.qps(scale), options)
        squared = 0.0
        if target == "max_error":
            squared = model.report(stream)[0] ** 2 * model.energy
        value = reached(8 * len(stream), squared)
        points.append((scale, value))
        if progress is not None:
            progress("encoding", scale, value)
        miss = abs(math.log(value / asked))
        if best is None or miss < best[0]:
            best = (miss, stream)
        if miss <= _TOLERANCE:
            break
        between = _between(points, asked)
        if between is None:
            # Always farther: at low rates sizes move in jumps, and a step too small would see none.
            scale *= math.exp(sign * stride * math.log(asked / value))
            stride *= 2
        else:
            scale = between
    if best is None:
        raise NotEncodable("no encoding was tried")
    stream = best[1]
    error, rows = model.report(stream)
    return stream, _report(
        model, target, asked, reached(8 * len(stream), error**2 * model.energy), stream, points, (error, rows)
    )


def _report(
    model: _Model, target: str, asked: float, value: float, stream: bytes,
    points: list[tuple[float, float]], found: tuple[float, tuple[TensorReport, ...]],
) -> TargetReport:  # fmt: skip
    error, rows = found
    return TargetReport(
        target, asked, value, len(stream), 8 * len(stream) / model.count,
        model.size_bytes / len(stream), error, tuple(points), rows,
    )  # fmt: skip


def _each_to_error(
    model: _Model, asked: float, progress: Progress | None, options: Mapping[str, Any]
) -> tuple[bytes, TargetReport]:
    """Encode with the same relative error in all tensors of two dimensions and more."""
    model.config = replace(
        model.config, qp=None, qp_1d=None, bit_depth=None,
        relative_error=asked, relative_error_1d=min(asked, model.config.relative_error_1d),
    )  # fmt: skip
    points: list[tuple[float, float]] = []

    def measure(qps: Mapping[str, int]) -> Mapping[str, float]:
        errors = model.errors(qps)
        points.append((float(len(qps)), farthest(errors.values(), asked)))
        if progress is not None:
            progress("encoding", *points[-1])
        return errors

    qps = steps_for_errors(model.start_for_errors(asked), asked, _DENSITY, measure)
    stream = model.encode(qps, options)
    error, rows = model.report(stream)
    value = farthest((row.relative_error for row in rows if row.name in qps), asked)
    return stream, _report(model, "max_error", asked, value, stream, points, (error, rows))


def farthest(errors: Iterable[float], asked: float) -> float:
    """Return the error that misses what was asked for the most, as a ratio."""
    return max(errors, key=lambda error: abs(math.log(max(error, 1e-30) / asked)), default=asked)


def _between(points: list[tuple[float, float]], asked: float) -> float | None:
    """Return the scale between the nearest encodings on either side of the target, in logarithms; None until there are."""
    below = max((p for p in points if p[1] < asked), key=lambda p: p[1], default=None)
    above = min((p for p in points if p[1] >= asked), key=lambda p: p[1], default=None)
    if below is None or above is None:
        return None
    share = math.log(asked / below[1]) / math.log(above[1] / below[1])
    return math.exp(math.log(below[0]) + share * math.log(above[0] / below[0]))


def _bracket(
    estimated: Callable[[float], float], start: float, asked: float, sign: float
) -> list[tuple[float, float]]:
    """Return log scales and log values, ordered, the wanted value between them if it can be had."""
    curve = [(math.log(start), math.log(max(estimated(start), 1e-30)))]
    goal = math.log(asked)
    for _ in range(_MAX_BRACKETING):
        low, high = sign * (curve[0][1] - goal), sign * (curve[-1][1] - goal)
        if low <= 0 <= high:
            break
        at = curve[-1][0] + 1.0 if high < 0 else curve[0][0] - 1.0
        value = (at, math.log(max(estimated(math.exp(at)), 1e-30)))
        curve = sorted([*curve, value])
    return curve


def _solve(
    curve: list[tuple[float, float]], goal: float, sign: float, estimated: Callable[[float], float]
) -> float:
    """Return the scale at which the estimate is `goal`; adds the points it needs to the curve."""
    at = 0.0
    for _ in range(_MAX_SOLVING):
        values = [sign * v for _, v in curve]
        at = float(np.interp(sign * goal, np.maximum.accumulate(values), [s for s, _ in curve]))
        value = math.log(max(estimated(math.exp(at)), 1e-30))
        if abs(value - goal) <= _TOLERANCE / 2 or any(abs(at - s) < 1e-4 for s, _ in curve):
            break
        curve.append((at, value))
        curve.sort()
    return math.exp(at)
