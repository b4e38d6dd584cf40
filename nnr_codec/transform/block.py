# SPDX-License-Identifier: Apache-2.0
"""A weight with what belongs to it, for one data unit of payload type NNR_PT_BLOCK."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Block:
    """What takes a weight's place among the tensors to encode, under the weight's name.

    Attributes
    ----------
    weight : float[rows, ...] or None
        None when there are factors.
    factors : (float[rows, rank], float[rank, width]) or None
        G and H; the weight is their product in `shape`.
    shape : tuple of int or None
        The weight's, with factors.
    scaling : float[rows] or None
        Local scaling: the model's weight is each row times this.
    bias : float[rows] or None
    batch_norm : mapping of str to float[rows]
        All of ``beta``, ``gamma``, ``mean`` and ``var``, or nothing.
    names : mapping of str to str
        Names in the stream by field: ``bias``, ``beta``, ``gamma``, ``mean``, ``var``. Those missing are made from the
        weight's, as the scaling's always is: ``<weight>_scaling``, which is how NNCodec knows it.

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
            raise ValueError("a block has a weight or factors")
        if self.factors is not None:
            g, h = self.factors
            if self.shape_of_product is None or g.ndim != 2 or h.ndim != 2 or g.shape[1] != h.shape[0]:
                raise ValueError(
                    "factors are two matrices that can be multiplied, with the shape of their product"
                )
            if (
                g.shape[0] * h.shape[1] != math.prod(self.shape_of_product)
                or g.shape[0] != self.shape_of_product[0]
            ):
                raise ValueError(f"factors of {g.shape} and {h.shape} make no {self.shape_of_product}")
        if len(self.shape) < 1:
            raise ValueError("a block's weight has dimensions")
        vectors = {"scaling": self.scaling, "bias": self.bias, **self.batch_norm}
        for name, vector in vectors.items():
            if vector is not None and np.shape(vector) != self.shape[:1]:
                raise ValueError(f"the {name} has one element for each of the weight's {self.shape[0]} rows")
        if self.batch_norm and set(self.batch_norm) != {"beta", "gamma", "mean", "var"}:
            raise ValueError("a batch norm has beta, gamma, mean and var")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight."""
        if self.weight is not None:
            return tuple(self.weight.shape)
        return self.shape_of_product or ()

    @property
    def size(self) -> int:
        """Elements of the weight."""
        return math.prod(self.shape)

    def recomposed(self) -> NDArray[np.float32]:
        """Return the model's weight: factors multiplied, rows scaled."""
        if self.factors is not None:
            g, h = (np.asarray(factor, np.float64) for factor in self.factors)
            weight = (g @ h).astype(np.float32).reshape(self.shape)
        else:
            weight = np.asarray(self.weight, np.float32)
        if self.scaling is None:
            return weight
        return weight * np.asarray(self.scaling, np.float32).reshape(-1, *[1] * (weight.ndim - 1))
