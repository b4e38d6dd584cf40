# SPDX-License-Identifier: Apache-2.0
"""How a layer's output suffers from errors of its weights: the quadratic form behind error feedback.

Shapes: rows, width of a weight seen as a matrix, one row for each output.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

# Share of the largest entry by which a matrix may differ from its transpose: sums in float16 do.
_ASYMMETRY = 1e-2
# The largest sum of the diagonal: losses of float32 errors stay within float64.
_LARGEST_TRACE = 1e200
# Beyond, float64 keeps nothing of what is damped.
_LARGEST_DAMPING = 1e16
_PIECE = 128


@dataclass(frozen=True)
class Curvature:
    """The squared error of a layer's output, ``sum over rows of row_weight * e' H e``, as a function of the weights' error e.

    Attributes
    ----------
    matrix : float[width, width]
        H: the mean of x x' over the layer's inputs x, symmetric and positive semidefinite. For a convolution x is a patch,
        in the order of the weight's dimensions after the first.
    row_weights : float[rows], optional
        What a squared error of each output is worth: the mean square of the loss's gradient there. None for 1 everywhere.
    damping : float
        Added to the diagonal, as a share of its mean: inputs never seen are not free, and sums over few inputs are noisy.

    Raises
    ------
    ValueError
        An attribute is not what is said here. That the matrix is semidefinite shows where it is factored.
    """

    matrix: NDArray[np.floating]
    row_weights: NDArray[np.floating] | None = None
    damping: float = 0.01

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or self.matrix.shape[0] != self.matrix.shape[1]:
            raise ValueError(f"a curvature's matrix is square, not {self.matrix.shape}")
        if not 0 < self.damping <= _LARGEST_DAMPING:
            raise ValueError(f"damping is positive and at most {_LARGEST_DAMPING:g}, unlike {self.damping!r}")
        # Also false for NaN.
        largest = max(float(np.max(self.matrix, initial=0.0)), -float(np.min(self.matrix, initial=0.0)))
        if not (largest < math.inf and np.trace(self.matrix, dtype=np.float64) <= _LARGEST_TRACE):
            raise ValueError(f"a curvature's matrix is finite, and its trace at most {_LARGEST_TRACE:g}")
        if np.min(np.diagonal(self.matrix), initial=0.0) < 0:
            raise ValueError(
                "a curvature's matrix is positive semidefinite; this one's diagonal has negative values"
            )
        if not _asymmetry(self.matrix) <= _ASYMMETRY * largest:
            raise ValueError("a curvature's matrix is symmetric")
        self._check_row_weights()

    def _check_row_weights(self) -> None:
        if self.row_weights is None:
            return
        if self.row_weights.ndim != 1:
            raise ValueError(f"row weights are one for each row, not of shape {self.row_weights.shape}")
        if not (np.isfinite(self.row_weights).all() and (self.row_weights >= 0).all()):
            raise ValueError("row weights are finite and not negative")

    def of_rows(self, row_weights: NDArray[np.floating] | None) -> Curvature:
        """Return the same curvature with other row weights, scaled as here."""
        # A copy keeps the factor, which is the costly part and the same.
        other = copy.copy(self)
        object.__setattr__(other, "row_weights", row_weights)
        other._check_row_weights()
        return other

    def normalised(self) -> Curvature:
        """Return the same curvature with row weights of mean 1, or none where all are 0: nothing then tells rows apart."""
        if self.row_weights is None:
            return self
        rows = np.asarray(self.row_weights, np.float64)
        largest = float(rows.max(initial=0.0))
        if largest == 0:
            return self.of_rows(None)
        # By the largest first: a sum may be out of range.
        rows = rows / largest
        return self.of_rows(rows / rows.mean())

    @property
    def width(self) -> int:
        """Inputs of the layer."""
        return int(self.matrix.shape[0])

    @cached_property
    def damped(self) -> NDArray[np.float64]:
        """The matrix with its damping; the identity when no input was ever seen."""
        matrix = np.array(self.matrix, np.float64)
        mean = float(np.trace(matrix)) / self.width
        if not mean > 0:
            return np.eye(self.width)
        matrix[np.diag_indices(self.width)] += self.damping * mean
        return matrix

    @cached_property
    def factor(self) -> NDArray[np.float64]:
        """V, upper triangular with ``V V' = H``: errors before column i correct it by ``V[j, i] / V[i, i]``.

        Raises
        ------
        ValueError
            The matrix is not positive semidefinite, by more than the damping makes up for.
        """
        # Cholesky factors are lower triangular; turning both axes round makes an upper one.
        try:
            reversed_factor = np.linalg.cholesky(self.damped[::-1, ::-1])
        except np.linalg.LinAlgError:
            raise ValueError(
                f"a curvature's matrix is positive semidefinite; this one is not, nor with a damping of {self.damping:g}"
            ) from None
        return np.ascontiguousarray(reversed_factor[::-1, ::-1])

    @property
    def diagonal(self) -> NDArray[np.float64]:
        """Worth of each column's squared error when no other makes up for it."""
        return np.diagonal(self.damped)

    @property
    def column_weights(self) -> NDArray[np.float64]:
        """Worth of each column's squared error after the columns behind it have made up for it."""
        weights: NDArray[np.float64] = np.diagonal(self.factor) ** 2
        return weights

    def mean_row_weight(self) -> float:
        """Return the mean of the row weights; 1 without."""
        if self.row_weights is None:
            return 1.0
        rows = np.asarray(self.row_weights, np.float64)
        largest = float(rows.max(initial=0.0))
        # By the largest first: a sum may be out of range.
        return largest * float(np.mean(rows / largest)) if largest > 0 else 0.0

    def worth(self, *, feedback: bool = True) -> float:
        """Return the mean worth of a weight's squared error, with error feedback or without."""
        by_column = self.column_weights if feedback else self.diagonal
        return float(np.mean(by_column)) * self.mean_row_weight()

    def loss(self, error: NDArray[np.floating]) -> float:
        """Return the squared error of the output that an error of the weights makes.

        Parameters
        ----------
        error : float[rows, ...]
        """
        flat = np.asarray(error, np.float64).reshape(-1, self.width)
        by_row = np.einsum("ri,ri->r", flat @ self.damped, flat)
        return float(
            by_row.sum() if self.row_weights is None else by_row @ np.asarray(self.row_weights, np.float64)
        )


def _asymmetry(matrix: NDArray[np.floating]) -> float:
    """Return the largest difference to the transpose."""
    found = 0.0
    # Piece by piece: a difference of the whole would take as much memory as the matrix, and more time.
    for start in range(0, len(matrix), _PIECE):
        stop = start + _PIECE
        piece = np.asarray(matrix[start:stop, start:], np.float64) - matrix[start:, start:stop].T
        found = max(found, float(piece.max()), -float(piece.min()))
    return found
