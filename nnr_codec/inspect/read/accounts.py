# SPDX-License-Identifier: Apache-2.0
"""Bit counts of one payload and of its tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.entropy.probe import ContextUse, Price, WatchedBin
from nnr_codec.inspect.read.fault import Fault
from nnr_codec.inspect.read.levels import LevelStatistics

#: Ledger lines of bits that belong to no element of a tensor.
TERMINATION = "termination and padding"
UNREAD = "not decoded"


@dataclass(frozen=True)
class TensorAccount:
    """One tensor of a payload.

    Attributes
    ----------
    bits : float
        Share of the payload in bits, side information included.
    elements : dict of str to Price
        The same bits by syntax element.
    contexts : tuple of ContextUse
    unary_length : int
        Number of greater-than flags; context indices depend on it.
    levels : LevelStatistics or None
        None for raw values, and if decoding failed.
    begin_bit, end_bit : int
        Codeword bits read before and after the tensor.
    level_array : int32[rows * width] or None
        Kept on request.
    values : float32 or int32[shape] or None
        Dequantised values, kept on request.
    """

    name: str
    role: str
    shape: tuple[int, ...]
    payload_type: str
    bits: float
    elements: dict[str, Price]
    contexts: tuple[ContextUse, ...] = ()
    unary_length: int = 10
    levels: LevelStatistics | None = None
    qp: int | None = None
    step_size: float | None = None
    dependent: bool = False
    scan_order: int = 0
    codebook_size: int = 0
    n_skipped_rows: int = 0
    begin_bit: int = 0
    end_bit: int = 0
    level_array: NDArray[np.int32] | None = None
    values: NDArray[Any] | None = None

    @property
    def n_weights(self) -> int:
        """Number of the tensor's elements."""
        return math.prod(self.shape)

    @property
    def bits_per_weight(self) -> float:
        """Bits per weight; 0 for an empty tensor."""
        return self.bits / self.n_weights if self.n_weights else 0.0


@dataclass(frozen=True)
class PayloadAccount:
    """Bit counts of one payload; the parts add up to ``n_bits``.

    Attributes
    ----------
    n_bits : int
        Length of the payload.
    tensors : tuple of TensorAccount
        In the order of their data.
    termination_bits : float
        Terminating bin, stop bit and padding.
    unread_bits : float
        Bits after a fault, or of a payload that cannot be decoded here.
    discrepancy_bits : float
        Sum over all bins minus the value from the decoder's final state; 0 except for rounding.
    watched : WatchedBin or None
        The bin at the requested bit.
    note : str or None
        Reason why the payload was not decoded, if the stream is not at fault.
    """

    n_bits: int
    tensors: tuple[TensorAccount, ...]
    termination_bits: float = 0.0
    unread_bits: float = 0.0
    discrepancy_bits: float = 0.0
    fault: Fault | None = None
    watched: WatchedBin | None = None
    note: str | None = None
