# SPDX-License-Identifier: Apache-2.0
"""What the rows of an embedding are worth: how often each is used, and what depends on a use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.quant import Curvature

# Uses of an octave's rows from which their mean worth is believed.
_FEWEST_USES = 16


class EmbeddingCollector:
    """Counts of each row, and the products of the gradients where rows are used.

    The inputs of an embedding pick rows, so that what couples the errors of a row is not X'X but the mean of g g' over the
    derivatives g at its outputs; how often a row is used weighs it, and what one use of rows as rare as it is worth: in a text
    the rare words say the most.

    Parameters
    ----------
    n_rows : int
    uses : float[rows], optional
        Counted elsewhere.
    """

    def __init__(self, n_rows: int, uses: NDArray[np.floating] | None) -> None:
        self._uses = uses
        self._counts = np.zeros(n_rows)
        self._squares = np.zeros(n_rows)
        self._products: Any = None

    def on_forward(self, module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Count the rows used, and wait for the gradient there."""
        del module
        picked = inputs[0].detach().reshape(-1).numpy()
        self._counts += np.bincount(picked, minlength=len(self._counts))
        if output.requires_grad:
            output.register_hook(lambda gradient: self._on_gradient(picked, gradient))

    def _on_gradient(self, picked: Any, gradient: Any) -> None:
        rows = gradient.detach().reshape(-1, gradient.shape[-1])
        squares = rows.square().sum(1).numpy()
        self._squares += np.bincount(picked, squares, minlength=len(self._squares))
        product = (rows.T @ rows).double()
        self._products = product if self._products is None else self._products + product

    def result(self, n_samples: int, damping: float) -> Curvature | NDArray[np.float32] | None:
        """Return the rows' curvature; their frequencies, float32[rows, 1], without gradients; None if no row was used."""
        total = self._counts.sum()
        if total == 0:
            return None
        uses = self._counts if self._uses is None else self._uses
        share = smoothed_frequencies(uses)
        if self._products is None or not float(self._products.trace()) > 0:
            return share.astype(np.float32)[:, None]
        rows = share * (total / n_samples) * _worth_of_a_use(uses, self._counts, self._squares)
        return Curvature((self._products / total).numpy(), rows, damping)


def smoothed_frequencies(counts: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how often each row will be used, by how often it was: unseen rows share what Good and Turing leave them.

    >>> smoothed_frequencies(np.array([6.0, 1.0, 1.0, 0.0])).round(3).tolist()
    [0.562, 0.094, 0.094, 0.25]
    """
    total = float(counts.sum())
    unseen = counts == 0
    n_unseen = int(unseen.sum())
    if not n_unseen:
        return (counts / total).astype(np.float64)
    # At least one unseen use in twice as many again, at most half of all uses.
    new_share = min(max(float((counts == 1).sum()), 0.5) / total, 0.5)
    share: NDArray[np.float64] = np.where(unseen, new_share / n_unseen, (1 - new_share) * counts / total)
    return share


def _worth_of_a_use(
    uses: NDArray[np.floating], counts: NDArray[np.float64], squares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what one use of each row is worth against the mean use, by the row's octave of uses."""
    octaves = np.floor(np.log2(np.asarray(uses, np.float64) + 1)).astype(np.int64)
    seen, worth = np.bincount(octaves, counts), np.bincount(octaves, squares)
    known = np.flatnonzero(seen >= min(_FEWEST_USES, seen.max()))
    means = worth[known] / seen[known]
    by_octave = np.interp(np.arange(len(seen)), known, means)
    return np.asarray(by_octave[octaves] * counts.sum() / squares.sum())
