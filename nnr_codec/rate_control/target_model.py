# SPDX-License-Identifier: Apache-2.0
"""Sizes and errors of a model as functions of one scale that all steps share."""

from __future__ import annotations

import glob
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nnr_codec.codec.decode.decoder import decode
from nnr_codec.codec.decode.quantized_tensor import QuantizedTensor
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.encoder import encode
from nnr_codec.codec.encode.quantize.rdo_search import USUAL_SLOPE, sample_of
from nnr_codec.codec.encode.quantize.steps import largest_magnitude, nearest_qp, root_mean_square
from nnr_codec.codec.encode.quantize.tensor_roles import is_vector
from nnr_codec.codec.encode.tensor_input import TensorsInMemory
from nnr_codec.entropy import TensorCoding, rate
from nnr_codec.quant import matched_lambda, mse_per_step, qp_value_range, quantize_rdo, step_size
from nnr_codec.rate_control.target_report import TargetReport, TensorReport

#: QP density of the search: one QP changes the size of a model by a few tenths of a percent.
DENSITY = 7
_QPS = qp_value_range(DENSITY)
_SAMPLE_SIZE = 1 << 13
# Range of steps, as the number of steps in the largest weight of a tensor. Levels have 32 bits; with a quarter of a step all
# levels are 0.
_MAX_STEPS, _MIN_STEPS = 2.0**30, 0.25
# Size of an empty unit without its name, in bytes, for the estimate.
_UNIT_BYTES = 16


class TargetModel:
    """Tensors whose steps are searched, with the sizes and errors that follow from a scale.

    Parameters
    ----------
    tensors : TensorsInMemory
    config : EncoderConfig
    allocation : str
        ``relative`` ties each step to the root mean square of its tensor; ``squared`` uses one step for all tensors.

    Attributes
    ----------
    values : dict of str to float32[n]
        Finite tensors of floats that are not all zero. The others are encoded without a search.
    energy : float
        Sum of squared weights of the tensors whose steps are searched.
    """

    def __init__(self, tensors: TensorsInMemory, config: EncoderConfig, allocation: str) -> None:
        self.tensors = tensors
        # Steps are set by name. A qp or bit depth in the configuration would change the base of QPs and their density.
        self.config = config = replace(config, qp=None, qp_1d=None, bit_depth=None)
        self.size_bytes = tensors.stored_bytes
        self.count = sum(t.size for t in tensors.values())
        self.mse = mse_per_step(config.dependent)
        self.values = {}
        for name, tensor in tensors.items():
            if tensor.dtype.kind == "f":
                # The stream holds float32: values of wider types may become 0 or infinite.
                with np.errstate(over="ignore", under="ignore"):
                    values = np.require(tensor, np.float32, ["C", "A"]).reshape(-1)
                if values.any() and np.isfinite(values).all():
                    self.values[name] = values
        self._rms = {name: root_mean_square(values) for name, values in self.values.items()}
        self._bounds: dict[str, tuple[int, int]] = {}
        for name, values in self.values.items():
            # `encode` stores a tensor without quantisation if its default QP is out of range. So does this search.
            error = config.relative_error_1d if is_vector(tensors[name].shape) else config.relative_error
            if nearest_qp(error * self._rms[name] / math.sqrt(self.mse), DENSITY) in _QPS:
                largest = largest_magnitude(values)
                self._bounds[name] = (
                    max(nearest_qp(largest / _MAX_STEPS, DENSITY), _QPS[0]),
                    min(nearest_qp(largest / _MIN_STEPS, DENSITY), _QPS[-1]),
                )
        self._unit = {name: self._rms[name] if allocation == "relative" else 1.0 for name in self._bounds}
        self._samples = {name: sample_of(self.values[name], _SAMPLE_SIZE) for name in self._bounds}
        self._unquantised_bits = 32.0 * sum(v.size for n, v in self.values.items() if n not in self._bounds)
        self.energy = sum(self._rms[name] ** 2 * self.values[name].size for name in self._bounds)

    def initial_log_scale(self) -> float:
        """Return a log scale at which the relative error is about 5 %."""
        low, high = self.log_scale_range()
        units = sum(u * u * self.values[n].size for n, u in self._unit.items())
        return min(max(math.log(0.05 * math.sqrt(self.energy / units)), low), high)

    def log_scale_range(self) -> tuple[float, float]:
        """Return the log scales outside which no step changes."""
        log_units = {name: math.log(unit) for name, unit in self._unit.items()}
        log_steps = {
            name: tuple(math.log(step_size(qp, DENSITY)) for qp in bounds)
            for name, bounds in self._bounds.items()
        }
        return (
            min(log_steps[n][0] - log_units[n] for n in log_units),
            max(log_steps[n][1] - log_units[n] for n in log_units),
        )

    def qps(self, scale: float) -> dict[str, int]:
        """Return the QP of each tensor at a scale; vectors keep at most the error of ``relative_error_1d``."""
        qp_by_name = {}
        for name, unit in self._unit.items():
            step = scale * unit
            if is_vector(self.tensors[name].shape):
                step = min(step, self.config.relative_error_1d * self._rms[name] / math.sqrt(self.mse))
            qp_by_name[name] = self._nearest_qp_in_bounds(name, step)
        return qp_by_name

    def qps_for_error(self, asked: float) -> dict[str, int]:
        """Return the default QPs for a relative error, of the tensors with two or more dimensions."""
        return {
            name: self._nearest_qp_in_bounds(name, asked * self._rms[name] / math.sqrt(self.mse))
            for name in self._bounds
            if not is_vector(self.tensors[name].shape)
        }

    def _nearest_qp_in_bounds(self, name: str, step: float) -> int:
        low, high = self._bounds[name]
        return nearest_qp(min(max(step, step_size(low, DENSITY)), step_size(high, DENSITY)), DENSITY)

    def bounds(self, name: str) -> tuple[int, int]:
        """Return the finest and the coarsest QP of a tensor."""
        return self._bounds[name]

    def _configured(self, qps: Mapping[str, int]) -> EncoderConfig:
        qp_by_name = tuple((glob.escape(name), qp) for name, qp in qps.items())
        return replace(self.config, qp_by_name=qp_by_name, qp_density=DENSITY)

    def encode(self, qps: Mapping[str, int], options: Mapping[str, Any]) -> bytes:
        """Encode the whole model."""
        return encode(self.tensors, self._configured(qps), **options)

    def errors(self, qps: Mapping[str, int]) -> dict[str, float]:
        """Return the relative error of each named tensor, by encoding and decoding it."""
        decoded = decode(encode({name: self.tensors[name] for name in qps}, self._configured(qps)))
        return {name: self._error(name, decoded[name]) / self._rms[name] for name in qps}

    def _error(self, name: str, decoded: ArrayLike) -> float:
        return root_mean_square(self.values[name] - np.asarray(decoded, np.float32).reshape(-1))

    def estimate(self, scale: float) -> tuple[float, float]:
        """Return estimates of bits and squared error, from samples and the rate model."""
        bits, squared = self._unquantised_bits, 0.0
        slope = self.config.lambda_scale * USUAL_SLOPE * matched_lambda(self.mse)
        for name, qp in self.qps(scale).items():
            sample, step = self._samples[name], step_size(qp, DENSITY)
            coding = TensorCoding(rows=1, width=sample.size, dependent=self.config.dependent)
            levels = quantize_rdo(sample, step, coding, slope)
            size_ratio = self.values[name].size / sample.size
            estimated = rate.estimate_bits(levels, coding)
            bits += (estimated.total - estimated.side) * size_ratio + estimated.side
            bits += 8 * (_UNIT_BYTES + len(name))
            squared += root_mean_square(sample - np.float32(step) * levels) ** 2 * self.values[name].size
        return bits, squared

    def relative(self, squared: float) -> float:
        """Return the relative error for a squared error of the whole model."""
        return math.sqrt(squared / self.energy) if self.energy else 0.0

    def measure(self, stream: bytes) -> tuple[float, tuple[TensorReport, ...]]:
        """Decode a stream; return the relative error of the whole model and a report per tensor."""
        decoded = decode(stream, dequantize=False)
        squared, reports = 0.0, []
        for name, values in self.values.items():
            tensor = decoded[name]
            is_coded = isinstance(tensor, QuantizedTensor)
            error = self._error(name, tensor.dequantize() if is_coded else tensor)
            squared += error**2 * values.size
            step = tensor.step_size if is_coded else 0.0
            reports.append(TensorReport(name, values.size, step, error / self._rms[name]))
        return self.relative(squared), tuple(reports)

    def report(
        self,
        target: str,
        asked: float,
        reached: float,
        stream: bytes,
        points: list[tuple[float, float]],
        measured: tuple[float, tuple[TensorReport, ...]],
    ) -> TargetReport:
        """Return the report of a search that ends with `stream`; `measured` is from `measure`."""
        error, reports = measured
        return TargetReport(
            target=target,
            asked=asked,
            reached=reached,
            size_bytes=len(stream),
            bits_per_weight=8 * len(stream) / max(self.count, 1),
            ratio=self.size_bytes / len(stream),
            relative_error=error,
            points=tuple(points),
            tensors=reports,
        )
