# SPDX-License-Identifier: Apache-2.0
"""Payloads of data units: arithmetic codewords of the levels of one or several tensors.

Shapes: rows, width of the tensor's coding; width is the product of the dimensions after the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnr_codec import _native
from nnr_codec.errors import BitstreamError, MalformedBitstream, NotEncodable, TruncatedBitstream

_Outcome = _native.Outcome

# Error class, message and violated clause.
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
    _Outcome.PARITY_MISMATCH: "the state of dependent quantisation does not allow this level",
    _Outcome.NOT_IN_CODEBOOK: "the level lies outside the codebook",
    _Outcome.LEVEL_IN_SKIPPED_ROW: "the level is not zero, but its row is skipped",
}


class BlockRowStart(NamedTuple):
    """Position and decoder state at the start of a block row.

    Attributes
    ----------
    position : int
        Bits of the codeword that the decoder has read, minus 9.
    offset : int
        Offset of the arithmetic decoder, 0..255.
    state : int
        State of dependent quantisation, 0..7.

    Clause: format 5.5.
    """

    position: int
    offset: int
    state: int


@dataclass(frozen=True)
class TensorToDecode:
    """Decoder input for one tensor.

    Attributes
    ----------
    coding : TensorCoding
    base : int32[rows * width], optional
        Levels of the previous update.
    history : uint8[rows * width], optional
        1 where the level of any earlier update is not 0.
    """

    coding: _native.TensorCoding
    base: NDArray[np.int32] | None = None
    history: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class DecodedTensor:
    """Levels and side information decoded from a payload.

    Attributes
    ----------
    levels : int32[rows * width]
        Row-major, after the mapping of dependent quantisation.
    qp_value : int
    history_enabled, row_skip_enabled : bool
    row_skip_flags : bytes
        One flag per row; empty if row skipping is off.
    initialisations : bytes
        Initialisation 0..8 of each coded context flag, in coding order.
    block_row_starts : tuple of BlockRowStart
    """

    levels: NDArray[np.int32]
    qp_value: int
    history_enabled: bool
    row_skip_enabled: bool
    row_skip_flags: bytes
    initialisations: bytes
    block_row_starts: tuple[BlockRowStart, ...]


@dataclass(frozen=True)
class TensorToEncode:
    """Encoder input for one tensor: levels and coding options.

    Attributes
    ----------
    coding : TensorCoding
    levels : int32[rows * width]
        As in `DecodedTensor`.
    qp_value : int
    history_enabled : bool
    row_skip : bool
        Skip rows of zeros if there are any and the tensor allows it.
    search_initialisations : bool
        Search the cheapest initialisation of each context; False sends the default.
    search_sample : int
        About the number of levels that the search looks at; 0 for all.
    base, history
        As in `TensorToDecode`.
    """

    coding: _native.TensorCoding
    levels: NDArray[np.int32]
    qp_value: int = 0
    history_enabled: bool = False
    row_skip: bool = True
    search_initialisations: bool = True
    search_sample: int = 0
    base: NDArray[np.int32] | None = None
    history: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class EncodedPayload:
    """Codeword and, per tensor, the starts of its block rows (empty for a tensor of one block row)."""

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
        Codeword, from its first bit to the end of the unit.
    tensors : sequence of TensorToDecode
        In coding order.
    bit_offset : int
        Position of the payload in the stream, in bits, for errors.
    path : str, optional
        Syntax path of the unit, for errors.

    Returns
    -------
    list of DecodedTensor

    Raises
    ------
    TruncatedBitstream
        The codeword needs more bits than the payload has.
    MalformedBitstream
        A level is out of range, or the codeword does not end with its unit.

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


def decoding_fault(
    status: tuple[_native.Outcome, int, int], payload: bytes | memoryview, bit_offset: int, path: str | None
) -> BitstreamError:
    """Return the error for the status of a codeword that does not decode."""
    outcome, position, index = status
    error, message, clause = _DECODING_FAULTS[outcome]
    # The core may stop past the end; the first missing bit is the place of the fault.
    position = min(position, 8 * len(payload))
    if outcome == _Outcome.BAD_STOP_BIT:
        position = _wrong_bit(payload, position)
    elif outcome == _Outcome.TRAILING_BYTES:
        position = (position + 7) & ~7  # the first byte after the padding
    place = f"{path}.tensor[{index}]" if path is not None else f"tensor[{index}]"
    return error(message, path=place, bit_offset=bit_offset + position, element="payload", clause=clause)


def _wrong_bit(payload: bytes | memoryview, position: int) -> int:
    """Return the position of the wrong bit at the end of a codeword.

    The last bit read is the stop bit, a 1. Zeros follow it up to the byte boundary.

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
    row_skip, search_initialisations, search_sample
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
        search_sample: int = 0,
        levels: NDArray[np.int32] | None = None,
        workers: _native.Workers | None = None,
    ) -> None:
        options = _native.EncodeOptions(
            qp_value=qp_value, row_skip=row_skip, search=search_initialisations, sample=search_sample
        )
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
        The coding cannot represent a level; ``path`` names the tensor and the level.

    Clause: format 3 (payload), 5.
    """
    native = [_native.Tensor(t.coding, t.base, t.history) for t in tensors]
    options = [
        _native.EncodeOptions(
            qp_value=t.qp_value,
            history_enabled=t.history_enabled,
            row_skip=t.row_skip,
            search=t.search_initialisations,
            sample=t.search_sample,
        )
        for t in tensors
    ]
    status, payload, starts = _native.encode_payload(native, [t.levels for t in tensors], options)
    raise_unless_encodable(status)
    return EncodedPayload(payload, tuple(tuple(BlockRowStart(*s) for s in tensor) for tensor in starts))


def raise_unless_encodable(status: tuple[_native.Outcome, int, int]) -> None:
    """Raise `NotEncodable` for the status of levels that the coding cannot represent."""
    outcome, failed_at, index = status
    if outcome != _Outcome.OK:
        raise NotEncodable(
            _ENCODING_FAULTS[outcome], path=f"tensor[{index}].levels[{failed_at}]", clause="format 5.3"
        )
