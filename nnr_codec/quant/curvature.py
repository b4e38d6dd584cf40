# SPDX-License-Identifier: Apache-2.0
"""How a layer's output suffers from errors of its weights: the quadratic form behind error feedback.

Shapes: rows, width of a weight seen as a matrix, one row for each output.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


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
    """

    matrix: NDArray[np.floating]
    row_weights: NDArray[np.floating] | None = None
    damping: float = 0.01

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or self.matrix.shape[0] != self.matrix.shape[1]:
            raise ValueError(f"a curvature's matrix is square, not {self.matrix.shape}")
        if not self.damping > 0:
            raise ValueError("damping is positive")

    def of_rows(self, row_weights: NDArray[np.floating] | None) -> Curvature:
        """Return the same curvature with other row weights, scaled as here."""
        if row_weights is None:
            return self
        other = Curvature(self.matrix, row_weights, self.damping)
        # The factor is the costly part and the same.
        other.__dict__.update(
            {key: self.__dict__[key] for key in ("damped", "factor") if key in self.__dict__}
        )
        return other

    @property
    def width(self) -> int:
        """Inputs of the layer."""
        return int(self.matrix.shape[0])

    @cached_property
    def damped(self) -> NDArray[np.float64]:
        """The matrix with its damping; the identity when no input was ever seen."""
        matrix = np.array(self.matrix, np.float64)
        mean = float(np.trace(matrix)) / self.width
        if not (mean > 0 and np.isfinite(matrix).all()):
            return np.eye(self.width)
        matrix[np.diag_indices(self.width)] += self.damping * mean
        return matrix

    @cached_property
    def factor(self) -> NDArray[np.float64]:
        """V, upper triangular with ``V V' = H``: errors before column i correct it by ``V[j, i] / V[i, i]``."""
        # Cholesky factors are lower triangular; turning both axes round makes an upper one.
        reversed_factor = np.linalg.cholesky(self.damped[::-1, ::-1])
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
        return 1.0 if self.row_weights is None else max(float(np.mean(self.row_weights)), 1e-300)

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
