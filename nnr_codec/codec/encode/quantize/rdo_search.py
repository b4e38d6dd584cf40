# SPDX-License-Identifier: Apache-2.0
"""Rate-distortion optimised search for the levels and coding choices of one tensor.

A sample of the tensor decides the unary length, the initialisations of the contexts, lambda, and, for a target error, the
step. Passes over the whole tensor follow. Each uses the statistics of the previous one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.effort import Effort
from nnr_codec.codec.encode.quantize.steps import (
    QuantizationTarget,
    largest_magnitude,
    nearest_qp,
    root_mean_square,
    usual_qp,
)
from nnr_codec.codec.encode.tensor_job import TensorJob
from nnr_codec.entropy import TensorCoding, TensorToEncode, Workers, encode_payload, rate
from nnr_codec.model import DataUnitHeader, ParentNode
from nnr_codec.quant import DEPENDENT_MSE, UNIFORM_MSE, matched_lambda, quantize_rdo, step_size

# Default of the header field, which costs no bits.
_UNSTATED_UNARY_LENGTH = 10
# Number of pieces of a sample, spread over the tensor.
_SAMPLE_PIECES = 8
_SMALLEST_SAMPLE = 1 << 11
# Lambda at `lambda_scale` 1, relative to the slope of the bound at high rate. From 0.2 to 6 bits a weight the measured optimum
# is flat and lies between 0.7 and 1.1, so one value serves all rates. A slope that follows the error of a pass would not
# converge.
USUAL_SLOPE = 0.94
# Share of that lambda for a target error, which stands for an error of the outputs. On a language model, LeNets and a voice
# detector shares of 0.3 to 0.5 give the smallest streams at equal divergence.
_SLOPE_AT_ERROR = 0.4
# Least error, relative to the root mean square, whose shrinkage is worth a correction: beyond, it exceeds half a QP.
_LEAST_SHRINKING = 0.07
# Elements of one sum of the shrinkage.
_PIECE = 1 << 16
# Largest correction: at the lowest rates the weights that stay would grow too much.
_LEAST_GAIN = 0.7
_MAX_SETTLING_ROUNDS = 6
_MAX_CORRECTIONS = 3
# Finest step, relative to the largest weight.
_FINEST_STEP = 2.0**-28
# Tensors up to this size never get a coarser step than the expected error per step gives.
_FEW = 64
# Multiple of the target error beyond which the search did not converge.
_MOST_EXCESS = 1.05
# Initialisations of the sign contexts after a negative and after a positive value, for tensors with mostly nonzero values and
# even signs. Even signs cost least in a context slightly above probability 1/2, where the tables are finer than below it. A
# search that starts there stays there. A search that does not start there never chooses it from its levels. Measured from 2.5
# to 7 bits a weight it saves 0.002 to 0.004 bits.
_SLOW_STARTS = (7, 8)
_STEADY_SIGNS = (8, 8)


@dataclass(frozen=True)
class Quantised:
    """Levels with their header fields and quantisation parameter."""

    header: DataUnitHeader
    levels: NDArray[np.int32]
    qp: int


#: Tensors up to this size are tried with scalar quantisation only: half the time for 1 to 2 % more bytes, names included.
_TINY = 64


@dataclass
class _State:
    """Coding choices of the search."""

    qp: int
    slope: float  # lambda, in squared steps
    unary_length: int = _UNSTATED_UNARY_LENGTH
    initialisations: bytes | None = None
    parent: ParentNode | None = None
    history: bool = False


class RdoSearch:
    """Search for the levels of one tensor.

    Parameters
    ----------
    job : TensorJob
    header : DataUnitHeader
        With payload type, dimensions and scan order.
    weights : float32[n], C order
        Finite, not all zero.
    target : QuantizationTarget
        Target quantisation parameter or error.
    effort : Effort
    workers : Workers, optional
        Threads that share the passes over the tensor.
    """

    def __init__(
        self,
        job: TensorJob,
        header: DataUnitHeader,
        weights: NDArray[np.float32],
        target: QuantizationTarget,
        effort: Effort,
        workers: Workers | None = None,
    ) -> None:
        self._workers = workers
        self._job, self._header, self._weights, self._target, self._effort = (
            job,
            header,
            weights,
            target,
            effort,
        )
        self._density = job.quantization.qp_density
        self._importance = (
            None if job.importance is None else np.require(job.importance, np.float32, ["C", "A"]).reshape(-1)
        )
        size = min(effort.sample, max(int(effort.sample_share * weights.size), _SMALLEST_SAMPLE))
        self._sample = sample_of(weights, size)
        self._sample_importance = None if self._importance is None else sample_of(self._importance, size)
        self._restores_gain = (
            target.error is not None
            and self._importance is None
            and target.error > _LEAST_SHRINKING * root_mean_square(weights)
        )

    def run(self) -> Quantised:
        """Run all searches and return the cheapest levels."""
        config, effort = self._job.config, self._effort
        # With explicit steps lambda is fixed, because all tensors of a model must have the same cost of a bit.
        slopes = effort.slopes if self._target.error is not None else (1.0,)
        tries = [(config.dependent, slope) for slope in slopes]
        if self._weights.size <= effort.small and self._target.error is not None and config.dependent:
            tries.append((False, 1.0))
        if len(tries) == 2 and self._weights.size <= _TINY:
            tries.pop(0)
        results = (pair for choice in tries for pair in self._search(*choice))
        if len(tries) * effort.passes == 1:
            return next(results)[0]
        return min((self._priced(*pair) for pair in results), key=lambda choice: choice[0])[1]

    def _search(self, dependent: bool, slope: float) -> Iterator[tuple[Quantised, _State]]:
        """Search with one quantiser and one multiple of the default lambda; yield the result of each pass."""
        header = replace(self._header, dq_flag=dependent, cabac_unary_length=_UNSTATED_UNARY_LENGTH)
        state, levels = self._settle(header, slope * USUAL_SLOPE * self._job.config.lambda_scale)
        for number in range(self._effort.passes):
            if number > 0 or levels is None:
                levels = self._whole(header, state)
            tried = {state.qp}
            step = self._decoded_step(self._weights, levels, state.qp)
            while len(tried) <= _MAX_CORRECTIONS:
                qp = self._better_qp(self._weights, levels, state.qp, step)
                if qp in tried:  # the target is met, or no QP is closer
                    break
                tried.add(qp)
                state.qp = qp
                levels = self._whole(header, state)
                step = self._decoded_step(self._weights, levels, qp)
            qp = nearest_qp(step, self._density)
            yield Quantised(replace(header, cabac_unary_length=state.unary_length), levels, qp), state
            if number < self._effort.passes - 1:
                self._learn_contexts(header, levels, state, sampled=False)

    def _settle(self, header: DataUnitHeader, slope: float) -> tuple[_State, NDArray[np.int32] | None]:
        """Choose unary length and initialisations from a sample while the step converges to the target error.

        Return also the levels, if the sample is the whole tensor.
        """
        slope *= matched_lambda(DEPENDENT_MSE if header.dq_flag else UNIFORM_MSE)
        if self._target.error is not None and self._importance is None:
            slope *= _SLOPE_AT_ERROR
        state = _State(usual_qp(self._target, header.dq_flag, self._density), slope)
        if self._target.error is None:
            self._learn_contexts(header, self._quantize_sample(header, state), state, sampled=True)
            return state, None
        for number in range(_MAX_SETTLING_ROUNDS):
            levels = self._quantize_sample(header, state)
            decoded_step = self._decoded_step(self._sample, levels, state.qp)
            qp = self._better_qp(self._sample, levels, state.qp, decoded_step)
            # The initialisations depend little on the last few percent of the step.
            if number == 0:
                self._learn_contexts(header, levels, state, sampled=True)
            elif qp == state.qp:
                return state, levels if self._sample.size == self._weights.size else None
            state.qp = qp
        return state, None

    def _learn_contexts(
        self, header: DataUnitHeader, levels: NDArray[np.int32], state: _State, sampled: bool
    ) -> None:
        """Choose unary length, initialisations and use of earlier updates by their cost for these levels."""
        dependent = header.dq_flag
        fixed = self._job.config.unary_length
        candidates = self._effort.unary_lengths if fixed is None else (fixed,)
        values = rate.coded_values(levels[: self._effort.sample], dependent)
        costs = rate.unary_length_costs(values, candidates)
        scale = levels.size / max(values.size, 1)
        priced = [
            c * scale + (0 if u == _UNSTATED_UNARY_LENGTH else 8)
            for c, u in zip(costs, candidates, strict=True)
        ]
        state.unary_length = candidates[priced.index(min(priced))]
        if not self._job.config.search_initialisations:
            return
        if sampled and self._sample.size < self._weights.size:
            tensor = TensorToEncode(self._sample_coding(header, state), levels, row_skip=False)
            state.initialisations = _with_steady_signs(rate.search_initialisations(tensor), tensor)
            return
        choices = self._job.parent_choices()
        tensors = [
            self._job.tensor_to_encode(_stating(header, state.unary_length, p), levels, 0, h)
            for p, h in choices
        ]
        if len(choices) > 1:
            bits = [rate.estimate(tensor).total for tensor in tensors]
            cheapest = bits.index(min(bits))
        else:
            cheapest = 0
        state.parent, state.history = choices[cheapest]
        tensor = tensors[cheapest]
        state.initialisations = _with_steady_signs(rate.search_initialisations(tensor), tensor)

    def _sample_coding(self, header: DataUnitHeader, state: _State) -> TensorCoding:
        return TensorCoding(
            rows=1, width=self._sample.size, unary_length=state.unary_length, dependent=header.dq_flag,
            profile1=self._job.config.general_profile_idc == 1,
        )  # fmt: skip

    def _quantize_sample(self, header: DataUnitHeader, state: _State) -> NDArray[np.int32]:
        if self._sample.size == self._weights.size:
            return self._whole(header, state)
        return quantize_rdo(
            self._sample,
            step_size(state.qp, self._density),
            self._sample_coding(header, state),
            state.slope,
            importance=self._sample_importance,
            initialisations=state.initialisations,
            beam=self._effort.beam,
            interval=self._effort.interval,
        )

    def _whole(self, header: DataUnitHeader, state: _State) -> NDArray[np.int32]:
        header = _stating(header, state.unary_length, state.parent or self._job.flexible_parent)
        before = self._job.predecessor
        temporal = state.parent is not None and state.parent.temporal_context_modeling_flag
        return quantize_rdo(
            self._weights,
            step_size(state.qp, self._density),
            self._job.coding(header),
            state.slope,
            importance=self._importance,
            initialisations=state.initialisations,
            base=before.levels if before is not None and temporal else None,
            history=before.history if before is not None else None,
            history_enabled=state.history,
            row_skip=self._job.config.row_skip,
            beam=self._effort.beam,
            interval=self._effort.interval,
            workers=self._workers,
        )

    def _better_qp(
        self, weights: NDArray[np.float32], levels: NDArray[np.int32], qp: int, decoded_step: float
    ) -> int:
        """Return the QP that meets the target error by extrapolation from this one; the same QP if it meets the target."""
        if self._target.error is None:
            return qp
        importance = self._sample_importance if weights is self._sample else self._importance
        error = _error(weights, levels, decoded_step, importance)
        ratio = self._target.error / max(error, sys.float_info.min)
        if abs(math.log(ratio)) <= self._effort.tolerance:
            return qp
        # A few weights may lie on levels by chance; their error then says little about the step.
        most = 4.0 if weights.size > _FEW else 1.0
        better = step_size(qp, self._density) * min(max(ratio, 0.25), most)
        # Errors below the precision of float32 are out of reach, and levels have 32 bits.
        return nearest_qp(max(better, largest_magnitude(self._weights) * _FINEST_STEP), self._density)

    def _decoded_step(self, weights: NDArray[np.float32], levels: NDArray[np.int32], qp: int) -> float:
        """Return the step to decode levels with that were searched with the step of a QP.

        The least squared error shrinks weights, by 3 % at 2.5 bits. Independent errors of weights average out in a layer's
        outputs; shrunken weights shrink them, in every layer again. The step grows to reverse it.
        """
        step = step_size(qp, self._density)
        return step / _gain(weights, levels, step) if self._restores_gain else step

    def _priced(self, result: Quantised, state: _State) -> tuple[float, Quantised]:
        """Return the cost of levels in bits, adjusted to the target error or with the distortion added, and the levels."""
        levels = result.levels
        small = levels.size <= self._effort.small
        lengths = [state.unary_length]
        if small and self._job.config.unary_length is None:
            lengths = sorted({1, 4, _UNSTATED_UNARY_LENGTH, state.unary_length})
        sized = []
        for length in lengths:
            header = _stating(result.header, length, state.parent or self._job.flexible_parent)
            tensor = self._job.tensor_to_encode(header, levels, 0, state.history)
            bits = 8.0 * len(encode_payload([tensor]).payload) if small else rate.estimate(tensor).total
            sized.append((bits + (0 if length == _UNSTATED_UNARY_LENGTH else 8), length))
        bits, length = min(sized)
        header = _stating(result.header, length, result.header.parent)
        step = step_size(result.qp, self._density)
        error = _error(self._weights, levels, step, self._importance)
        if self._target.error is not None:
            # Candidates differ slightly in error. On the rate-distortion bound a factor of 2 in error is 1 bit a weight.
            # An error far below the target, as small tensors may have by chance, gets no credit.
            bits += levels.size * math.log2(max(error, 0.9 * self._target.error) / self._target.error)
            bits += 1e9 if error > _MOST_EXCESS * self._target.error else 0
        else:
            bits += levels.size * (error / step) ** 2 / state.slope
        return bits, Quantised(header, levels, result.qp)


def _stating(header: DataUnitHeader, unary_length: int, parent: ParentNode | None) -> DataUnitHeader:
    """Return a header with these fields; the same object if it has them already, because copies are slow."""
    if header.cabac_unary_length == unary_length and header.parent == parent:
        return header
    return replace(header, cabac_unary_length=unary_length, parent=parent)


def _with_steady_signs(initialisations: bytes, tensor: TensorToEncode) -> bytes:
    """Return initialisations with sign contexts at the state where even signs cost least.

    Clause: format 5.2, 5.3
    """
    if (
        tensor.base is not None
        or tensor.history_enabled
        or 2 * np.count_nonzero(tensor.levels) < tensor.levels.size
    ):
        return initialisations
    first = 25 if tensor.coding.dependent else 4
    last = first + len(_STEADY_SIGNS)
    # Contexts that adapt fast mean uneven signs, or too few of them.
    if any(chosen not in _SLOW_STARTS for chosen in initialisations[first:last]):
        return initialisations
    return initialisations[:first] + bytes(_STEADY_SIGNS) + initialisations[last:]


def _error(
    weights: NDArray[np.float32],
    levels: NDArray[np.int32],
    step: float,
    importance: NDArray[np.float32] | None = None,
) -> float:
    error = weights - np.float32(step) * levels.astype(np.float32)
    return root_mean_square(error if importance is None else error * np.sqrt(importance))


def _gain(weights: NDArray[np.float32], levels: NDArray[np.int32], step: float) -> float:
    """Return the factor by which decoded weights are smaller than the weights: their correlation over the square."""
    largest = np.float32(largest_magnitude(weights))
    product = square = 0.0
    for start in range(0, weights.size, _PIECE):
        scaled = weights[start : start + _PIECE] / largest
        product += float(np.dot(scaled, levels[start : start + _PIECE].astype(np.float32)))
        square += float(np.dot(scaled, scaled))
    return min(max(step * product / (float(largest) * square), _LEAST_GAIN), 1.0)


def sample_of(values: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return about `size` values in pieces spread over the tensor; all values if the tensor is small."""
    if values.size <= 3 * size // 2:
        return values
    piece = size // _SAMPLE_PIECES
    starts = np.linspace(0, values.size - piece, _SAMPLE_PIECES).astype(np.int64)
    return np.concatenate([values[start : start + piece] for start in starts])
