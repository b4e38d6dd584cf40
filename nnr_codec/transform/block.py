# SPDX-License-Identifier: Apache-2.0
"""Block: a weight and its related tensors, for one data unit of payload type NNR_PT_BLOCK."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Block:
    """Weight with its scaling, bias and batch norm. `nnr_codec.encode` accepts it under the name of the weight.

    Attributes
    ----------
    weight : float[rows, ...] or None
        None if the block has factors.
    factors : (float[rows, rank], float[rank, width]) or None
        Low-rank factors G and H. The weight is their product, reshaped.
    shape_of_product : tuple of int or None
        Shape of the weight, if the block has factors.
    scaling : float[rows] or None
        Local scaling: the model's weight is each row times its factor.
    bias : float[rows] or None
    batch_norm : mapping of str to float[rows]
        All of ``beta``, ``gamma``, ``mean`` and ``var``, or empty.
    names : mapping of str to str
        Names in the stream of ``bias``, ``beta``, ``gamma``, ``mean`` and ``var``. A missing name is derived from the name of
        the weight. The name of the scaling is always ``<weight>_scaling``, as in NNCodec.

    Raises
    ------
    ValueError
        The block has both or neither of weight and factors, or shapes do not fit.

    Clause: format 3 (order of tensors)
    """

    weight: NDArray[Any] | None = None
    factors: tuple[NDArray[Any], NDArray[Any]] | None = None
    shape_of_product: tuple[int, ...] | None = None
    scaling: NDArray[Any] | None = None
    bias: NDArray[Any] | None = None
    batch_norm: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.weight is None) == (self.factors is None):
            raise ValueError("a block must have either a weight or factors")
        if self.factors is not None:
            g, h = self.factors
            if self.shape_of_product is None or g.ndim != 2 or h.ndim != 2 or g.shape[1] != h.shape[0]:
                raise ValueError("factors must be two matrices that can be multiplied, with shape_of_product")
            if (
                g.shape[0] * h.shape[1] != math.prod(self.shape_of_product)
                or g.shape[0] != self.shape_of_product[0]
            ):
                raise ValueError(
                    f"the product of factors {g.shape} and {h.shape} does not fit {self.shape_of_product}"
                )
        if len(self.shape) < 1:
            raise ValueError("the weight of a block must have at least one dimension")
        vectors = {"scaling": self.scaling, "bias": self.bias, **self.batch_norm}
        for name, vector in vectors.items():
            if vector is not None and np.shape(vector) != self.shape[:1]:
                raise ValueError(f"the {name} must have one element for each of the {self.shape[0]} rows")
        if self.batch_norm and set(self.batch_norm) != {"beta", "gamma", "mean", "var"}:
            raise ValueError("a batch norm must have beta, gamma, mean and var")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weight."""
        if self.weight is not None:
            return tuple(self.weight.shape)
        return self.shape_of_product or ()

    @property
    def size(self) -> int:
        """Number of elements of the weight."""
        return math.prod(self.shape)

    def recomposed(self) -> NDArray[np.float32]:
        """Return the model's weight, float32[rows, ...]: the product of the factors, with scaled rows."""
        if self.factors is not None:
            g, h = (np.asarray(factor, np.float64) for factor in self.factors)
            weight = (g @ h).astype(np.float32).reshape(self.shape)
        else:
            weight = np.asarray(self.weight, np.float32)
        if self.scaling is None:
            return weight
        return weight * np.asarray(self.scaling, np.float32).reshape(-1, *[1] * (weight.ndim - 1))
