# SPDX-License-Identifier: Apache-2.0
"""Decoded tensors as levels and quantisation parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnr_codec.quant import dequantize


@dataclass(frozen=True)
class QuantizedTensor:
    """Levels of a tensor with the parameters of their dequantisation, for integer inference.

    Attributes
    ----------
    levels : int32[shape]
        Levels after the mapping of dependent quantisation, so ``value = step_size * level`` for both quantisers.
    step_size : float
        Exact in binary64; 1.0 for an integer payload.
    qp, qp_density : int or None
        Quantisation parameter of the step size; None for an integer payload.
    codebook : int32[codebook_size] or None
        With a codebook, ``value = step_size * codebook[level + codebook_zero_offset]``.
    codebook_zero_offset : int
        Codebook entry of level 0.
    dependent : bool
        True if the levels are coded with dependent quantisation.

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
        """Return the values, float32[shape], or int32[shape] for an integer payload."""
        if self.qp is None:
            return self.levels
        return dequantize(self.levels, self.step_size, self.codebook, self.codebook_zero_offset)
