# SPDX-License-Identifier: Apache-2.0
"""Batch norm as a local scaling and a bias: two vectors in the place of four or five.

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
    """Names of a batch norm's tensors, and of the layer it follows.

    Attributes
    ----------
    weight : str
        The layer's weight, outputs first.
    bias : str or None
        The layer's bias, if it has one.
    gamma, beta, mean, var : str
        The norm's; ``bn.weight``, ``bn.bias``, ``bn.running_mean``, ``bn.running_var`` in PyTorch.
    epsilon : float
        Added to the variance.
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
        """Return the names PyTorch gives the tensors of two modules."""
        return cls(
            f"{layer}.weight", f"{norm}.weight", f"{norm}.bias", f"{norm}.running_mean", f"{norm}.running_var",
            f"{layer}.bias" if bias else None, epsilon,
        )  # fmt: skip


def fold_batch_norm(tensors: Mapping[str, Any], norms: list[BatchNorm]) -> dict[str, Any]:
    """Return the tensors with each norm folded into a block of its layer's weight.

    The weight itself stays as it is: its own scale is kept out of the norm's. The model computes the same, but for rounding;
    batch norm then cannot be trained on. `unfold_batch_norm` gives the tensors back for the same architecture.

    Parameters
    ----------
    tensors : mapping of str to float array
    norms : list of BatchNorm
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
    """Return tensors for the original architecture: norms that scale and shift as the folded ones do.

    Parameters
    ----------
    decoded : mapping of str to array
        From ``decode(stream)``, not recomposed: weights and ``<weight>_scaling`` apart.
    norms : list of BatchNorm
        As folded.
    """
    result = dict(decoded)
    for norm in norms:
        scaling = np.asarray(result.pop(f"{norm.weight}_scaling"), np.float32)
        result[norm.gamma] = scaling
        result[norm.beta] = np.asarray(result.pop(norm.beta), np.float32)
        result[norm.mean] = np.zeros_like(scaling)
        # So that the root of variance plus epsilon comes out as one.
        result[norm.var] = np.full_like(scaling, 1 - norm.epsilon)
        if norm.bias is not None:
            result[norm.bias] = np.zeros_like(scaling)
    return result
