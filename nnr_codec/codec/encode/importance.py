# SPDX-License-Identifier: Apache-2.0
"""What errors of a tensor's weights are worth, in the forms people have it."""

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

# Ratio of the largest importance to the mean that is told apart: beyond, a weight would bind bits like thousands.
_LARGEST = 1e4
# A tensor's worth, or its inverse: its step moves by the root, and a stream's QPs reach 32 octaves either side.
_LARGEST_WORTH = 2.0**64


@dataclass(frozen=True)
class TensorImportance:
    """Importance as one tensor's encoder takes it.

    Attributes
    ----------
    worth : float
        Divides the squared error, or squared step, that is aimed at.
    by_weight : float32[shape] or None
        Of each weight's squared error, with a mean of 1.
    curvature : Curvature or None
        For error feedback.
    """

    worth: float = 1.0
    by_weight: NDArray[np.float32] | None = None
    curvature: Curvature | None = None


_PLAIN = TensorImportance()


def importance_of(
    name: str, shape: tuple[int, ...], importance: Mapping[str, Importance] | None
) -> TensorImportance:
    """Return what `importance` says of a tensor.

    Raises
    ------
    NotEncodable
        It does not suit the tensor: other shape, negative, not finite, or a number out of all proportion.
    """
    given = None if importance is None else importance.get(name)
    if given is None:
        return _PLAIN
    if isinstance(given, Curvature):
        _check_curvature(name, shape, given)
        # Nothing tells the weights apart, as in an array of zeros.
        return _PLAIN if given.mean_row_weight() == 0 else TensorImportance(curvature=given)
    values = _checked_values(given, name)
    if values.ndim == 0:
        if not 1 / _LARGEST_WORTH <= values <= _LARGEST_WORTH:
            raise NotEncodable(
                f"the importance of a whole tensor is {1 / _LARGEST_WORTH:.1g} to {_LARGEST_WORTH:.1g}, not {values:g}",
                path=name,
            )
        return TensorImportance(worth=float(values))
    try:
        values = np.broadcast_to(values, shape)
    except ValueError:
        raise NotEncodable(f"importance of shape {values.shape} for a tensor of {shape}", path=name) from None
    largest = float(values.max(initial=0.0))
    if largest == 0:
        return _PLAIN
    # By the largest first: a sum may be out of range.
    values = values / largest
    return TensorImportance(by_weight=np.minimum(values / values.mean(), _LARGEST).astype(np.float32))


def _checked_values(given: float | NDArray[Any], name: str | None = None) -> NDArray[np.float64]:
    values = np.asarray(given, np.float64)
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise NotEncodable("importance is finite and not negative", path=name)
    return values


def _check_curvature(name: str, shape: tuple[int, ...], curvature: Curvature) -> None:
    rows, width = (shape[0], math.prod(shape[1:])) if shape else (1, 1)
    if curvature.width != width or (
        curvature.row_weights is not None and curvature.row_weights.shape != (rows,)
    ):
        raise NotEncodable(
            f"a curvature of width {curvature.width} for a tensor of {rows} rows of {width}", path=name
        )


def mean_weight(given: Importance) -> float:
    """Return the mean worth of a weight's squared error, at the scale in which the importance was given.

    Raises
    ------
    NotEncodable
        It is negative or not finite.
    """
    if isinstance(given, Curvature):
        return given.mean_weight()
    values = _checked_values(given)
    largest = float(values.max(initial=0.0))
    return largest * float(np.mean(values / largest)) if largest > 0 else 0.0


def without_feedback(curvature: Curvature, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the diagonal of a curvature as an importance of each weight, where feedback cannot be."""
    rows = curvature.normalised().row_weights
    by_weight = (np.ones(shape[0]) if rows is None else rows)[:, None] * curvature.diagonal
    by_weight = np.minimum(by_weight / by_weight.mean(), _LARGEST)
    result: NDArray[np.float32] = by_weight.astype(np.float32).reshape(shape)
    return result
