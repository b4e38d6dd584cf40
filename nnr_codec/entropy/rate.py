# SPDX-License-Identifier: Apache-2.0
"""Rate estimation without encoding, for encoders and for quantisers outside this package.

A quantiser needs the number of bits of levels, and the cost of the next value after the values chosen so far:

>>> import numpy as np
>>> from nnr_codec import rate
>>> weights = np.random.default_rng(1).laplace(0, 1, (100, 100))
>>> coding = rate.TensorCoding(rows=100, width=100)
>>> rounded = np.rint(weights / 0.5).astype(np.int32)
>>> shrunk = np.trunc(weights / 0.5 + 0.25 * np.sign(weights)).astype(np.int32)
>>> bits = [rate.estimate_bits(levels, coding).total / weights.size for levels in (rounded, shrunk)]
>>> [f"{b:.1f}" for b in bits]
['3.5', '3.3']
>>> costs = rate.cost_tables(shrunk[:50], coding, largest=4)
>>> [f"{b:.1f}" for b in costs.nonzero[0] + costs.sign[0, 0] + costs.magnitude[0]]
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
    """Bits of one tensor by syntax element.

    Attributes
    ----------
    significance : float
        Significance flags.
    sign : float
        Sign flags.
    greater : float
        Greater-than flags.
    escape : float
        Exp-Golomb suffixes of magnitudes beyond the unary length.
    side : float
        Quantisation parameter, row-skip flags and initialisations.
    """

    significance: float
    sign: float
    greater: float
    escape: float
    side: float

    @property
    def total(self) -> float:
        """Sum of all bits. The end of the codeword adds 1 to 2 bytes."""
        return self.significance + self.sign + self.greater + self.escape + self.side


@dataclass(frozen=True)
class CostTables:
    """Costs in bits of the next value, with the contexts in the state after some levels.

    Attributes
    ----------
    zero, nonzero : float32[3, n_states]
        Cost of the significance bin, by previous value (zero, negative, positive) and state. ``n_states`` is 8 with dependent
        quantisation and 1 without.
    sign : float32[3, 2]
        Cost of the sign bin, by previous value and sign (positive, negative).
    magnitude : float32[2, largest]
        Cost of magnitude ``1 + index``, by sign.

    Clause: format 5.2
    """

    zero: NDArray[np.float32]
    nonzero: NDArray[np.float32]
    sign: NDArray[np.float32]
    magnitude: NDArray[np.float32]


def _native_tensor(tensor: TensorToEncode) -> tuple[_native.Tensor, _native.EncodeOptions]:
    options = _native.EncodeOptions(
        qp_value=tensor.qp_value,
        history_enabled=tensor.history_enabled,
        row_skip=tensor.row_skip,
        search=tensor.search_initialisations,
        sample=tensor.search_sample,
    )
    return _native.Tensor(tensor.coding, tensor.base, tensor.history), options


def estimate(tensor: TensorToEncode) -> RateEstimate:
    """Return the bits that `nnr_codec.entropy.encode_payload` spends on a tensor.

    Raises
    ------
    NotEncodable
        The coding cannot represent a level.

    Clause: format 5.3
    """
    native, options = _native_tensor(tensor)
    status, *bits = _native.estimate_rate(native, tensor.levels, options)
    raise_unless_encodable(status)
    return RateEstimate(*bits)


def estimate_bits(levels: NDArray[np.int32], coding: TensorCoding, *, search: bool = True) -> RateEstimate:
    """Return the bits of levels under a coding.

    Parameters
    ----------
    levels : int32[rows, width] or any shape of the same size
        With dependent quantisation, after the mapping of format 5.4.
    coding : TensorCoding
    search : bool
        Search the cheapest initialisations of the contexts.

    Returns
    -------
    RateEstimate

    Raises
    ------
    NotEncodable
        The coding cannot represent a level.

    Clause: format 5.3
    """
    flat = np.require(levels, np.int32, ["C", "A"]).reshape(-1)
    return estimate(TensorToEncode(coding, flat, search_initialisations=search))


def search_initialisations(tensor: TensorToEncode) -> bytes:
    """Return the cheapest initialisation, 0..8, of each context whose initialisation is coded, in coding order.

    Raises
    ------
    NotEncodable
        The coding cannot represent a level.

    Clause: format 5.3
    """
    native, options = _native_tensor(tensor)
    status, initialisations = _native.search_initialisations(native, tensor.levels, options)
    raise_unless_encodable(status)
    return bytes(initialisations)


def coded_values(levels: NDArray[np.int32], dependent: bool) -> NDArray[np.int32]:
    """Return the values that the bins code: with dependent quantisation, levels before the mapping of format 5.4.

    Parameters
    ----------
    levels : int32[...]
    dependent : bool

    Returns
    -------
    int32[...]

    Clause: format 5.4
    """
    if not dependent:
        return levels
    values: NDArray[np.int32] = np.sign(levels) * ((np.abs(levels) + 1) >> 1)
    return values


def unary_length_costs(values: NDArray[np.int32], candidates: Sequence[int]) -> list[float]:
    """Return the bits of the magnitudes of coded values for each candidate unary length.

    The result compares candidates with each other; it is not a total.

    Parameters
    ----------
    values : int32[...]
        From `coded_values`.
    candidates : sequence of int
        Unary lengths, 1..256.

    Returns
    -------
    list of float
        Bits, one entry per candidate.

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
    """Return the costs of the next value after `levels`.

    Parameters
    ----------
    levels : int32[n]
        Leading levels of a tensor in row-major order; empty for the costs at the start of a tensor.
    coding : TensorCoding
        Unary length and dependent quantisation are used; the size is not.
    initialisations : bytes, optional
        Initialisations of the contexts, from `search_initialisations`.
    largest : int
        Largest magnitude in the table.

    Returns
    -------
    CostTables

    Clause: format 5.2
    """
    values = coded_values(np.require(levels, np.int32, ["C", "A"]).reshape(-1), coding.dependent)
    initial = None if initialisations is None else np.frombuffer(initialisations, np.uint8)
    n_states = 8 if coding.dependent else 1
    zero, nonzero, sign, magnitude = (
        np.array(table, np.float32) for table in _native.cost_tables(coding, values, initial, largest)
    )
    return CostTables(
        zero.reshape(3, -1)[:, :n_states],
        nonzero.reshape(3, -1)[:, :n_states],
        sign.reshape(3, 2),
        magnitude.reshape(2, -1),
    )
