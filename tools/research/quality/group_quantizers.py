# SPDX-License-Identifier: Apache-2.0
"""Group quantisers: round to nearest, GPTQ (ICLR 2023, written from the paper), and the 32-weight types of llama.cpp.

Shapes: rows, width of a weight; groups of weights in a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import gguf
import numpy as np
from numpy.typing import NDArray

from nnr_codec.quant import Curvature

_SCALE_BITS = 16
# Columns that are quantised before the others are updated.
_BLOCK = 128


@dataclass(frozen=True)
class GroupQuantizer:
    """Asymmetric quantiser with a float16 scale and an integer zero point for each group.

    Attributes
    ----------
    bits : int
    group : int
        Weights of a group.
    feedback : bool
        GPTQ; otherwise round to nearest.
    """

    bits: int
    group: int
    feedback: bool

    @property
    def name(self) -> str:
        """Label in tables."""
        return f"{'GPTQ' if self.feedback else 'nearest'}, {self.bits} bits, groups of {self.group}"

    def quantized(
        self, weight: NDArray[np.float32], curvature: Curvature | None
    ) -> tuple[NDArray[np.float32], float]:
        """Return the decoded weight and its size in bits."""
        matrix = weight.reshape(len(weight), -1)
        group = self.group if matrix.shape[1] % self.group == 0 else 32
        if self.feedback and curvature is not None:
            decoded = _with_feedback(matrix, curvature.damped, self.bits, group)
        else:
            decoded = _nearest(matrix.reshape(-1, group), self.bits).reshape(matrix.shape)
        n_groups = matrix.size // group
        return decoded.reshape(weight.shape), matrix.size * self.bits + n_groups * (_SCALE_BITS + self.bits)


@dataclass(frozen=True)
class BlockType:
    """Type of llama.cpp with blocks of 32 weights, as the package gguf quantises it."""

    name: str

    def quantized(
        self, weight: NDArray[np.float32], curvature: Curvature | None
    ) -> tuple[NDArray[np.float32], float]:
        """Return the decoded weight and its size in bits."""
        del curvature
        kind = gguf.GGMLQuantizationType[self.name]
        blocks = gguf.quantize(weight, kind)
        return gguf.dequantize(blocks, kind), 8.0 * blocks.nbytes


def _grid(groups: NDArray[np.float32], bits: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return scales and zero points, float32[groups, 1] each."""
    low = np.minimum(groups.min(1, keepdims=True), 0)
    high = np.maximum(groups.max(1, keepdims=True), 0)
    scale = ((high - low) / (2**bits - 1)).astype(np.float16).astype(np.float32)
    scale[scale == 0] = 1
    return scale, np.rint(-low / scale)


def _rounded(
    values: NDArray[np.float32], scale: NDArray[np.float32], zero: NDArray[np.float32], bits: int
) -> NDArray[np.float32]:
    levels = np.clip(np.rint(values / scale) + zero, 0, 2**bits - 1)
    rounded: NDArray[np.float32] = (levels - zero) * scale
    return rounded


def _nearest(groups: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    scale, zero = _grid(groups, bits)
    return _rounded(groups, scale, zero, bits)


def _with_feedback(
    matrix: NDArray[np.float32], hessian: NDArray[np.float64], bits: int, group: int
) -> NDArray[np.float32]:
    """Quantise column by column; each error corrects the columns after it."""
    w = matrix.astype(np.float32)
    upper = np.linalg.cholesky(np.linalg.inv(hessian)).T.astype(np.float32)
    decoded = np.empty_like(w)
    for start in range(0, w.shape[1], _BLOCK):
        stop = min(start + _BLOCK, w.shape[1])
        errors = np.empty((len(w), stop - start), np.float32)
        for column in range(start, stop):
            if column % group == 0:
                scale, zero = _grid(w[:, column : column + group], bits)
            decoded[:, column] = _rounded(w[:, column, None], scale, zero, bits)[:, 0]
            error = (w[:, column] - decoded[:, column]) / upper[column, column]
            w[:, column:stop] -= np.outer(error, upper[column, column:stop])
            errors[:, column - start] = error
        w[:, stop:] -= errors @ upper[start:stop, stop:]
    return decoded
