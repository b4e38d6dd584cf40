# SPDX-License-Identifier: Apache-2.0
"""Second moments of the inputs of weights, accumulated over batches.

Shapes: width of the inputs of a weight; groups of a convolution.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnr_codec.frameworks.embedding_rows import smoothed_frequencies
from nnr_codec.frameworks.onnx.calibration.patches import patches
from nnr_codec.frameworks.onnx.calibration.weight_uses import WeightUse
from nnr_codec.quant import Curvature
from nnr_codec.rate_control.calibrated import Moments

# Inputs with more elements than this have their diagonal measured only.
LARGEST_WIDTH = 8192
# Importance of elements that the inputs never reach, relative to the mean.
_FLOOR = 0.01
# Rows of inputs that are multiplied at a time.
_CHUNK = 4096


class MomentCollector:
    """Second moments of the inputs of one weight.

    Parameters
    ----------
    use : WeightUse
    shape : tuple of int
        Shape of the tensor.
    damping : float
        As in `Curvature`.
    """

    def __init__(self, use: WeightUse, shape: tuple[int, ...], damping: float) -> None:
        self.use, self._shape, self._damping = use, shape, damping
        self._groups = int(use.node.attributes.get("group", 1)) if use.node.op_type == "Conv" else 1
        self._sum: NDArray[np.float64] | None = None
        self._n_rows = 0

    @property
    def n_bytes(self) -> int:
        """Memory of the sums, in bytes."""
        width = self._shape[0] if self.use.inputs_first else int(np.prod(self._shape[1:]))
        return 8 * width * (width if width <= LARGEST_WIDTH and self._groups == 1 else 1)

    def add(self, value: NDArray[np.generic]) -> None:
        """Accumulate one batch of the source."""
        if self.use.node.op_type == "Gather":
            rows = self._shape[0]
            indices = np.asarray(value, np.int64).reshape(-1) % rows
            self._add(np.bincount(indices, minlength=rows).astype(np.float64), indices.size)
            return
        if self.use.node.op_type == "Conv":
            for sample in np.asarray(value, np.float32):
                self._add_patches(patches(sample[None], self.use.node, self._shape[2:])[0])
            return
        x = np.asarray(value, np.float32)
        if self.use.node.op_type == "ConvTranspose":
            x = np.moveaxis(x, 1, -1)
        elif self.use.is_recurrent:
            # [steps, directions, batch, hidden]: the state before each step, which starts at zero.
            x = x[:-1]
        self._add_rows(x.reshape(-1, x.shape[-1]))

    def _add_patches(self, rows: NDArray[np.float32]) -> None:
        """Accumulate patches [positions, channels, kernel], of all groups or of each."""
        if self._groups == 1:
            self._add_rows(rows.reshape(len(rows), -1))
            return
        squares = np.square(rows, dtype=np.float32).sum(0, dtype=np.float64)  # [channels, kernel]
        self._add(squares.reshape(self._groups, -1), len(rows))

    def _add_rows(self, rows: NDArray[np.float32]) -> None:
        width = rows.shape[1]
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            product = np.square(part).sum(0) if width > LARGEST_WIDTH else part.T @ part
            self._add(product, len(part))

    def _add(self, product: NDArray[np.floating], n_rows: int) -> None:
        if self._sum is None:
            self._sum = np.zeros(product.shape)
        self._sum += product
        self._n_rows += n_rows

    def result(self) -> Moments | None:
        """Return the moments: a curvature, or the weight of each element where one matrix does not describe the inputs.

        Returns
        -------
        Curvature, float32 array that broadcasts to the tensor, or None
            None if the inputs were all zero or not finite.
        """
        if self._sum is None or not np.isfinite(self._sum).all() or not self._sum.max() > 0:
            return None
        if self.use.node.op_type == "Gather":
            return smoothed_frequencies(self._sum).astype(np.float32)[:, None]
        mean: NDArray[np.float32] = (self._sum / self._n_rows).astype(np.float32)
        if self._groups > 1:
            by_output = np.repeat(mean, self._shape[0] // self._groups, axis=0).reshape(self._shape)
            return _floored(by_output)
        if mean.ndim == 2:
            # Few rows show correlations that other inputs do not have: shrink towards the diagonal.
            share = len(mean) / (len(mean) + self._n_rows)
            mean = (1 - share) * mean + share * np.diag(np.diagonal(mean))
            return Curvature(mean, damping=self._damping, inputs_first=self.use.inputs_first)
        mean = _floored(mean)
        if self.use.inputs_first:
            return mean.reshape(-1, *(1,) * (len(self._shape) - 1))
        return mean.reshape(1, *self._shape[1:])


def _floored(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    floored: NDArray[np.float32] = np.maximum(weights, np.float32(_FLOOR) * weights.mean())
    return floored
