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
        Counted elsewhere, in other inputs than the batches: how often rows of so many uses are used, and what for, is what the
        batches show of these rows. By the counts alone a row never seen would be next to worthless.
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
        share = smoothed_frequencies(self._counts)
        if self._products is None or not float(self._products.trace()) > 0:
            return share.astype(np.float32)[:, None]
        if self._uses is None:
            rows = share * total * _worth_of_a_use(self._counts, self._squares)
        else:
            rows = _means_by_octave(self._uses, self._squares, self._counts) * total / self._squares.sum()
        return Curvature((self._products / total).numpy(), rows / n_samples, damping)


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


def _worth_of_a_use(counts: NDArray[np.float64], squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what one use of each row is worth against the mean use; that of a row never used is that of the rarest."""
    octaves = _octaves(counts)
    seen, worth = np.bincount(octaves, counts), np.bincount(octaves, squares)
    known = np.flatnonzero(_is_believed(seen, worth))
    by_octave = np.interp(np.arange(len(seen)), known, worth[known] / seen[known])
    return np.asarray(by_octave[octaves] * counts.sum() / squares.sum())


def _means_by_octave(
    uses: NDArray[np.floating], squares: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean of squares over the rows of each row's octave of uses."""
    octaves = _octaves(uses)
    n_rows, seen, worth = np.bincount(octaves), np.bincount(octaves, counts), np.bincount(octaves, squares)
    known = np.flatnonzero(_is_believed(seen, worth) & (worth > 0))
    # Between octaves known, by the logarithm: from one to the next it is a factor.
    by_octave = np.exp(np.interp(np.arange(len(n_rows)), known, np.log(worth[known] / n_rows[known])))
    return np.asarray(by_octave[octaves])


def _is_believed(seen: NDArray[Any], worth: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which octaves are used enough to go by; at least one that is worth something is."""
    # The most used rows may have no gradient, as padding has none.
    enough: NDArray[np.bool_] = seen >= min(_FEWEST_USES, seen[worth > 0].max())
    return enough


def _octaves(uses: NDArray[np.floating]) -> NDArray[np.int64]:
    return np.floor(np.log2(np.asarray(uses, np.float64) + 1)).astype(np.int64)
