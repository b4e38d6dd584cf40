# SPDX-License-Identifier: Apache-2.0
"""Payloads decoded with the price of every bin kept: what the inspector's accounts are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnr_codec import _native
from nnr_codec._native import Outcome
from nnr_codec.entropy.payload import TensorToDecode, decoding_fault
from nnr_codec.errors import BitstreamError

#: What bins outside the context models are for, in the native module's order.
BYPASS_ELEMENTS = (
    "qp_value",
    "hist_dep_sig_prob_enabled_flag",
    "row_skip_enabled_flag",
    "initialisation_parameter",
    "abs_level_exp_golomb_suffix",
    "range_restart",
    "terminating_bin",
)


@dataclass(frozen=True)
class ContextUse:
    """What one context model was used for in one tensor.

    Clause: format 5.2
    """

    index: int
    n_bins: int
    n_ones: int
    bits: float  # sum of -log2 of the share of the range that each bin left
    final_state: int  # S behind the tensor; positive where 1 is the more probable symbol


class Price(NamedTuple):
    """Bins and what they cost, in bits."""

    n_bins: int
    n_ones: int
    bits: float


@dataclass(frozen=True)
class ProbedTensor:
    """One tensor's share of a codeword."""

    levels: NDArray[np.int32]  # [rows * width], row-major, after the mapping of dependent quantisation
    contexts: tuple[ContextUse, ...]  # those in use
    bypass: dict[str, Price]  # by BYPASS_ELEMENTS
    begin_bit: int  # bits of the codeword read before it and behind it
    end_bit: int
    qp_value: int
    history_enabled: bool
    row_skip_enabled: bool
    row_skip_flags: bytes  # one byte per row, 1 for a skipped row; empty if row skipping is off
    initialisations: bytes
    n_block_rows: int

    @property
    def n_skipped_rows(self) -> int:
        """Number of skipped rows."""
        return sum(self.row_skip_flags)


@dataclass(frozen=True)
class WatchedBin:
    """The first bin for which the decoder had to read past a bit."""

    tensor: int
    context: int  # -1 outside the context models; then `element` says what the bin is for
    element: str
    level: int  # how many levels of the tensor were begun, skipped rows not counted


@dataclass(frozen=True)
class ProbedPayload:
    """A codeword's accounts, as far as it could be read.

    Attributes
    ----------
    tensors : tuple of ProbedTensor
        Those that were begun; the levels of the last one are undefined where ``fault`` is set.
    bits_read : int
        Up to and including the stop bit, or up to the fault.
    outcome : Outcome
        ``OK``, or what ended decoding.
    fault : BitstreamError or None
        What `decode_payload` would raise.
    """

    tensors: tuple[ProbedTensor, ...]
    bits_read: int
    outcome: Outcome
    fault: BitstreamError | None
    watched: WatchedBin | None


def probe_payload(
    payload: bytes | memoryview,
    tensors: Sequence[TensorToDecode],
    *,
    bit_offset: int = 0,
    path: str | None = None,
    watch_bit: int | None = None,
) -> ProbedPayload:
    """Decode a codeword and say what each of its parts cost. A fault is part of the result, not raised.

    Parameters
    ----------
    payload, tensors, bit_offset, path
        As in `decode_payload`.
    watch_bit : int, optional
        A bit of the payload whose bin is wanted.

    Clause: format 5
    """
    levels = [np.zeros(t.coding.rows * t.coding.width, np.int32) for t in tensors]
    (outcome, position, index), probes, watched = _native.probe_payload(
        np.frombuffer(payload, np.uint8),
        [t.coding for t in tensors],
        [t.base for t in tensors],
        [t.history for t in tensors],
        levels,
        watch_bit,
    )
    fault = None
    if outcome != Outcome.OK:
        fault = decoding_fault((outcome, position, index), payload, bit_offset, path)
        position = min(position, 8 * len(payload))
    return ProbedPayload(
        tuple(_probed(array, *probe) for array, probe in zip(levels, probes, strict=False)),
        position,
        outcome,
        fault,
        None
        if watched is None
        else WatchedBin(watched[0], watched[1], BYPASS_ELEMENTS[watched[2]], watched[3]),
    )


def _probed(
    levels: NDArray[np.int32],
    contexts: list[tuple[int, int, int, float, int]],
    bypass: list[tuple[int, int, float]],
    begin_bit: int,
    end_bit: int,
    qp_value: int,
    history: bool,
    row_skip: bool,
    row_skip_flags: bytes,
    initialisations: bytes,
    n_block_rows: int,
) -> ProbedTensor:
    return ProbedTensor(
        levels,
        tuple(ContextUse(*use) for use in contexts),
        {name: Price(*price) for name, price in zip(BYPASS_ELEMENTS, bypass, strict=True)},
        begin_bit,
        end_bit,
        qp_value,
        history,
        row_skip,
        row_skip_flags,
        initialisations,
        n_block_rows,
    )
