# SPDX-License-Identifier: Apache-2.0
"""Encoding with importance: it allocates step sizes and weights the quantisation within tensors."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

import nnr_codec
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.importance import mean_weight
from nnr_codec.quant import Curvature
from nnr_codec.rate_control.allocation import allocate, reallocate, shapes_only
from nnr_codec.transform import Block, scale_rows
from tools.research.reproduce.tasks import Importances, Task

Tensors = Mapping[str, npt.NDArray[Any]]


class Weighted:
    """Encoder of the tensors of a task with an importance.

    Parameters
    ----------
    task : Task
    compute : callable
        Function that computes the importances; called on first use.
    base : EncoderConfig
    within : bool
        If False, importance only allocates step sizes between tensors.
    rows_of : str, optional
        Tensor whose rows are scaled by their importance.
    losses : callable, optional
        Function that measures the losses of tensors, which correct the step sizes.
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
        """Encode with the mean rate that one relative error for all tensors has at high rate."""
        tensors, arrays, importance = self._prepared
        config = allocate(arrays, importance, loss_at(arrays, importance, error), self._base)
        if self._losses is not None:
            config = reallocate(config, arrays, self._losses())
        return nnr_codec.encode(tensors, config, importance=shapes_only(importance) if self._within else None)

    @functools.cached_property
    def _prepared(self) -> tuple[dict[str, npt.NDArray[Any] | Block], Tensors, Importances]:
        """Tensors to encode, their coded weights, and the importances of these."""
        tensors: dict[str, npt.NDArray[Any] | Block] = dict(self._task.tensors)
        arrays: dict[str, npt.NDArray[Any]] = dict(self._task.tensors)
        importance = dict(self._compute())
        if self._rows_of is not None:
            of_rows = importance[self._rows_of]
            rows = (
                np.asarray(of_rows.row_weights)
                if isinstance(of_rows, Curvature)
                else of_rows.mean(1, dtype=np.float64)
            )
            block = scale_rows(arrays[self._rows_of], rows)
            squares = np.square(np.asarray(block.scaling), dtype=np.float64)
            tensors[self._rows_of], arrays[self._rows_of] = block, np.asarray(block.weight)
            if isinstance(of_rows, Curvature):
                importance[self._rows_of] = of_rows.of_rows(rows * squares)
            else:
                importance[self._rows_of] = (of_rows * squares[:, None]).astype(np.float32)
        return tensors, arrays, importance


def losses_by_tensor(task: Task, decoded: Tensors) -> dict[str, float]:
    """Loss of the model with one decoded tensor and the other tensors unchanged, for tensors of two or more dimensions."""
    return {
        name: task.probe({**task.tensors, name: decoded[name]})
        for name, tensor in task.tensors.items()
        if tensor.ndim > 1
    }


def loss_at(tensors: Tensors, importance: Mapping[str, Any], error: float) -> float:
    """Expected loss at which the mean rate is that of one relative error for all tensors."""
    logs = count = 0.0
    for name, values in importance.items():
        weight, rms = mean_weight(values), float(np.sqrt(np.square(tensors[name], dtype=np.float64).mean()))
        if weight > 0 and rms > 0:
            logs += tensors[name].size * math.log2(error * rms * math.sqrt(weight))
            count += tensors[name].size
    return float(count * 4.0 ** (logs / count))
