# SPDX-License-Identifier: Apache-2.0
"""Decoded tensors that are still integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnr_codec.quant import dequantize


@dataclass(frozen=True)
class QuantizedTensor:
    """A tensor's levels and what turns them into values, for integer inference.

    Attributes
    ----------
    levels : int32[shape]
        After the mapping of dependent quantisation: ``value = step_size * level`` with either quantiser.
    step_size : float
        Exact in binary64; 1.0 for an integer payload.
    qp, qp_density : int or None
        The quantisation parameter behind the step; None for an integer payload.
    codebook : int32[codebook_size] or None
        With a codebook, ``value = step_size * codebook[level + codebook_zero_offset]``.
    dependent : bool
        Whether the levels were coded with dependent quantisation.

    Clause: format 4
    """

    levels: NDArray[np.int32]
    step_size: float = 1.0
    qp: int | None = None
    qp_density: int | None = None
    codebook: NDArray[np.int32] | None = None
    codebook_zero_offset: int = 0
    dependent: bool = False

    def dequantize(self) -> NDArray[np.float32] | NDArray[np.int32]:
        """Return the values: float32, or int32 for an integer payload."""
        if self.qp is None:
            return self.levels
        return dequantize(self.levels, self.step_size, self.codebook, self.codebook_zero_offset)
