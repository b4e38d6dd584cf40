# SPDX-License-Identifier: Apache-2.0
"""One tensor to one data unit: a pure function, so that it can run in any thread or process."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.block_encoder import encode_block
from nnr_codec.codec.encode.codebook import codebook_for_levels
from nnr_codec.codec.encode.effort import EFFORTS
from nnr_codec.codec.encode.feedback_search import can_feed_back, quantize_with_curvature
from nnr_codec.codec.encode.importance import without_feedback
from nnr_codec.codec.encode.rdo_search import RdoSearch
from nnr_codec.codec.encode.steps import choose_aim, choose_qp, largest_magnitude, usual_qp, weighed
from nnr_codec.codec.encode.tensor_job import EncodedTensor, TensorJob
from nnr_codec.entropy import EncodedPayload, EncodingWeights, Workers, encode_payload, rate
from nnr_codec.errors import NotEncodable
from nnr_codec.model import Codebook, DataUnit, DataUnitHeader, EntryPoint, PayloadType
from nnr_codec.quant import quantize_dependent, quantize_uniform, raise_unless_in_range, step_size
from nnr_codec.transform import Block

_INT32 = np.iinfo(np.int32)
#: A step times a level may round up to twice a weight and more: beyond this, out of float32.
_LARGEST_QUANTIZED = float(np.finfo(np.float32).max) / 8


# Where nothing is searched: what the peer uses.
_USUAL_UNARY_LENGTH = 11


def encode_tensor(job: TensorJob) -> EncodedTensor:
    """Quantise and encode one tensor.

    Raises
    ------
    NotEncodable
        The format has no exact or sensible place for these values; ``path`` is the tensor's name.

    Clause: format 3, 4, 5
    """
    begun = begin_tensor(job)
    return begun.result() if isinstance(begun, BegunTensor) else begun


def encode_without_levels(job: TensorJob) -> EncodedTensor:
    """Encode one tensor as `encode_tensor` does, and keep its levels for updates only.

    Waiting for their turn, or travelling, they cost as much as the tensor.
    """
    begun = begin_tensor(job, keep_levels=job.config.incremental)
    encoded = begun.result() if isinstance(begun, BegunTensor) else begun
    return encoded if job.config.incremental else EncodedTensor(encoded.unit, None)


def begin_tensor(
    job: TensorJob, workers: Workers | None = None, *, keep_levels: bool = True
) -> EncodedTensor | BegunTensor:
    """Encode a tensor, or begin to where the rest needs no Python.

    Parameters
    ----------
    job : TensorJob
    workers : Workers, optional
        Threads that may do the rest.
    keep_levels : bool
        False where nobody needs the levels.

    Raises
    ------
    NotEncodable
    """
    if isinstance(job.array, Block):
        return encode_block(job, job.array)
    array = job.array
    shape = array.shape or (1,)
    header = replace(job.header, topology_elem_ids=(job.name,), tensor_dimensions=shape)
    with _named(job):
        if array.dtype.kind in "iub":
            return _encode_integers(job, header, _as_int32(array))
        if array.dtype.kind == "f":
            return _encode_reals(job, header, array, workers, keep_levels)
    raise NotEncodable(f"arrays of {array.dtype} have no place in the format", path=job.name)


def needs_little_python(job: TensorJob) -> bool:
    """Whether most of a tensor's encoding is one call of the native core."""
    return (
        not isinstance(job.array, Block)
        and job.array.dtype.kind == "f"
        and not _is_optimised(job)
        and _is_native(job)
    )


@dataclass(frozen=True)
class BegunTensor:
    """A tensor whose weights the native core quantises and encodes."""

    job: TensorJob
    header: DataUnitHeader
    raw_header: DataUnitHeader  # for when the codeword is larger than the weights
    weights: NDArray[np.float32]
    step: float
    levels: NDArray[np.int32] | None
    encoding: EncodingWeights

    def result(self) -> EncodedTensor:
        """Return the encoded tensor, when it is done.

        Raises
        ------
        NotEncodable
        """
        with _named(self.job):
            n_quantized, encoded = self.encoding.result()
            raise_unless_in_range(n_quantized, self.weights, self.step)
        return _or_raw(self.job, self.weights, _unit_of(self.header, encoded, self.levels), self.raw_header)

    def cancel(self) -> None:
        """Give up what is not begun, and wait for what is: no thread reads the weights afterwards."""
        self.encoding.cancel()


@contextmanager
def _named(job: TensorJob) -> Iterator[None]:
    """Name the tensor in errors."""
    try:
        yield
    except NotEncodable as error:
        error.path = job.name if error.path is None else f"{job.name}: {error.path}"
        raise


def _as_int32(array: NDArray[Any]) -> NDArray[np.int32]:
    if array.size and (int(array.max()) > _INT32.max or int(array.min()) < _INT32.min):
        raise NotEncodable(
            f"the format holds 32-bit integers; this {array.dtype} tensor has values beyond them"
        )
    return np.require(array, np.int32, ["C", "A"]).reshape(-1)


def _unary_length(job: TensorJob, levels: NDArray[np.int32]) -> int:
    if job.config.unary_length is not None:
        return job.config.unary_length
    if job.config.preset.passes == 0:
        return _USUAL_UNARY_LENGTH
    candidates = job.config.preset.unary_lengths
    costs = rate.unary_length_costs(levels[: job.config.preset.sample], candidates)
    return candidates[costs.index(min(costs))]


def _encode_integers(job: TensorJob, header: DataUnitHeader, levels: NDArray[np.int32]) -> EncodedTensor:
    header = replace(
        header, payload_type=PayloadType.NNR_PT_INT, cabac_unary_length=_unary_length(job, levels)
    )
    return _code_levels(job, header, levels, 0)


def _encode_reals(
    job: TensorJob, header: DataUnitHeader, array: NDArray[Any], workers: Workers | None, keep_levels: bool
) -> EncodedTensor | BegunTensor:
    with np.errstate(over="ignore"):
        weights = np.require(array, np.float32, ["C", "A"]).reshape(-1)
    largest = largest_magnitude(weights)  # not finite if any weight is not
    if not math.isfinite(largest) and bool(np.isfinite(weights).sum() < np.isfinite(array).sum()):
        raise NotEncodable(f"the format holds float32; this {array.dtype} tensor has finite values beyond it")
    if not largest <= _LARGEST_QUANTIZED:
        return _raw(header, weights)
    if _is_optimised(job) and weights.any():
        coded = _optimised(job, header, weights)
        return _raw(header, weights) if coded is None else _or_raw(job, weights, coded, header)
    qp = choose_qp(job.name, weights, len(job.array.shape), job.config, job.quantization.qp_density)
    qp_value = _checked_qp_value(job, qp)
    if qp_value is None:
        return _raw(header, weights)
    float_header = _float_header(job, header)
    step = step_size(qp, job.quantization.qp_density)
    if _is_native(job):
        levels = np.empty(weights.size, np.int32) if keep_levels else None
        encoding = EncodingWeights(
            weights,
            step,
            job.coding(float_header),
            qp_value,
            row_skip=job.config.row_skip,
            search_initialisations=job.config.search_initialisations,
            levels=levels,
            workers=workers,
        )
        return BegunTensor(job, float_header, header, weights, step, levels, encoding)
    return _or_raw(job, weights, _encode_at(job, float_header, weights, step, qp_value), header)


def _is_optimised(job: TensorJob) -> bool:
    """Whether levels are searched, unless all weights are 0."""
    weighted = job.importance is not None or job.curvature is not None or job.worth != 1
    return job.config.preset.passes > 0 or (weighted and job.config.bit_depth is None)


def _is_native(job: TensorJob) -> bool:
    """Whether weights that are not searched go to dependent quantisation, and to a codeword in one way only."""
    return job.config.dependent and job.flexible_parent is None


def _or_raw(
    job: TensorJob, weights: NDArray[np.float32], coded: EncodedTensor, header: DataUnitHeader
) -> EncodedTensor:
    """Return what is coded, or the weights as they are where that is wanted and smaller."""
    smaller = job.config.raw_when_smaller and weights.nbytes <= len(coded.unit.payload)
    return _raw(header, weights) if smaller else coded


def _checked_qp_value(job: TensorJob, qp: int) -> int | None:
    """Return what is written for a QP; None when it is out of the stream's reach and nobody asked for it."""
    qp_value = qp - job.quantization.quantization_parameter
    half = 1 << (5 + job.quantization.qp_density)
    if -half <= qp_value < half:
        return qp_value
    if job.config.qp is not None or job.config.qp_for_name(job.name) is not None:
        raise NotEncodable(
            f"qp {qp} is out of reach of the stream's {job.quantization.quantization_parameter}"
        )
    return None


def _optimised(job: TensorJob, header: DataUnitHeader, weights: NDArray[np.float32]) -> EncodedTensor | None:
    density = job.quantization.qp_density
    aim = weighed(
        choose_aim(job.name, weights, len(job.array.shape), job.config, density), job.worth, density
    )
    header = _float_header(job, header)
    # A search far outside the stream's steps would leave the range of levels and of float32.
    if _checked_qp_value(job, usual_qp(aim, job.config.dependent, density)) is None:
        return None
    if job.curvature is not None and can_feed_back(job, header):
        found = quantize_with_curvature(job, header, weights, aim, job.curvature)
    else:
        if job.curvature is not None:
            job = replace(job, importance=without_feedback(job.curvature, job.array.shape))
        effort = job.config.preset if job.config.preset.passes > 0 else EFFORTS["medium"]
        found = RdoSearch(job, header, weights, aim, effort).run()
    qp_value = _checked_qp_value(job, found.qp)
    return None if qp_value is None else _with_codebook(job, found.header, found.levels, qp_value)


def _raw(header: DataUnitHeader, weights: NDArray[np.float32]) -> EncodedTensor:
    # A raw tensor leaves no levels behind, so it takes no part in updates and is no node of theirs.
    header = replace(header, payload_type=PayloadType.NNR_PT_RAW_FLOAT, node_id=None, parent=None)
    return EncodedTensor(DataUnit(header=header, payload=weights.astype("<f4").tobytes()), None)


def _float_header(job: TensorJob, header: DataUnitHeader) -> DataUnitHeader:
    shape = header.tensor_dimensions or (1,)
    return replace(
        header,
        payload_type=PayloadType.NNR_PT_FLOAT,
        dq_flag=job.config.dependent,
        cabac_unary_length=job.config.unary_length or _USUAL_UNARY_LENGTH,
        scan_order=job.config.scan_order if shape[0] > 1 and math.prod(shape[1:]) > 1 else 0,
    )


def _encode_at(
    job: TensorJob, header: DataUnitHeader, weights: NDArray[np.float32], step: float, qp_value: int
) -> EncodedTensor:
    if job.config.dependent:
        return _code_levels(job, header, quantize_dependent(weights, step, job.coding(header)), qp_value)
    return _with_codebook(job, header, quantize_uniform(weights, step), qp_value)


def _with_codebook(
    job: TensorJob, header: DataUnitHeader, levels: NDArray[np.int32], qp_value: int
) -> EncodedTensor:
    """Code levels as they are, or as indices into a codebook when that is wanted and smaller."""
    plain = _code_levels(job, header, levels, qp_value)
    if not job.config.codebook or header.dq_flag:
        return plain
    found = codebook_for_levels(levels)
    if found is None:
        return plain
    codebook, indices = found
    indexed = _code_levels(job, replace(header, codebook=codebook), indices, qp_value)
    return (
        indexed if len(indexed.unit.payload) + _codebook_bytes(codebook) < len(plain.unit.payload) else plain
    )


def _codebook_bytes(codebook: Codebook) -> int:
    # An entry's Exp-Golomb code takes about 1 + 2 log2(difference) bits; good enough to decide.
    gaps = np.diff(np.array(codebook.values, np.int64))
    return int((1 + 2 * np.log2(np.maximum(gaps, 1))).sum() / 8) + 4


def _code_levels(
    job: TensorJob, header: DataUnitHeader, levels: NDArray[np.int32], qp_value: int
) -> EncodedTensor:
    """Code levels with the cheapest use of earlier updates."""
    candidates = []
    for parent, history in job.parent_choices():
        # Replacing a field takes as long as coding a small tensor.
        candidate = header if parent is header.parent else replace(header, parent=parent)
        candidates.append(
            (candidate, encode_payload([job.tensor_to_encode(candidate, levels, qp_value, history)]))
        )
    chosen, encoded = min(candidates, key=lambda choice: len(choice[1].payload))
    return _unit_of(chosen, encoded, levels)


def _unit_of(
    header: DataUnitHeader, encoded: EncodedPayload, levels: NDArray[np.int32] | None
) -> EncodedTensor:
    starts = encoded.block_row_starts[0]
    if len(starts) > 1:
        points = tuple(EntryPoint(s.position - starts[0].position, s.offset, s.state) for s in starts[1:])
        header = replace(header, entry_points=points)
    return EncodedTensor(DataUnit(header=header, payload=encoded.payload), levels)
