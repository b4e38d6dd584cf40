# SPDX-License-Identifier: Apache-2.0
"""Decoding of payloads with the cost of every bin, for the inspector."""

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

#: Syntax elements of bypass bins, in the order of the native module.
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
    """Bins of one tensor that one context model codes.

    Attributes
    ----------
    index : int
        Index of the context model.
    n_bins, n_ones : int
    bits : float
        Sum over the bins of -log2 of the fraction of the range that the bin keeps.
    final_state : int
        S after the tensor; positive if 1 is the more probable symbol.

    Clause: format 5.2
    """

    index: int
    n_bins: int
    n_ones: int
    bits: float
    final_state: int


class Price(NamedTuple):
    """Number of bins and their cost in bits."""

    n_bins: int
    n_ones: int
    bits: float


@dataclass(frozen=True)
class ProbedTensor:
    """One tensor of a probed codeword."""

    levels: NDArray[np.int32]  # [rows * width], row-major, after the mapping of dependent quantisation
    contexts: tuple[ContextUse, ...]  # only contexts that coded a bin
    bypass: dict[str, Price]  # by BYPASS_ELEMENTS
    begin_bit: int  # bits of the codeword read before the tensor
    end_bit: int  # bits of the codeword read up to the end of the tensor
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
    """Bin whose decoding consumes a watched bit.

    Attributes
    ----------
    tensor : int
        Index of the tensor in the payload.
    context : int
        Index of the context model; -1 for a bypass bin.
    element : str
        Syntax element of a bypass bin, one of BYPASS_ELEMENTS.
    level : int
        Number of levels of the tensor up to and including the current one, without skipped rows.
    """

    tensor: int
    context: int
    element: str
    level: int


@dataclass(frozen=True)
class ProbedPayload:
    """Costs of a codeword, up to its end or its fault.

    Attributes
    ----------
    tensors : tuple of ProbedTensor
        Tensors whose decoding started. If ``fault`` is set, the levels of the last tensor are undefined.
    bits_read : int
        Bits up to and including the stop bit, or up to the fault.
    outcome : Outcome
        ``OK``, or the reason why decoding ended.
    fault : BitstreamError or None
        The error that `decode_payload` raises.
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
    """Decode a codeword and return the cost of each of its parts. A fault is returned, not raised.

    Parameters
    ----------
    payload, tensors, bit_offset, path
        As in `decode_payload`.
    watch_bit : int, optional
        Bit of the payload; the result's ``watched`` is its bin.

    Returns
    -------
    ProbedPayload

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
