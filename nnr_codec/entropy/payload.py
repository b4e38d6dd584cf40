# SPDX-License-Identifier: Apache-2.0
"""Payloads of data units: one arithmetic codeword that holds the levels of one tensor or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnr_codec import _native
from nnr_codec.errors import BitstreamError, MalformedBitstream, NotEncodable, TruncatedBitstream

_Outcome = _native.Outcome

# Error class, what is wrong, the clause it breaks.
_DECODING_FAULTS: dict[_native.Outcome, tuple[type[BitstreamError], str, str]] = {
    _Outcome.TRUNCATED: (TruncatedBitstream, "the codeword needs more bits than its unit has", "format 5.1"),
    _Outcome.LEVEL_OVERFLOW: (MalformedBitstream, "a level does not fit 32 bits", "format 5.3"),
    _Outcome.OFFSET_ABOVE_RANGE: (
        MalformedBitstream,
        "an offset lies outside the range of the arithmetic decoder",
        "format 5.5",
    ),
    _Outcome.NO_TERMINATION: (MalformedBitstream, "the terminating bin is 0", "format 3"),
    _Outcome.BAD_STOP_BIT: (MalformedBitstream, "the stop bit or its padding is wrong", "format 5.1"),
    _Outcome.TRAILING_BYTES: (MalformedBitstream, "bytes follow the end of the codeword", "format 3"),
    _Outcome.NOT_IN_CODEBOOK: (MalformedBitstream, "a level lies outside the codebook", "format 5.3"),
}

_ENCODING_FAULTS = {
    _Outcome.PARITY_MISMATCH: "dependent quantisation cannot reach this level from the state it is in",
    _Outcome.NOT_IN_CODEBOOK: "this level lies outside the codebook",
    _Outcome.LEVEL_IN_SKIPPED_ROW: "this level is not zero and its row is skipped",
}


class BlockRowStart(NamedTuple):
    """Where a block row starts in a codeword.

    Clause: format 5.5.
    """

    position: int  # bits read less 9, from the codeword's first bit
    offset: int  # the arithmetic decoder's, below 256
    state: int  # of dependent quantisation, 0..7


@dataclass(frozen=True)
class TensorToDecode:
    """What is known of a tensor before its payload is read."""

    coding: _native.TensorCoding
    base: NDArray[np.int32] | None = None  # [rows * width] levels of the previous update
    history: NDArray[np.uint8] | None = None  # [rows * width] 1 where any earlier update was not zero


@dataclass(frozen=True)
class DecodedTensor:
    """A tensor's levels and what its payload said besides them."""

    levels: NDArray[np.int32]  # [rows * width], row-major, after the mapping of dependent quantisation
    qp_value: int
    history_enabled: bool
    row_skip_enabled: bool
    row_skip_flags: bytes
    initialisations: bytes  # 0..8 per coded flag, in coding order
    block_row_starts: tuple[BlockRowStart, ...]


class PayloadToDecode(NamedTuple):
    """One payload of a batch.

    Attributes
    ----------
    quantization : Quantization or None
        Turns levels into values, in their own memory; None leaves them levels. Not for tensors with a codebook.
    bit_offset, path
        The payload's place in the stream, for errors.
    entry_points : sequence of (position, offset, state)
        Of one tensor's block rows but the first, as its header says, positions from where the first one starts. They let threads
        share the tensor; what is decoded does not depend on them.
    """

    payload: bytes | memoryview
    codings: Sequence[_native.TensorCoding]
    quantization: _native.Quantization | None = None
    bit_offset: int = 0
    path: str | None = None
    entry_points: Sequence[tuple[int, int, int]] = ()


class DecodedPayload(NamedTuple):
    """What a batch gives of one payload: per tensor, in coding order, its array and its ``qp_value``."""

    arrays: list[NDArray[Any]]  # int32[rows * width] levels, or the float32 values made of them
    qp_values: list[int]


@dataclass(frozen=True)
class TensorToEncode:
    """A tensor's levels and the encoder's choices for it."""

    coding: _native.TensorCoding
    levels: NDArray[np.int32]  # [rows * width], row-major, as in DecodedTensor
    qp_value: int = 0
    history_enabled: bool = False
    row_skip: bool = True  # skip rows of zeros, if there are any and the tensor can
    search_initialisations: bool = True
    base: NDArray[np.int32] | None = None
    history: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class EncodedPayload:
    """A codeword, and per tensor where its block rows start (empty with one block row)."""

    payload: bytes
    block_row_starts: tuple[tuple[BlockRowStart, ...], ...]


def decode_payload(
    payload: bytes | memoryview,
    tensors: Sequence[TensorToDecode],
    *,
    bit_offset: int = 0,
    path: str | None = None,
) -> list[DecodedTensor]:
    """Decode all tensors of one codeword.

    Parameters
    ----------
    payload : bytes-like
        The codeword, ending with its unit.
    tensors : sequence of TensorToDecode
        In coding order.
    bit_offset : int
        Where the payload starts in the stream, for error messages.
    path : str, optional
        Syntax path of the unit, likewise.

    Raises
    ------
    TruncatedBitstream
        The codeword needs more bits than there are.
    MalformedBitstream
        A level that cannot be, or a codeword that does not end with its unit.

    Clause: format 3 (payload), 5.
    """
    levels = [np.empty(t.coding.rows * t.coding.width, np.int32) for t in tensors]
    native = [_native.Tensor(t.coding, t.base, t.history) for t in tensors]
    (outcome, position, index), side = _native.decode_payload(
        np.frombuffer(payload, np.uint8), native, levels
    )
    if outcome != _Outcome.OK:
        raise decoding_fault((outcome, position, index), payload, bit_offset, path)
    return [
        DecodedTensor(array, qp, hist, skip, flags, inits, tuple(BlockRowStart(*s) for s in starts))
        for array, (qp, hist, skip, flags, inits, starts) in zip(levels, side, strict=True)
    ]


class DecodeTask:
    """A decode task: the payloads of several units that depend on no others.

    It runs on the threads of `workers`, or in `result` without them.

    Parameters
    ----------
    jobs : sequence of PayloadToDecode
    workers : Workers, optional
        Threads that start at once and run without the interpreter lock.

    Clause: format 3 (payload), 4, 5.
    """

    def __init__(self, jobs: Sequence[PayloadToDecode], workers: _native.Workers | None = None) -> None:
        self._jobs = jobs
        self._arrays = [[np.empty(coding.size, np.int32) for coding in job.codings] for job in jobs]
        self._task = _native.DecodeTask(
            [
                (job.payload, job.codings, arrays, job.quantization, job.entry_points)
                for job, arrays in zip(jobs, self._arrays, strict=True)
            ],
            workers,
        )

    def cancel(self) -> None:
        """Drop the pieces that have not started, and wait for the others."""
        self._task.cancel()

    @property
    def block_row_counts(self) -> tuple[int, int]:
        """Payloads decoded from entry points, and those whose entry points were wrong; valid after `result`."""
        return self._task.block_row_counts

    def result(self) -> list[DecodedPayload | BitstreamError]:
        """Return for each job its arrays, or the error that `decode_payload` would raise."""
        results: list[DecodedPayload | BitstreamError] = []
        outcomes = self._task.result()
        for job, arrays, (status, qp_values) in zip(self._jobs, self._arrays, outcomes, strict=True):
            if status is not None:
                results.append(decoding_fault(status, job.payload, job.bit_offset, job.path))
            else:
                if job.quantization is not None:
                    arrays = [array.view(np.float32) for array in arrays]
                results.append(DecodedPayload(arrays, qp_values))
        return results


def decoding_fault(
    status: tuple[_native.Outcome, int, int], payload: bytes | memoryview, bit_offset: int, path: str | None
) -> BitstreamError:
    """Turn the core's answer about a codeword that does not decode into an error."""
    outcome, position, index = status
    error, message, clause = _DECODING_FAULTS[outcome]
    # Bits past the end do not exist; the fault is at the first of them.
    position = min(position, 8 * len(payload))
    if outcome == _Outcome.BAD_STOP_BIT:
        position = _wrong_bit(payload, position)
    elif outcome == _Outcome.TRAILING_BYTES:
        position = (position + 7) & ~7  # behind the padding
    place = f"{path}.tensor[{index}]" if path is not None else f"tensor[{index}]"
    return error(message, path=place, bit_offset=bit_offset + position, element="payload", clause=clause)


def _wrong_bit(payload: bytes | memoryview, position: int) -> int:
    """Return the bit at fault where a codeword ends: the stop bit, which was the last one read, or one behind it.

    Clause: format 5.1
    """
    tail = payload[(position - 1) >> 3] & (0xFF >> ((position - 1) & 7))
    stop = 0x80 >> ((position - 1) & 7)
    if not tail & stop:
        return position - 1
    return (position - 1 | 7) - (tail & ~stop).bit_length() + 1


class EncodeTask:
    """An encode task: dependent quantisation of one tensor's weights, and the codeword of its levels.

    It runs on a thread of `workers`, or in `result` without them.

    Parameters
    ----------
    weights : float32[rows * width], C order
        Finite.
    step : float
        Positive.
    coding : TensorCoding
    qp_value : int
    row_skip, search_initialisations : bool
        As in `TensorToEncode`.
    levels : int32[rows * width], optional
        Receives the levels.
    workers : Workers, optional
        Threads that start at once and run without the interpreter lock.

    Clause: format 3 (payload), 4, 5.
    """

    def __init__(
        self,
        weights: NDArray[np.float32],
        step: float,
        coding: _native.TensorCoding,
        qp_value: int,
        *,
        row_skip: bool,
        search_initialisations: bool,
        levels: NDArray[np.int32] | None = None,
        workers: _native.Workers | None = None,
    ) -> None:
        options = _native.EncodeOptions(qp_value=qp_value, row_skip=row_skip, search=search_initialisations)
        self._task = _native.EncodeTask(weights, step, coding, options, levels, workers)

    def cancel(self) -> None:
        """Drop the pieces that have not started, and wait for the others."""
        self._task.cancel()

    def result(self) -> tuple[int, EncodedPayload]:
        """Return the number of quantised weights, and the codeword if it is all of them.

        Raises
        ------
        NotEncodable
            Levels that the coding cannot express.
        """
        n_quantized, status, payload, starts = self._task.result()
        raise_unless_encodable(status)
        return n_quantized, EncodedPayload(payload, (tuple(BlockRowStart(*s) for s in starts),))


def encode_payload(tensors: Sequence[TensorToEncode]) -> EncodedPayload:
    """Encode tensors into one codeword.

    Raises
    ------
    NotEncodable
        Levels that the coding cannot express; ``path`` says which.

    Clause: format 3 (payload), 5.
    """
    native = [_native.Tensor(t.coding, t.base, t.history) for t in tensors]
    options = [
        _native.EncodeOptions(
            qp_value=t.qp_value,
            history_enabled=t.history_enabled,
            row_skip=t.row_skip,
            search=t.search_initialisations,
        )
        for t in tensors
    ]
    status, payload, starts = _native.encode_payload(native, [t.levels for t in tensors], options)
    raise_unless_encodable(status)
    return EncodedPayload(payload, tuple(tuple(BlockRowStart(*s) for s in tensor) for tensor in starts))


def raise_unless_encodable(status: tuple[_native.Outcome, int, int]) -> None:
    """Turn the core's answer about levels that cannot be coded into an error."""
    outcome, failed_at, index = status
    if outcome != _Outcome.OK:
        raise NotEncodable(
            _ENCODING_FAULTS[outcome], path=f"tensor[{index}].levels[{failed_at}]", clause="format 5.3"
        )
