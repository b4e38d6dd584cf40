# SPDX-License-Identifier: Apache-2.0
"""One model's tensors encoded with an importance: steps divided by it, and each tensor quantised by it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from tasks import Importances, Task

import nnr_codec
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.importance import mean_worth
from nnr_codec.quant import Curvature
from nnr_codec.rate_control.allocation import allocate, reallocate, shapes_only
from nnr_codec.transform import Block, scale_rows

Tensors = Mapping[str, npt.NDArray[Any]]


class Weighed:
    """A way of encoding a task's tensors.

    Parameters
    ----------
    task : Task
    compute : callable
        The importances; called when first needed.
    base : EncoderConfig
    within : bool
        Whether importance counts within tensors, or divides steps between them alone.
    rows_of : str, optional
        A tensor whose rows are scaled by what they are worth.
    losses : callable, optional
        Measured losses of tensors, which correct the steps.
    """

    def __init__(
        self,
        task: Task,
        compute: Callable[[], Importances],
        base: EncoderConfig,
        *,
        within: bool = True,
        rows_of: str | None = None,
        losses: Callable[[], Mapping[str, float]] | None = None,
    ) -> None:
        self._task, self._compute, self._base, self._within = task, compute, base, within
        self._rows_of, self._losses = rows_of, losses

    def encode(self, error: float) -> bytes:
        """Return the stream whose mean rate is, at high rate, that of one relative error everywhere."""
        tensors, arrays, importance = self._prepared
        config = allocate(arrays, importance, loss_at(arrays, importance, error), self._base)
        if self._losses is not None:
            config = reallocate(config, arrays, self._losses())
        return nnr_codec.encode(tensors, config, importance=shapes_only(importance) if self._within else None)

    @functools.cached_property
    def _prepared(self) -> tuple[dict[str, npt.NDArray[Any] | Block], Tensors, Importances]:
        """Tensors to encode, their weights as they will be coded, and importances of these."""
        tensors: dict[str, npt.NDArray[Any] | Block] = dict(self._task.tensors)
        arrays: dict[str, npt.NDArray[Any]] = dict(self._task.tensors)
        importance = dict(self._compute())
        if self._rows_of is not None:
            given = importance[self._rows_of]
            rows = given.row_weights if isinstance(given, Curvature) else given.mean(1, dtype=np.float64)
            block = scale_rows(arrays[self._rows_of], rows)
            squares = np.square(block.scaling, dtype=np.float64)
            tensors[self._rows_of], arrays[self._rows_of] = block, np.asarray(block.weight)
            if isinstance(given, Curvature):
                importance[self._rows_of] = given.of_rows(rows * squares)
            else:
                importance[self._rows_of] = (given * squares[:, None]).astype(np.float32)
        return tensors, arrays, importance


def losses_by_tensor(task: Task, decoded: Tensors) -> dict[str, float]:
    """Return the loss of the model with one tensor decoded and all others as they were, for each but the vectors."""
    return {
        name: task.probe({**task.tensors, name: decoded[name]})
        for name, tensor in task.tensors.items()
        if tensor.ndim > 1
    }


def loss_at(tensors: Tensors, importance: Mapping[str, Any], error: float) -> float:
    """Return the expected loss at which the mean rate is that of one relative error everywhere."""
    logs = count = 0.0
    for name, given in importance.items():
        worth, rms = mean_worth(given), float(np.sqrt(np.square(tensors[name], dtype=np.float64).mean()))
        if worth > 0 and rms > 0:
            logs += tensors[name].size * math.log2(error * rms * math.sqrt(worth))
            count += tensors[name].size
    return count * 4.0 ** (logs / count)
