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

from nnr_codec.codec.decode.decoder import decode
from nnr_codec.codec.decode.quantized_tensor import QuantizedTensor
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.encoder import encode
from nnr_codec.codec.encode.rdo_search import USUAL_SLOPE, sample_of
from nnr_codec.codec.encode.steps import largest_magnitude, nearest_qp, root_mean_square
from nnr_codec.codec.encode.tensor_roles import is_vector
from nnr_codec.entropy import TensorCoding, rate
from nnr_codec.errors import NotEncodable
from nnr_codec.quant import DEPENDENT_MSE, UNIFORM_MSE, matched_lambda, quantize_rdo, step_size
from nnr_codec.rate_control.target_curve import LEAST, TOLERANCE, between, bisected, bracket, solve
from nnr_codec.rate_control.tensor_targets import steps_for_errors

# Steps of QP per doubling, as a power of 2: a step changes a model's size by a few tenths of a percent.
_DENSITY = 7
_SAMPLE = 1 << 13
_MAX_ENCODINGS = 8
# Of log scale per miss in log value; the true one is 1 at low rates and grows with the bits per weight.
_FIRST_STRIDE = 1.5
# What a stream's qp_value holds at this density, around a base of 0: 32 doublings of the step either way.
_FARTHEST_QP = 1 << (5 + _DENSITY)
# Steps in a tensor's largest weight: levels have 32 bits, and at a few steps a weight all levels are 0.
_MOST_STEPS, _FEWEST_STEPS = 2.0**30, 0.25
# Below this errors are those of float32, and levels of an aim that is not bounded here would leave 32 bits.
_LEAST_ERROR = 1e-6
_MET = 0.01

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
    relative_error : float
        Of the tensors whose step was sought; those sent as they are have none.
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

    @property
    def met(self) -> bool:
        """Whether the target was met within 1 %; it was out of reach otherwise."""
        return abs(self.reached / self.asked - 1) <= _MET


class _Model:
    """The tensors whose step is sought, and how sizes and errors follow from one scale."""

    def __init__(self, tensors: dict[str, NDArray[Any]], config: EncoderConfig, allocation: str) -> None:
        self.tensors = tensors
        # Every step sought is given by name. Other QPs would move the base they count from, and mean another density.
        self.config = config = replace(config, qp=None, qp_1d=None, bit_depth=None)
        self.size_bytes = sum(t.nbytes for t in tensors.values())
        self.count = sum(t.size for t in tensors.values())
        self.mse = DEPENDENT_MSE if config.dependent else UNIFORM_MSE
        self.real = {}
        for name, tensor in tensors.items():
            if tensor.dtype.kind == "f":
                # As the stream has them: values of wider types may be 0 or infinite there.
                with np.errstate(over="ignore", under="ignore"):
                    values = np.require(tensor, np.float32, ["C", "A"]).reshape(-1)
                if values.any() and np.isfinite(values).all():
                    self.real[name] = values
        self._rms = {name: root_mean_square(values) for name, values in self.real.items()}
        self._bounds: dict[str, tuple[int, int]] = {}
        for name in self.real:
            # What the encoder would send as it is, out of the reach of QPs or of float32, it sends so here.
            usual = config.relative_error_1d if is_vector(tensors[name].shape) else config.relative_error
            qp = nearest_qp(usual * self._rms[name] / math.sqrt(self.mse), _DENSITY)
            if -_FARTHEST_QP <= qp < _FARTHEST_QP:
                largest = largest_magnitude(self.real[name])
                self._bounds[name] = (
                    max(nearest_qp(largest / _MOST_STEPS, _DENSITY), -_FARTHEST_QP),
                    min(nearest_qp(largest / _FEWEST_STEPS, _DENSITY), _FARTHEST_QP - 1),
                )
        self._unit = {name: self._rms[name] if allocation == "relative" else 1.0 for name in self._bounds}
        self._samples = {name: sample_of(self.real[name], _SAMPLE) for name in self._bounds}
        self._bits_as_they_are = 32.0 * sum(v.size for n, v in self.real.items() if n not in self._bounds)
        self.energy = sum(self._rms[name] ** 2 * self.real[name].size for name in self._bounds)

    def start(self) -> float:
        """Return a log scale at which errors are small."""
        low, high = self.log_scales()
        units = sum(u * u * self.real[n].size for n, u in self._unit.items())
        return min(max(math.log(0.05 * math.sqrt(self.energy / units)), low), high)

    def log_scales(self) -> tuple[float, float]:
        """Return the log scales beyond which no step changes."""
        logs = {name: math.log(unit) for name, unit in self._unit.items()}
        log_steps = {
            name: tuple(math.log(step_size(qp, _DENSITY)) for qp in found)
            for name, found in self._bounds.items()
        }
        return min(log_steps[n][0] - logs[n] for n in logs), max(log_steps[n][1] - logs[n] for n in logs)

    def qps(self, scale: float) -> dict[str, int]:
        steps = {}
        for name, unit in self._unit.items():
            step = scale * unit
            if is_vector(self.tensors[name].shape):
                step = min(step, self.config.relative_error_1d * self._rms[name] / math.sqrt(self.mse))
            steps[name] = self._held(name, step)
        return steps

    def _held(self, name: str, step: float) -> int:
        """Return the QP nearest to a step of those that can be sent."""
        low, high = self._bounds[name]
        return nearest_qp(min(max(step, step_size(low, _DENSITY)), step_size(high, _DENSITY)), _DENSITY)

    def encode(self, qps: Mapping[str, int], options: Mapping[str, Any]) -> bytes:
        by_name = tuple((glob.escape(name), qp) for name, qp in qps.items())
        return encode(self.tensors, replace(self.config, qp_by_name=by_name, qp_density=_DENSITY), **options)

    def start_for_errors(self, asked: float) -> dict[str, int]:
        """Return the usual steps for one relative error, of the tensors whose error a target is."""
        return {
            name: self._held(name, asked * self._rms[name] / math.sqrt(self.mse))
            for name in self._bounds
            if not is_vector(self.tensors[name].shape)
        }

    def bounds(self, name: str) -> tuple[int, int]:
        """Return the finest and the coarsest QP of a tensor."""
        return self._bounds[name]

    def errors(self, qps: Mapping[str, int]) -> dict[str, float]:
        """Return the relative errors that some tensors are left with."""
        by_name = tuple((glob.escape(name), qp) for name, qp in qps.items())
        config = replace(self.config, qp_by_name=by_name, qp_density=_DENSITY)
        decoded = decode(encode({name: self.tensors[name] for name in qps}, config))
        return {name: self._error(name, decoded[name]) / self._rms[name] for name in qps}

    def _error(self, name: str, decoded: ArrayLike) -> float:
        return root_mean_square(self.real[name] - np.asarray(decoded, np.float32).reshape(-1))

    def estimate(self, scale: float) -> tuple[float, float]:
        """Return bits and squared error, by samples and the rate model."""
        bits, squared = self._bits_as_they_are, 0.0
        slope = self.config.lambda_scale * USUAL_SLOPE * matched_lambda(self.mse)
        for name, qp in self.qps(scale).items():
            sample, step = self._samples[name], step_size(qp, _DENSITY)
            coding = TensorCoding(rows=1, width=sample.size, dependent=self.config.dependent)
            levels = quantize_rdo(sample, step, coding, slope)
            share = self.real[name].size / sample.size
            found = rate.estimate_bits(levels, coding)
            bits += (found.total - found.side) * share + found.side + 8 * (16 + len(name))
            squared += root_mean_square(sample - np.float32(step) * levels) ** 2 * self.real[name].size
        return bits, squared

    def report(self, stream: bytes) -> tuple[float, tuple[TensorReport, ...]]:
        """Return the relative error of the whole model, and each tensor's."""
        found = decode(stream, dequantize=False)
        squared, rows = 0.0, []
        for name, values in self.real.items():
            tensor = found[name]
            coded = isinstance(tensor, QuantizedTensor)
            error = self._error(name, tensor.dequantize() if coded else tensor)
            squared += error**2 * values.size
            step = tensor.step_size if coded else 0.0
            rows.append(TensorReport(name, values.size, step, error / self._rms[name]))
        return self.relative(squared), tuple(rows)

    def relative(self, squared: float) -> float:
        return math.sqrt(squared / self.energy) if self.energy else 0.0


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
        The stream of the tried ones that comes nearest: 1 % and better unless the target is out of reach, as the report's
        ``met`` and ``reached`` say. Tensors that `encode` sends as they are, too large or small for any step, are sent so.

    Raises
    ------
    NotEncodable
        A tensor the format cannot hold, or no weight that is a finite float other than 0.
    ValueError
        Not exactly one target, one that is not positive and finite, or `per_tensor` with another than an error.
    """
    given = {"ratio": ratio, "bits": bits, "max_error": max_error}
    named = [(name, value) for name, value in given.items() if value is not None]
    if len(named) != 1 or not 0 < named[0][1] < math.inf or allocation not in ("relative", "squared"):
        raise ValueError(
            "one of ratio, bits and max_error is given and positive; allocation is 'relative' or 'squared'"
        )
    target, asked = named[0]
    if per_tensor and target != "max_error":
        raise ValueError("per_tensor goes with max_error")
    arrays = {name: np.asarray(value) for name, value in tensors.items()}
    config = config or EncoderConfig()
    usual = min(asked, 1.0) if per_tensor else config.relative_error
    usual_1d = min(usual, config.relative_error_1d) if per_tensor else config.relative_error_1d
    config = replace(
        config,
        relative_error=max(usual, _LEAST_ERROR),
        relative_error_1d=max(usual_1d, _LEAST_ERROR),
    )
    model = _Model(arrays, config, allocation)
    if not model.real:
        # Refuses what the format cannot hold, which is the better reason.
        model.encode({}, options)
        raise NotEncodable("a target needs weights that are not all zero")
    if per_tensor:
        return _each_to_error(model, asked, progress, options)

    def reached(stream_bits: float, squared_error: float) -> float:
        if target == "max_error":
            return model.relative(squared_error)
        return 8 * model.size_bytes / stream_bits if target == "ratio" else stream_bits / model.count

    def estimated(scale: float) -> float:
        found = reached(*model.estimate(scale))
        if progress is not None:
            progress("estimating", scale, found)
        return found

    # Ratio and error grow with the scale, bits fall; in logarithms all are nearly straight.
    sign = -1.0 if target == "bits" else 1.0
    log_scale, low, high = 0.0, 0.0, 0.0
    if model.energy:
        low, high = model.log_scales()
        curve = bracket(estimated, model.start(), (low, high), asked, sign)
        log_scale = solve(curve, math.log(asked), sign, estimated)
    points: list[tuple[float, float]] = []
    best: tuple[float, float, bytes] | None = None
    stride = _FIRST_STRIDE
    tried: set[float] = set()
    for _ in range(_MAX_ENCODINGS):
        tried.add(log_scale)
        scale = math.exp(log_scale)
        try:
            stream = model.encode(model.qps(scale), options)
        except NotEncodable:
            if best is None:
                raise
            # As a bound: what did encode is on this side of it.
            log_scale = (log_scale + best[1]) / 2
            continue
        squared = model.report(stream)[0] ** 2 * model.energy if target == "max_error" else 0.0
        value = reached(8 * len(stream), squared)
        points.append((log_scale, value))
        if progress is not None:
            progress("encoding", scale, value)
        off = math.log(asked) - math.log(max(value, LEAST))
        if best is None or abs(off) < best[0]:
            best = (abs(off), log_scale, stream)
        if abs(off) <= TOLERANCE:
            break
        found = between(points, asked)
        if found is None:
            # Always farther: at low rates sizes move in jumps, and a step too small would see none.
            log_scale = min(max(log_scale + sign * stride * off, low), high)
            stride *= 2
        else:
            log_scale = found if found not in tried else bisected(points, asked)
        if log_scale in tried:
            break
    if best is None:
        raise NotEncodable("no encoding was tried")
    stream = best[2]
    error, rows = model.report(stream)
    value = reached(8 * len(stream), error**2 * model.energy)
    scales = [(math.exp(at), value_there) for at, value_there in points]
    return stream, _report(model, target, asked, value, stream, scales, (error, rows))


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
    points: list[tuple[float, float]] = []

    def measure(qps: Mapping[str, int]) -> Mapping[str, float]:
        errors = model.errors(qps)
        points.append((float(len(qps)), farthest(errors.values(), asked)))
        if progress is not None:
            progress("encoding", *points[-1])
        return errors

    qps = steps_for_errors(model.start_for_errors(asked), asked, _DENSITY, measure, model.bounds)
    stream = model.encode(qps, options)
    error, rows = model.report(stream)
    # Where no tensor's error is the target, what the others have is what there is.
    value = farthest((row.relative_error for row in rows if row.name in qps), asked) if qps else error
    return stream, _report(model, "max_error", asked, value, stream, points, (error, rows))


def farthest(errors: Iterable[float], asked: float) -> float:
    """Return the error that misses what was asked for the most, as a ratio."""
    return max(errors, key=lambda error: abs(math.log(max(error, LEAST) / asked)), default=asked)
