# SPDX-License-Identifier: Apache-2.0
"""Weights of squared errors: for a whole tensor, for each element, or as a curvature."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnr_codec.errors import NotEncodable
from nnr_codec.quant import Curvature

#: A number for the tensor, an array for its weights (or one that broadcasts to them), or a layer's curvature.
Importance: TypeAlias = float | NDArray[Any] | Curvature

# Largest importance of an element, relative to the mean. Without the bound one element would take the bits of thousands.
_LARGEST = 1e4
# Largest weight of a tensor, and inverse of the smallest. The step changes with its root, and QPs cover 32 octaves either side.
_LARGEST_WEIGHT = 2.0**64


@dataclass(frozen=True)
class TensorImportance:
    """Importance of one tensor, checked and normalised.

    Attributes
    ----------
    weight : float
        Divisor of the target's squared error or squared step.
    by_weight : float32[shape] or None
        Weights of the squared errors of the elements, with a mean of 1.
    curvature : Curvature or None
        Curvature for error feedback.
    """

    weight: float = 1.0
    by_weight: NDArray[np.float32] | None = None
    curvature: Curvature | None = None


_UNWEIGHTED = TensorImportance()


def importance_of(
    name: str, shape: tuple[int, ...], importance: Mapping[str, Importance] | None
) -> TensorImportance:
    """Return the checked importance of a tensor.

    Raises
    ------
    NotEncodable
        It has another shape, is negative or not finite, or is a number beyond 2**-64 to 2**64.
    """
    requested = None if importance is None else importance.get(name)
    if requested is None:
        return _UNWEIGHTED
    if isinstance(requested, Curvature):
        _check_curvature(name, shape, requested)
        # All rows have weight 0: treat the tensor as unweighted, as for an array of zeros.
        return _UNWEIGHTED if requested.mean_row_weight() == 0 else TensorImportance(curvature=requested)
    values = _checked_values(requested, name)
    if values.ndim == 0:
        if not 1 / _LARGEST_WEIGHT <= values <= _LARGEST_WEIGHT:
            raise NotEncodable(
                f"the importance of a whole tensor is {1 / _LARGEST_WEIGHT:.1g} to {_LARGEST_WEIGHT:.1g}, not {values:g}",
                path=name,
            )
        return TensorImportance(weight=float(values))
    try:
        values = np.broadcast_to(values, shape)
    except ValueError:
        raise NotEncodable(f"importance of shape {values.shape} for a tensor of {shape}", path=name) from None
    largest = float(values.max(initial=0.0))
    if largest == 0:
        return _UNWEIGHTED
    # Divide by the largest value before averaging, because the sum may overflow.
    values = values / largest
    return TensorImportance(by_weight=np.minimum(values / values.mean(), _LARGEST).astype(np.float32))


def _checked_values(importance: float | NDArray[Any], name: str | None = None) -> NDArray[np.float64]:
    values = np.asarray(importance, np.float64)
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise NotEncodable("importance is finite and not negative", path=name)
    return values


def _check_curvature(name: str, shape: tuple[int, ...], curvature: Curvature) -> None:
    width, size = curvature.width, math.prod(shape)
    # The inputs are the first dimension, or the last ones: all but the first, or fewer behind a dimension of directions.
    if curvature.inputs_first and shape:
        extents = [shape[0]]
    else:
        extents = [math.prod(shape[i:]) for i in range(1, max(len(shape), 2))]
    rows = size // width if width else 0
    if width not in extents or (curvature.row_weights is not None and curvature.row_weights.shape != (rows,)):
        raise NotEncodable(
            f"a curvature of width {width}{' along the first dimension' if curvature.inputs_first else ''}"
            f" for a tensor of shape {list(shape)}",
            path=name,
        )


def mean_weight(importance: Importance) -> float:
    """Return the mean weight of the squared errors, in the scale of the input.

    Raises
    ------
    NotEncodable
        It is negative or not finite.
    """
    if isinstance(importance, Curvature):
        return importance.mean_weight()
    values = _checked_values(importance)
    largest = float(values.max(initial=0.0))
    return largest * float(np.mean(values / largest)) if largest > 0 else 0.0


def without_feedback(curvature: Curvature, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the diagonal of a curvature as the importance of the elements, for tensors without feedback."""
    rows = curvature.normalised().row_weights
    n_rows = math.prod(shape) // curvature.width
    by_weight = (np.ones(n_rows) if rows is None else rows)[:, None] * curvature.diagonal
    if curvature.inputs_first:
        by_weight = by_weight.T
    by_weight = np.minimum(by_weight / by_weight.mean(), _LARGEST)
    result: NDArray[np.float32] = by_weight.astype(np.float32).reshape(shape)
    return result
