# SPDX-License-Identifier: Apache-2.0
"""Default error bounds: the target root mean square error, and the largest error of elements and rows.

The step of a tensor follows its root mean square, because networks are invariant to how their layers are scaled against each
other. It says nothing about elements far below the root mean square, so elements or rows have a bound of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.quantize.tensor_roles import TensorRole

#: Largest relative error of an element of a vector, in units of the target relative error: 1/125 by default.
ELEMENT_FACTOR = 16.0
#: Largest relative error of a row, in the same units: 1/4 by default.
ROW_FACTOR = 12.5
#: Rows below this share of the typical row have no bound: most networks have dead channels.
DEAD_ROW = 2.0**-16
# Elements of scales, of short and of wide vectors below this share of the lower quartile count as this large. A share of the
# largest would lose the smaller variances of a batch norm whose channels differ by nine orders of magnitude.
_SMALLEST = 2.0**-20
# The largest element of a normal distribution is about 12 times the lower quartile of magnitudes. From this multiple on, the
# elements are on scales of their own: the means of channels, not noise around zero.
_WIDE_VECTOR = 256.0
# In vectors up to this long nearly every element keeps its own relative error; in longer ones those below the lower quartile
# share the quartile's.
_SHORT = 16
# Ratio of the root mean square to the upper quartile of the rows' beyond which few rows dominate it, so that it is no scale
# for the others.
_WIDE = 4.0
_PIECE = 1 << 20
_LARGEST_SCALE, _SMALLEST_SCALE = 1e15, 1e-15
# Longest sum of squares in float32 without loss of accuracy.
_LARGEST_WIDTH = 1 << 16


@dataclass(frozen=True)
class ElementBounds:
    """Bounds of a vector: each element's error is at most ``relative * max(abs(element), floor)``.

    Attributes
    ----------
    error : float
        Root mean square error aimed at.
    relative : float
    floor : float
    largest_error : float
        Smallest bound of any nonzero element.
    zeros_are_exact : bool
        True if there are zeros, which have a bound of 0.
    """

    error: float
    relative: float
    floor: float
    largest_error: float
    zeros_are_exact: bool = False

    is_wide = False

    def hold(self, weights: NDArray[np.float32], values: NDArray[np.float32]) -> bool:
        """Tell whether every decoded value is within its bound."""
        bounds = self.relative * np.maximum(np.abs(weights, dtype=np.float64), self.floor)
        return bool((np.abs(weights - values.astype(np.float64)) <= bounds).all())

    def hold_surely(self, step: float, dependent: bool) -> bool:
        """Tell whether least-squared-error quantisation with this step keeps the bounds for certain."""
        if dependent and self.zeros_are_exact:
            # The trellis may give a zero the level 1 to leave a state.
            return False
        return step * (2.0 if dependent else 0.5) <= self.largest_error


@dataclass(frozen=True)
class RowBounds:
    """Bounds of a matrix: each row's root mean square error is at most ``relative`` of the row's root mean square.

    Attributes
    ----------
    error : float
        Root mean square error aimed at.
    relative : float
    row_scales : float64[rows]
        Root mean square of each row.
    floor : float
        Root mean square below which rows have no bound.
    largest_error : float
        Smallest bound of any row.
    is_wide : bool
        True if few rows dominate the root mean square of the tensor.
    width : int
        Elements of a row.
    """

    error: float
    relative: float
    row_scales: NDArray[np.float64]
    floor: float
    largest_error: float
    is_wide: bool
    width: int

    def hold(self, weights: NDArray[np.float32], values: NDArray[np.float32]) -> bool:
        """Tell whether every row of the decoded values is within its bound."""
        at_once = max(_PIECE // self.width, 1)
        for start in range(0, self.row_scales.size, at_once):
            part = slice(start * self.width, (start + at_once) * self.width)
            scales = self.row_scales[start : start + at_once]
            errors = row_scales(weights[part].astype(np.float64) - values[part], self.width)
            if ((errors > self.relative * scales) & (scales >= self.floor)).any():
                return False
        return True

    def hold_surely(self, step: float, dependent: bool) -> bool:
        """Tell whether least-squared-error quantisation with this step keeps the bounds with certainty enough.

        The error of a row is a mean. The wider the row, the closer it is to the expected error of the step.
        """
        margin = 1.5 if self.width >= 64 else 2.0 if self.width >= 9 else 4.0
        return step * (0.51 if dependent else 0.29) * margin <= self.largest_error


Bounds = ElementBounds | RowBounds


def element_bounds(
    weights: NDArray[np.float32], role: TensorRole, relative_error: float, error: float
) -> ElementBounds:
    """Return the bounds of a vector.

    Parameters
    ----------
    weights : float32[n]
        Finite, not all zero.
    role : TensorRole
    relative_error : float
        Aimed at, relative to the root mean square.
    error : float
        Aimed at.
    """
    magnitudes = np.abs(weights)
    if not magnitudes.all():
        magnitudes = magnitudes[magnitudes != 0]
    smallest = float(magnitudes.min())
    relative = ELEMENT_FACTOR * relative_error
    floor = 0.0
    if role not in (TensorRole.STATISTIC, TensorRole.TABLE):
        floor = float(np.partition(magnitudes, magnitudes.size // 4)[magnitudes.size // 4])
        wide = float(magnitudes.max()) > _WIDE_VECTOR * floor
        if wide or role is TensorRole.SCALE or weights.size <= _SHORT:
            floor *= _SMALLEST
    zeros_are_exact = floor == 0 and magnitudes.size < weights.size
    return ElementBounds(error, relative, floor, relative * max(smallest, floor), zeros_are_exact)


def row_bounds(
    weights: NDArray[np.float32],
    shape: tuple[int, ...],
    relative_error: float,
    row_error: float | None = None,
) -> RowBounds:
    """Return the bounds of a matrix or convolution.

    Parameters
    ----------
    weights : float32[n]
        Finite, not all zero.
    shape : tuple of int
        Rows are the first extent that is not 1.
    relative_error : float
        Aimed at, relative to the root mean square.
    row_error : float, optional
        Largest relative error of a row, in units of 1 / `ROW_FACTOR`; by default `relative_error`.
    """
    rows = next(extent for extent in shape if extent > 1)
    width = weights.size // rows
    scales = row_scales(weights, width)
    total = float(scales.max()) * float(np.sqrt(np.mean(np.square(scales / scales.max()))))
    alive = np.sort(scales[scales > 0])
    is_wide = total > _WIDE * alive[(3 * alive.size) // 4]
    typical = float(alive[alive.size // 2]) if is_wide else total
    floor = DEAD_ROW * typical
    relative = ROW_FACTOR * (relative_error if row_error is None else row_error)
    weakest = float(alive[np.searchsorted(alive, floor)])
    return RowBounds(
        relative_error * typical, relative, scales, floor, relative * weakest, bool(is_wide), width
    )


def row_scales(weights: NDArray[np.floating], width: int) -> NDArray[np.float64]:
    """Return the root mean square of each row of a flat matrix, whatever its range."""
    if weights.dtype == np.float32 and width <= _LARGEST_WIDTH:
        with np.errstate(over="ignore", under="ignore"):
            rows = weights.reshape(-1, width)
            quick: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", rows, rows) / width).astype(np.float64)
        # The squares are well within the range of float32.
        if quick.max() < _LARGEST_SCALE and quick.min() > _SMALLEST_SCALE:
            return quick
    rows_at_once = max(_PIECE // width, 1)
    squares = [
        np.einsum("ij,ij->i", piece, piece)
        for start in range(0, weights.size, rows_at_once * width)
        for piece in [weights[start : start + rows_at_once * width].astype(np.float64).reshape(-1, width)]
    ]
    scales: NDArray[np.float64] = np.sqrt(np.concatenate(squares) / width)
    return scales
