# SPDX-License-Identifier: Apache-2.0
"""Divergence of a model's outputs from those of the original."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Largest deviation of the sum of a distribution from 1.
_SUM_TOLERANCE = 1e-2
_SMALLEST = 1e-30

Outputs = Sequence[Sequence[NDArray[Any]]]  # by batch, then by output


class Divergence:
    """Measure of the divergence from reference outputs.

    Outputs that are distributions along their last dimension count by the mean Kullback-Leibler divergence in nats, other
    floating-point outputs by their squared error over the mean square. The result is the mean over the outputs of the model.

    Parameters
    ----------
    reference : sequence of sequence of array
        Outputs of the original model, by batch.
    logits : bool
        The outputs are logits: their softmax along the last dimension is the distribution.
    """

    def __init__(self, reference: Outputs, *, logits: bool = False) -> None:
        self._logits = logits
        self._reference = [[_prepared(output, logits) for output in batch] for batch in reference]
        outputs = list(zip(*self._reference, strict=True))
        self._indices = [
            i for i, batches in enumerate(outputs) if batches[0].dtype.kind == "f" and batches[0].size
        ]
        self._is_distribution = [logits or all(_is_distribution(b) for b in batches) for batches in outputs]

    def of(self, outputs: Outputs) -> float:
        """Return the divergence of outputs for the same inputs; infinity if they are not finite or have other shapes."""
        divergences = []
        for index in self._indices:
            total, scale = 0.0, 0.0
            for reference_batch, batch in zip(self._reference, outputs, strict=True):
                p, q = reference_batch[index], _prepared(batch[index], self._logits)
                if p.shape != q.shape or not np.isfinite(q).all():
                    return float("inf")
                if self._is_distribution[index]:
                    total += float((p * np.log(np.maximum(p, _SMALLEST) / np.maximum(q, _SMALLEST))).sum())
                    scale += p.size / p.shape[-1]
                else:
                    total += float(np.square(p - q).sum())
                    scale += float(np.square(p).sum())
            divergences.append(max(total, 0.0) / scale if scale > 0 else 0.0)
        return float(np.mean(divergences)) if divergences else 0.0


def _prepared(output: NDArray[Any], logits: bool) -> NDArray[Any]:
    if output.dtype.kind != "f":
        return output
    values: NDArray[np.float64] = output.astype(np.float64)
    if not logits:
        return values
    shifted = np.exp(values - values.max(-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(-1, keepdims=True))


def _is_distribution(output: NDArray[Any]) -> bool:
    if output.dtype.kind != "f" or output.ndim == 0 or output.shape[-1] < 2 or output.size == 0:
        return False
    return bool(output.min() >= 0 and np.abs(output.sum(-1) - 1).max() <= _SUM_TOLERANCE)
