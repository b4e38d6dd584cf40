# SPDX-License-Identifier: Apache-2.0
"""Decoding task of a batch of units: runs in threads, in another process, or in the call of `result`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import starmap
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnr_codec import _native
from nnr_codec.codec.decode.quantized_tensor import QuantizedTensor
from nnr_codec.codec.stream.faults import error_of
from nnr_codec.errors import BitstreamError
from nnr_codec.quant import step_size

_FLOAT32, _INT32 = np.dtype(np.float32), np.dtype(np.int32)


class DecodedBatch(NamedTuple):
    """Content of a batch, tensor by tensor in the order of names.

    Attributes
    ----------
    arrays : list of float32[shape] or int32[shape]
        Values, or levels of quantised tensors if the task does not dequantise. Those of a faulty unit hold anything.
    qp_values : list of int
        Quantisation parameters, 0 for a tensor without; empty for values.
    errors : list of BitstreamError or None
        One for each unit; empty if no unit is faulty.
    """

    arrays: list[NDArray[Any]]
    qp_values: list[int]
    errors: list[BitstreamError | None]


class DecodeTask:
    """Decoding task of a batch.

    Parameters
    ----------
    batch : UnitBatch
    dequantize : bool
        True for values instead of levels. Values overwrite the levels in memory.
    workers : Workers, optional
        Threads that start at once and run without the interpreter lock.
    updates : UpdateTree, optional
        The units decoded so far: the units of the batch may update them and each other.

    Clause: format 3 (payload), 4, 5
    """

    def __init__(
        self,
        batch: _native.UnitBatch,
        dequantize: bool,
        workers: _native.Workers | None = None,
        updates: _native.UpdateTree | None = None,
    ) -> None:
        self._dequantize = dequantize
        self._arrays: list[NDArray[Any]] = list(starmap(np.empty, batch.layout(dequantize, _FLOAT32, _INT32)))
        self._task = _native.DecodeTask(batch, self._arrays, dequantize, workers, updates)

    def cancel(self) -> None:
        """Drop what has not started, and wait for the rest."""
        self._task.cancel()
        self._arrays = []

    @property
    def block_row_counts(self) -> tuple[int, int]:
        """Tensors decoded from entry points, and those whose entry points were wrong; valid after `result`."""
        return self._task.block_row_counts

    def result(self) -> DecodedBatch:
        """Wait for the content of the batch. Call it once: the task keeps no reference to it."""
        faults = self._task.result()
        errors = [] if faults is None else [None if fault is None else error_of(fault) for fault in faults]
        arrays, self._arrays = self._arrays, []
        return DecodedBatch(arrays, [] if self._dequantize else self._task.qp_values, errors)


def decode_batch(job: tuple[_native.UnitBatch, bool]) -> DecodedBatch:
    """Decode a batch in another process."""
    return DecodeTask(*job).result()


UnitTensors = list[NDArray[Any] | QuantizedTensor]


def in_units(
    batch: _native.UnitBatch, decoded: DecodedBatch
) -> Iterator[tuple[_native.DataUnit, UnitTensors]]:
    """Yield the units of a batch with their tensors, which leave `decoded`.

    Raises
    ------
    BitstreamError
        That of a unit, after the units before it.
    """
    arrays, qp_values, errors = decoded
    arrays.reverse()
    qp_values.reverse()
    for number in range(len(batch)):
        unit = batch[number]
        error = errors[number] if errors else None
        if error is not None:
            raise error
        if qp_values:
            yield (
                unit,
                [_quantized(unit, place, arrays.pop(), qp_values.pop()) for place in range(unit.n_tensors)],
            )
        else:
            yield unit, [arrays.pop() for _ in range(unit.n_tensors)]


def _quantized(
    unit: _native.DataUnit, place: int, levels: NDArray[Any], qp: int
) -> NDArray[Any] | QuantizedTensor:
    if levels.dtype == _FLOAT32:
        return levels
    density = unit.qp_density
    if density is None:
        return QuantizedTensor(levels)
    codebook = unit.codebooks[place]
    values, zero = (None, 0) if codebook is None else (np.array(codebook[0], np.int32), codebook[1])
    return QuantizedTensor(
        levels,
        step_size=step_size(qp, density),
        qp=qp,
        qp_density=density,
        codebook=values,
        codebook_zero_offset=zero,
        dependent=unit.dq_flag,
    )
