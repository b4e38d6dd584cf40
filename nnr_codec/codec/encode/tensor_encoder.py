# SPDX-License-Identifier: Apache-2.0
"""Encoding of one tensor to one data unit; a pure function, which runs in any thread or process."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.block_encoder import encode_block
from nnr_codec.codec.encode.coded_units import USUAL_UNARY_LENGTH, code_levels
from nnr_codec.codec.encode.quantize.bounded_quantizer import (
    TensorEncodeTask,
    named,
    needs_one_call,
    needs_search,
)
from nnr_codec.codec.encode.quantize.float_encoder import begin_reals
from nnr_codec.codec.encode.tensor_job import EncodedTensor, TensorJob
from nnr_codec.entropy import Workers, rate
from nnr_codec.errors import NotEncodable
from nnr_codec.model import DataUnitHeader, PayloadType
from nnr_codec.transform import Block

_INT32 = np.iinfo(np.int32)


def encode_tensor(job: TensorJob) -> EncodedTensor:
    """Quantise and encode one tensor.

    Raises
    ------
    NotEncodable
        The format cannot hold the values; ``path`` is the tensor's name.

    Clause: format 3, 4, 5
    """
    begun = begin_tensor(job)
    return begun.result() if isinstance(begun, TensorEncodeTask) else begun


def encode_without_levels(job: TensorJob, workers: Workers | None = None) -> EncodedTensor:
    """Encode one tensor like `encode_tensor`, and drop its levels unless updates need them.

    Levels take as much memory, or transfer between processes, as the tensor.
    """
    begun = begin_tensor(job, workers, keep_levels=job.config.incremental)
    encoded = begun.result() if isinstance(begun, TensorEncodeTask) else begun
    if job.config.incremental or encoded.levels is None:
        return encoded
    return replace(encoded, levels=None)


def begin_tensor(
    job: TensorJob, workers: Workers | None = None, *, keep_levels: bool = True
) -> EncodedTensor | TensorEncodeTask:
    """Encode a tensor, or return a task whose remaining work is native.

    Parameters
    ----------
    job : TensorJob
    workers : Workers, optional
        Threads for the native work.
    keep_levels : bool
        False if the levels are not needed.

    Raises
    ------
    NotEncodable
    """
    if isinstance(job.array, Block):
        return encode_block(job, job.array)
    array = job.array
    shape = array.shape or (1,)
    # A new header takes half the time of a copy.
    header = DataUnitHeader(
        topology_elem_ids=(job.name,),
        tensor_dimensions=shape,
        node_id=job.header.node_id,
        parent=job.header.parent,
    )
    try:
        if array.dtype.kind in "iub":
            return _encode_integers(job, header, _as_int32(array))
        if array.dtype.kind == "f":
            return begin_reals(job, header, array, workers, keep_levels)
    except NotEncodable as error:
        raise named(error, job.name) from None
    raise NotEncodable(f"arrays of {array.dtype} have no place in the format", path=job.name)


def needs_little_python(job: TensorJob) -> bool:
    """Tell whether the encoding of a tensor is mostly one native call."""
    return (
        not isinstance(job.array, Block)
        and job.array.dtype.kind == "f"
        and not needs_search(job)
        and needs_one_call(job)
    )


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
        return USUAL_UNARY_LENGTH
    candidates = job.config.preset.unary_lengths
    costs = rate.unary_length_costs(levels[: job.config.preset.sample], candidates)
    return candidates[costs.index(min(costs))]


def _encode_integers(job: TensorJob, header: DataUnitHeader, levels: NDArray[np.int32]) -> EncodedTensor:
    header = replace(
        header, payload_type=PayloadType.NNR_PT_INT, cabac_unary_length=_unary_length(job, levels)
    )
    return code_levels(job, header, levels, 0)
