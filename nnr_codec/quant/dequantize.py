# SPDX-License-Identifier: Apache-2.0
"""Dequantisation of levels, bit-exact on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnr_codec import _native


def dequantize(
    levels: NDArray[np.int32], step: float, codebook: NDArray[np.int32] | None = None, zero_offset: int = 0
) -> NDArray[np.float32]:
    """Return the float32 values of levels.

    Parameters
    ----------
    levels : int32[...]
    step : float
        Step size. A product beyond float32 is infinite, as in IEEE 754.
    codebook : int32[codebook_size], optional
        Values; level L selects entry ``L + zero_offset``.
    zero_offset : int
        Codebook entry of level 0.

    Returns
    -------
    float32[...]
        ``float32(step) * float32(level)``, rounded once. With a codebook, the product of float32(step) and the entry is
        computed in binary64 and rounded once to float32, as NNCodec does.

    Clause: format 4
    """
    if codebook is None:
        values = np.empty(levels.shape, np.float32)
        _native.dequantize(np.require(levels, np.int32, ["C", "A"]).reshape(-1), step, values.reshape(-1))
        return values
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        products = codebook[levels + zero_offset] * np.float64(np.float32(step))
        return np.asarray(products, np.float32)
