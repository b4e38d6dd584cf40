# SPDX-License-Identifier: Apache-2.0
"""What levels cost, without producing a stream: for encoders and for people who write quantisers of their own.

A quantiser of your own asks what levels would take, and what the next value would cost after those already chosen:

>>> import numpy as np
>>> from nnr_codec import rate
>>> weights = np.random.default_rng(1).laplace(0, 1, (100, 100))
>>> coding = rate.TensorCoding(rows=100, width=100)
>>> rounded = np.rint(weights / 0.5).astype(np.int32)
>>> shrunk = np.trunc(weights / 0.5 + 0.25 * np.sign(weights)).astype(np.int32)
>>> bits = [rate.estimate_bits(levels, coding).total / weights.size for levels in (rounded, shrunk)]
>>> [f"{b:.1f}" for b in bits]
['3.5', '3.3']
>>> after = rate.cost_tables(shrunk[:50], coding, largest=4)
>>> [f"{b:.1f}" for b in after.nonzero[0] + after.sign[0, 0] + after.magnitude[0]]
['2.7', '3.6', '4.5', '5.6']
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnr_codec import _native
from nnr_codec._native import TensorCoding
from nnr_codec.entropy.payload import TensorToEncode, raise_unless_encodable

__all__ = [
    "CostTables",
    "RateEstimate",
    "TensorCoding",
    "coded_values",
    "cost_tables",
    "estimate",
    "estimate_bits",
    "search_initialisations",
    "unary_length_costs",
]


@dataclass(frozen=True)
class RateEstimate:
    """Bits of one tensor by what they are spent on."""

    significance: float
    sign: float
    greater: float  # greater-than flags
    escape: float  # magnitudes beyond the unary length
    side: float  # quantisation parameter, row-skip flags, initialisations

    @property
    def total(self) -> float:
        """All of them; the end of the codeword adds 1 to 2 bytes."""
        return self.significance + self.sign + self.greater + self.escape + self.side


@dataclass(frozen=True)
class CostTables:
    """Bits of a next value, the contexts being as some levels left them.

    Attributes
    ----------
    zero, nonzero : float32[3, states]
        Of the significance bin, by the value before (zero, negative, positive) and the state (8 with dependent quantisation).
    sign : float32[3, 2]
        By the value before and the sign (positive, negative).
    magnitude : float32[2, largest]
        Of magnitude ``1 + index`` once sign is known, by sign.

    Clause: format 5.2
    """

    zero: NDArray[np.float32]
    nonzero: NDArray[np.float32]
    sign: NDArray[np.float32]
    magnitude: NDArray[np.float32]


def _native_tensor(tensor: TensorToEncode) -> tuple[_native.Tensor, _native.Choices]:
    choices = _native.Choices(
        qp_value=tensor.qp_value,
        history_enabled=tensor.history_enabled,
        row_skip=tensor.row_skip,
        search=tensor.search_initialisations,
    )
    return _native.Tensor(tensor.coding, tensor.base, tensor.history), choices


def estimate(tensor: TensorToEncode) -> RateEstimate:
    """Return the bits that `nnr_codec.entropy.encode_payload` would spend on a tensor.

    Raises
    ------
    NotEncodable
        Levels that the coding cannot express.

    Clause: format 5.3
    """
    native, choices = _native_tensor(tensor)
    status, *bits = _native.estimate_rate(native, tensor.levels, choices)
    raise_unless_encodable(status)
    return RateEstimate(*bits)


def estimate_bits(levels: NDArray[np.int32], coding: TensorCoding, *, search: bool = True) -> RateEstimate:
    """Return the bits of levels under a coding; `search` says whether initialisations are chosen for them.

    Parameters
    ----------
    levels : int32[...]
        As many as the coding's rows times width; with dependent quantisation after the mapping of format 5.4.
    """
    flat = np.require(levels, np.int32, ["C", "A"]).reshape(-1)
    return estimate(TensorToEncode(coding, flat, search_initialisations=search))


def search_initialisations(tensor: TensorToEncode) -> bytes:
    """Return the cheapest initialisation, 0..8, of each context the stream announces, in its order.

    Clause: format 5.3
    """
    native, choices = _native_tensor(tensor)
    status, initialisations = _native.search_initialisations(native, tensor.levels, choices)
    raise_unless_encodable(status)
    return bytes(initialisations)


def coded_values(levels: NDArray[np.int32], dependent: bool) -> NDArray[np.int32]:
    """Return what the bins say of levels: with dependent quantisation, the values before the mapping of format 5.4."""
    if not dependent:
        return levels
    values: NDArray[np.int32] = np.sign(levels) * ((np.abs(levels) + 1) >> 1)
    return values


def unary_length_costs(values: NDArray[np.int32], candidates: Sequence[int]) -> list[float]:
    """Return the bits of the magnitudes of coded values for each unary length; for comparison among themselves.

    Clause: format 5.3
    """
    return _native.magnitude_costs(np.require(values, np.int32, ["C", "A"]).reshape(-1), list(candidates))


def cost_tables(
    levels: NDArray[np.int32],
    coding: TensorCoding,
    *,
    initialisations: bytes | None = None,
    largest: int = 64,
) -> CostTables:
    """Return the costs of a next value after `levels`, which may be empty: then as a tensor starts.

    Parameters
    ----------
    levels : int32[n]
        The first levels of a tensor, row by row.
    coding : TensorCoding
        Its unary length and whether it is dependent count, its size does not.
    largest : int
        Largest magnitude in the table.

    Returns
    -------
    CostTables

    Clause: format 5.2
    """
    values = coded_values(np.require(levels, np.int32, ["C", "A"]).reshape(-1), coding.dependent)
    given = None if initialisations is None else np.frombuffer(initialisations, np.uint8)
    states = 8 if coding.dependent else 1
    zero, nonzero, sign, magnitude = (
        np.array(table, np.float32) for table in _native.cost_tables(coding, values, given, largest)
    )
    return CostTables(
        zero.reshape(3, -1)[:, :states],
        nonzero.reshape(3, -1)[:, :states],
        sign.reshape(3, 2),
        magnitude.reshape(2, -1),
    )
