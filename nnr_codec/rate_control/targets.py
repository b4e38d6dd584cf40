# SPDX-License-Identifier: Apache-2.0
"""Compression to a target size or error, by a search over one scale of all steps.

The optimal allocation gives all tensors the same slope of error against bits. As lambda is proportional to the squared step,
this means steps in a fixed proportion: equal steps for the squared error of the whole model, or steps proportional to each
tensor's root mean square if errors count relative to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import ArrayLike

from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.tensor_input import TensorsInMemory
from nnr_codec.errors import NotEncodable
from nnr_codec.rate_control.target_curve import LEAST, TOLERANCE, between, bisected, bracket, solve
from nnr_codec.rate_control.target_model import DENSITY, TargetModel
from nnr_codec.rate_control.target_report import TargetReport
from nnr_codec.rate_control.tensor_targets import steps_for_errors

_MAX_ENCODINGS = 8
# Initial secant slope, d(log scale) / d(log value). It approaches 1 at low rates and grows with the bits per weight.
_INITIAL_SLOPE = 1.5
# Smallest relative error for the default steps. Rounding to float32 dominates smaller errors, and levels could exceed 32 bits.
_LEAST_ERROR = 1e-6

#: Receives the stage (``estimating`` or ``encoding``), the scale of steps and the value in the target's unit.
Progress = Callable[[str, float, float], None]


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
    """Encode a model to a target size or error.

    Exactly one of `ratio`, `bits` and `max_error` is required.

    Parameters
    ----------
    tensors : mapping of str to array
        All are held in memory.
    ratio : float, optional
        Bytes of the tensors in their own types over bytes of the stream.
    bits : float, optional
        Bits of the stream per weight.
    max_error : float, optional
        Relative error of the whole model: root of the squared error over the squared weights.
    per_tensor : bool
        Apply `max_error` to each tensor with two or more dimensions. Other tensors get the smaller of `max_error` and the
        configuration's ``relative_error_1d``. The report's ``reached`` is the error farthest from the target.
    allocation : str
        ``relative`` counts the error of each tensor relative to its root mean square; it is the default because the relative
        scale of layers is unknown. ``squared`` counts the squared error of the whole model.
    config : EncoderConfig, optional
        Configuration without steps.
    progress : callable, optional
        Called with the stage (``estimating`` or ``encoding``), the scale of steps and the value in the target's unit.
    **options
        Arguments of `encode`, such as ``kind`` and ``metadata``.

    Returns
    -------
    bytes
        Stream nearest to the target: within 1 %, unless the target is out of reach. Tensors that `encode` stores without
        quantisation, because their values are too large or too small for any step, are stored alike.
    TargetReport
        The value that was reached, and ``met``.

    Raises
    ------
    NotEncodable
        The format cannot hold a tensor.
    ValueError
        The number of targets is not one, the target is not positive and finite, or `per_tensor` is used without `max_error`.
    """
    arguments = {"ratio": ratio, "bits": bits, "max_error": max_error}
    requested = [(name, value) for name, value in arguments.items() if value is not None]
    if len(requested) != 1 or not 0 < requested[0][1] < math.inf:
        raise ValueError("exactly one target of ratio, bits and max_error is required, positive and finite")
    if allocation not in ("relative", "squared"):
        raise ValueError(f"allocation must be 'relative' or 'squared', not {allocation!r}")
    target, asked = requested[0]
    if per_tensor and target != "max_error":
        raise ValueError("per_tensor requires max_error")
    arrays = TensorsInMemory(tensors, options.get("dtypes"))
    config = config or EncoderConfig()
    error = min(asked, 1.0) if per_tensor else config.relative_error
    error_1d = min(error, config.relative_error_1d) if per_tensor else config.relative_error_1d
    config = replace(
        config, relative_error=max(error, _LEAST_ERROR), relative_error_1d=max(error_1d, _LEAST_ERROR)
    )
    model = TargetModel(arrays, config, allocation)
    if not model.values:
        # Nothing has a step: integers, zeros and tensors without elements are exact.
        stream = model.encode({}, options)
        sizes = {"ratio": model.size_bytes / len(stream), "bits": 8 * len(stream) / max(model.count, 1)}
        return stream, model.report(target, asked, sizes.get(target, 0.0), stream, [], (0.0, ()))
    if per_tensor:
        return _compress_each_tensor(model, asked, progress, options)
    return _compress_to_scale(model, target, asked, progress, options)


def _compress_to_scale(
    model: TargetModel, target: str, asked: float, progress: Progress | None, options: Mapping[str, Any]
) -> tuple[bytes, TargetReport]:
    """Search the scale of steps: first with estimates, then with whole encodings."""

    def in_target_unit(stream_bits: float, squared_error: float) -> float:
        if target == "max_error":
            return model.relative(squared_error)
        return 8 * model.size_bytes / stream_bits if target == "ratio" else stream_bits / model.count

    def estimated(scale: float) -> float:
        estimate = in_target_unit(*model.estimate(scale))
        if progress is not None:
            progress("estimating", scale, estimate)
        return estimate

    # Ratio and error increase with the scale, bits decrease. In the log domain all curves are nearly straight.
    sign = -1.0 if target == "bits" else 1.0
    log_scale, low, high = 0.0, 0.0, 0.0
    if model.energy:
        low, high = model.log_scale_range()
        curve = bracket(estimated, model.initial_log_scale(), (low, high), asked, sign)
        log_scale = solve(curve, math.log(asked), sign, estimated)
    points: list[tuple[float, float]] = []
    nearest: tuple[float, float, bytes] | None = None  # log distance, log scale, stream
    slope = _INITIAL_SLOPE
    tried: set[float] = set()
    for _ in range(_MAX_ENCODINGS):
        tried.add(log_scale)
        scale = math.exp(log_scale)
        try:
            stream = model.encode(model.qps(scale), options)
        except NotEncodable:
            if nearest is None:
                raise
            # This scale is out of range, so move towards the scale that did encode.
            log_scale = (log_scale + nearest[1]) / 2
            continue
        squared = model.measure(stream)[0] ** 2 * model.energy if target == "max_error" else 0.0
        value = in_target_unit(8 * len(stream), squared)
        points.append((log_scale, value))
        if progress is not None:
            progress("encoding", scale, value)
        log_miss = math.log(asked) - math.log(max(value, LEAST))
        if nearest is None or abs(log_miss) < nearest[0]:
            nearest = (abs(log_miss), log_scale, stream)
        if abs(log_miss) <= TOLERANCE:
            break
        interpolated = between(points, asked)
        if interpolated is None:
            # Double the move each time: at low rates the size changes in jumps, and a short move would see no change.
            log_scale = min(max(log_scale + sign * slope * log_miss, low), high)
            slope *= 2
        else:
            log_scale = interpolated if interpolated not in tried else bisected(points, asked)
        if log_scale in tried:
            break
    if nearest is None:
        raise NotEncodable("no encoding was tried")
    stream = nearest[2]
    measured = model.measure(stream)
    reached = in_target_unit(8 * len(stream), measured[0] ** 2 * model.energy)
    scale_points = [(math.exp(log_scale), value) for log_scale, value in points]
    return stream, model.report(target, asked, reached, stream, scale_points, measured)


def _compress_each_tensor(
    model: TargetModel, asked: float, progress: Progress | None, options: Mapping[str, Any]
) -> tuple[bytes, TargetReport]:
    """Encode with the same relative error in all tensors with two or more dimensions."""
    points: list[tuple[float, float]] = []

    def measure(qps: Mapping[str, int]) -> Mapping[str, float]:
        errors = model.errors(qps)
        points.append((float(len(qps)), farthest(errors.values(), asked)))
        if progress is not None:
            progress("encoding", *points[-1])
        return errors

    qps = steps_for_errors(model.qps_for_error(asked), asked, DENSITY, measure, model.bounds)
    stream = model.encode(qps, options)
    error, tensors = model.measure(stream)
    # Without any tensor of two or more dimensions, report the error of the whole model.
    reached = farthest((t.relative_error for t in tensors if t.name in qps), asked) if qps else error
    return stream, model.report("max_error", asked, reached, stream, points, (error, tensors))


def farthest(errors: Iterable[float], asked: float) -> float:
    """Return the error with the largest ratio to `asked`, in either direction."""
    return max(errors, key=lambda error: abs(math.log(max(error, LEAST) / asked)), default=asked)
