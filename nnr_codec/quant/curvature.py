# SPDX-License-Identifier: Apache-2.0
"""Curvature of a layer's output error: the quadratic form used by error feedback (GPTQ).

Shapes: rows, width of the weight as a matrix with one row per output.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

# Largest difference between the matrix and its transpose, relative to its largest entry. Sums in float16 differ.
_ASYMMETRY = 1e-2
# Largest trace. Losses of float32 errors then stay within float64.
_LARGEST_TRACE = 1e200
# Largest damping. With more, float64 rounds the matrix itself away.
_LARGEST_DAMPING = 1e16
_CHUNK_ROWS = 128


@dataclass(frozen=True)
class Curvature:
    """Squared error of a layer's output as a quadratic form in the error e of its weights.

    It is the sum of ``row_weight * e' H e`` over the rows e of the error.

    Attributes
    ----------
    matrix : float[width, width]
        H: the mean of x x' over the layer's inputs x, symmetric and positive semidefinite. For a convolution, x is a patch
        in the order of the weight's dimensions after the first.
    row_weights : float[rows], optional
        Weight of each output's squared error, such as the mean squared gradient of the loss. None means 1 for all rows.
    damping : float
        Value added to the diagonal, relative to the mean of the diagonal. It gives a cost to inputs that do not occur in the
        data, and it reduces the noise of a mean over few inputs.
    inputs_first : bool
        True for a weight of shape [width, outputs], as in ``x @ weight``. The error of an output is then a column of the weight;
        the rows of this class are the outputs all the same.

    Raises
    ------
    ValueError
        An attribute violates its description. Positive semidefiniteness is only checked by `factor`.
    """

    matrix: NDArray[np.floating]
    row_weights: NDArray[np.floating] | None = None
    damping: float = 0.01
    inputs_first: bool = False

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or self.matrix.shape[0] != self.matrix.shape[1]:
            raise ValueError(f"the matrix of a curvature must be square, not {self.matrix.shape}")
        if not 0 < self.damping <= _LARGEST_DAMPING:
            raise ValueError(
                f"damping must be positive and at most {_LARGEST_DAMPING:g}, not {self.damping!r}"
            )
        # The comparisons are also false for NaN.
        largest = max(float(np.max(self.matrix, initial=0.0)), -float(np.min(self.matrix, initial=0.0)))
        if not (largest < math.inf and np.trace(self.matrix, dtype=np.float64) <= _LARGEST_TRACE):
            raise ValueError(
                f"the matrix of a curvature must be finite, with a trace of at most {_LARGEST_TRACE:g}"
            )
        if np.min(np.diagonal(self.matrix), initial=0.0) < 0:
            raise ValueError(
                "the matrix of a curvature must be positive semidefinite, but its diagonal has negative values"
            )
        if not _asymmetry(self.matrix) <= _ASYMMETRY * largest:
            raise ValueError("the matrix of a curvature must be symmetric")
        self._check_row_weights()

    def _check_row_weights(self) -> None:
        if self.row_weights is None:
            return
        if self.row_weights.ndim != 1:
            raise ValueError(
                f"row weights must be a vector with one element per row, not {self.row_weights.shape}"
            )
        if not (np.isfinite(self.row_weights).all() and (self.row_weights >= 0).all()):
            raise ValueError("row weights must be finite and not negative")

    def of_rows(self, row_weights: NDArray[np.floating] | None) -> Curvature:
        """Return a curvature with the same matrix and other row weights."""
        # A copy keeps the cached factor, which is expensive and does not depend on row weights.
        other = copy.copy(self)
        object.__setattr__(other, "row_weights", row_weights)
        other._check_row_weights()
        return other

    def normalised(self) -> Curvature:
        """Return a curvature with the same matrix and row weights of mean 1, or without row weights if all are 0."""
        if self.row_weights is None:
            return self
        rows = np.asarray(self.row_weights, np.float64)
        largest = float(rows.max(initial=0.0))
        if largest == 0:
            return self.of_rows(None)
        # Divide by the largest value before summing: the sum may overflow.
        rows = rows / largest
        return self.of_rows(rows / rows.mean())

    @property
    def width(self) -> int:
        """Number of inputs of the layer."""
        return int(self.matrix.shape[0])

    @cached_property
    def damped(self) -> NDArray[np.float64]:
        """Matrix with damping, float64[width, width]; the identity if the matrix is 0."""
        matrix = np.array(self.matrix, np.float64)
        mean = float(np.trace(matrix)) / self.width
        if not mean > 0:
            return np.eye(self.width)
        matrix[np.diag_indices(self.width)] += self.damping * mean
        return matrix

    @cached_property
    def factor(self) -> NDArray[np.float64]:
        """Upper triangular factor V of the damped matrix, ``V V' = H``, float64[width, width].

        The error of column j corrects a later column i by ``V[j, i] / V[i, i]``.

        Raises
        ------
        ValueError
            The damped matrix is not positive definite.
        """
        # numpy's Cholesky factor is lower triangular. Reversing both axes before and after makes it upper triangular.
        try:
            reversed_factor = np.linalg.cholesky(self.damped[::-1, ::-1])
        except np.linalg.LinAlgError:
            raise ValueError(
                f"the matrix of a curvature must be positive semidefinite; it is not, with a damping of {self.damping:g}"
            ) from None
        return np.ascontiguousarray(reversed_factor[::-1, ::-1])

    @property
    def diagonal(self) -> NDArray[np.float64]:
        """Weight of each column's squared error without compensation, float64[width]."""
        return np.diagonal(self.damped)

    @property
    def column_weights(self) -> NDArray[np.float64]:
        """Weight of each column's squared error after compensation by later columns, float64[width]."""
        weights: NDArray[np.float64] = np.diagonal(self.factor) ** 2
        return weights

    def mean_row_weight(self) -> float:
        """Return the mean of the row weights; 1 if there are none."""
        if self.row_weights is None:
            return 1.0
        rows = np.asarray(self.row_weights, np.float64)
        largest = float(rows.max(initial=0.0))
        # Divide by the largest value before summing: the sum may overflow.
        return largest * float(np.mean(rows / largest)) if largest > 0 else 0.0

    def mean_weight(self, *, feedback: bool = True) -> float:
        """Return the mean weight of a squared error over all elements, with or without error feedback."""
        by_column = self.column_weights if feedback else self.diagonal
        return float(np.mean(by_column)) * self.mean_row_weight()

    def by_output(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a weight as float64[outputs, width]."""
        return weight.reshape(self.width, -1).T if self.inputs_first else weight.reshape(-1, self.width)

    def loss(self, error: NDArray[np.floating]) -> float:
        """Return the squared error of the layer's output for an error of its weights.

        Parameters
        ----------
        error : float[rows, ...]
            Difference between the decoded and the original weight.
        """
        flat = self.by_output(np.asarray(error, np.float64))
        by_row = np.einsum("ri,ri->r", flat @ self.damped, flat)
        return float(
            by_row.sum() if self.row_weights is None else by_row @ np.asarray(self.row_weights, np.float64)
        )


def _asymmetry(matrix: NDArray[np.floating]) -> float:
    """Return the largest absolute difference between a matrix and its transpose."""
    largest = 0.0
    # By chunks of rows: the difference of the whole matrix would take as much memory as the matrix.
    for start in range(0, len(matrix), _CHUNK_ROWS):
        stop = start + _CHUNK_ROWS
        difference = np.asarray(matrix[start:stop, start:], np.float64) - matrix[start:, start:stop].T
        largest = max(largest, float(difference.max()), -float(difference.min()))
    return largest
