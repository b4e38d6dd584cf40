# SPDX-License-Identifier: Apache-2.0
"""Batch-norm folding: a local scaling and a bias replace the four or five vectors of a layer and its batch norm.

Clause: format 4 (LS), ICIP 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.transform.block import Block


@dataclass(frozen=True)
class BatchNorm:
    """Names of the tensors of a layer and of the batch norm after it.

    Attributes
    ----------
    weight : str
        Weight of the layer. Its first dimension is the outputs.
    gamma, beta, mean, var : str
        Tensors of the batch norm: ``bn.weight``, ``bn.bias``, ``bn.running_mean`` and ``bn.running_var`` in PyTorch.
    bias : str or None
        Bias of the layer, if it has one.
    epsilon : float
        Constant added to the variance.
    """

    weight: str
    gamma: str
    beta: str
    mean: str
    var: str
    bias: str | None = None
    epsilon: float = 1e-5

    @classmethod
    def of_modules(cls, layer: str, norm: str, *, bias: bool = False, epsilon: float = 1e-5) -> BatchNorm:
        """Return the names of the tensors of two PyTorch modules.

        Parameters
        ----------
        layer, norm : str
            Names of the modules.
        bias : bool
            True if the layer has a bias.
        epsilon : float
            Constant added to the variance.
        """
        return cls(
            f"{layer}.weight", f"{norm}.weight", f"{norm}.bias", f"{norm}.running_mean", f"{norm}.running_var",
            f"{layer}.bias" if bias else None, epsilon,
        )  # fmt: skip


def fold_batch_norm(tensors: Mapping[str, Any], norms: list[BatchNorm]) -> dict[str, Any]:
    """Fold each batch norm into a block of its layer's weight.

    The weight itself does not change. The folded model computes the same function up to rounding, but its batch norms cannot
    be trained further. `unfold_batch_norm` returns tensors for the original architecture.

    Parameters
    ----------
    tensors : mapping of str to float array
    norms : list of BatchNorm

    Returns
    -------
    dict of str to array or Block
    """
    result = dict(tensors)
    for norm in norms:
        deviation = np.sqrt(np.asarray(tensors[norm.var], np.float64) + norm.epsilon)
        scaling = np.asarray(tensors[norm.gamma], np.float64) / deviation
        shift = -np.asarray(tensors[norm.mean], np.float64)
        if norm.bias is not None:
            shift = shift + np.asarray(tensors[norm.bias], np.float64)
        bias = np.asarray(tensors[norm.beta], np.float64) + shift * scaling
        for name in (norm.gamma, norm.mean, norm.var, norm.bias, norm.beta):
            if name is not None:
                del result[name]
        result[norm.weight] = Block(
            weight=np.asarray(tensors[norm.weight]),
            scaling=scaling.astype(np.float32),
            bias=bias.astype(np.float32),
            names={"bias": norm.beta},
        )
    return result


def unfold_batch_norm(decoded: Mapping[str, NDArray[Any]], norms: list[BatchNorm]) -> dict[str, NDArray[Any]]:
    """Return tensors for the original architecture; the batch norms scale and shift as the folded blocks do.

    Parameters
    ----------
    decoded : mapping of str to array
        From ``decode(stream)`` without recompose, which returns weights and ``<weight>_scaling`` separately.
    norms : list of BatchNorm
        The argument of `fold_batch_norm`.

    Returns
    -------
    dict of str to array
    """
    result = dict(decoded)
    for norm in norms:
        scaling = np.asarray(result.pop(f"{norm.weight}_scaling"), np.float32)
        result[norm.gamma] = scaling
        result[norm.beta] = np.asarray(result.pop(norm.beta), np.float32)
        result[norm.mean] = np.zeros_like(scaling)
        # sqrt(var + epsilon) is then 1.
        result[norm.var] = np.full_like(scaling, 1 - norm.epsilon)
        if norm.bias is not None:
            result[norm.bias] = np.zeros_like(scaling)
    return result
