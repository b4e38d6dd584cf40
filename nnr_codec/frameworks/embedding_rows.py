# SPDX-License-Identifier: Apache-2.0
"""Importance of the rows of an embedding, from the frequency and the gradient of their uses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.quant import Curvature

# Number of uses of an octave of rows above which its mean squared gradient is reliable.
_MIN_USES = 16


class EmbeddingCollector:
    """Collector of use counts, squared gradients and gradient products of the rows of an embedding.

    The inputs of an embedding select rows, so the errors within a row are coupled by the mean of g g' over the gradients g at
    its outputs, not by X'X. The weight of a row is its number of uses times the mean squared gradient of one use. The latter
    is larger for rare rows: rare words carry more of a text's meaning.

    Parameters
    ----------
    n_rows : int
    uses : float[rows], optional
        Number of uses of each row in other inputs than the batches. Rows with similar counts then share the squared gradients
        that the batches show for them. With counts from the batches alone, an unseen row would get almost no weight.
    """

    def __init__(self, n_rows: int, uses: NDArray[np.floating] | None) -> None:
        self._uses = uses
        self._counts = np.zeros(n_rows)
        self._squares = np.zeros(n_rows)
        self._products: Any = None

    def on_forward(self, module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Count the selected rows, and register a hook for the gradient of the output."""
        del module
        indices = inputs[0].detach().reshape(-1).numpy()
        self._counts += np.bincount(indices, minlength=len(self._counts))
        if output.requires_grad:
            output.register_hook(lambda gradient: self._on_gradient(indices, gradient))

    def _on_gradient(self, indices: Any, gradient: Any) -> None:
        rows = gradient.detach().reshape(-1, gradient.shape[-1])
        squares = rows.square().sum(1).numpy()
        self._squares += np.bincount(indices, squares, minlength=len(self._squares))
        product = (rows.T @ rows).double()
        self._products = product if self._products is None else self._products + product

    def result(self, n_samples: int, damping: float) -> Curvature | NDArray[np.float32] | None:
        """Return the curvature of the rows.

        Returns
        -------
        Curvature, float32[rows, 1] or None
            Without gradients, the frequencies of the rows. None if no row was used.
        """
        total = self._counts.sum()
        if total == 0:
            return None
        frequencies = smoothed_frequencies(self._counts)
        if self._products is None or not float(self._products.trace()) > 0:
            return frequencies.astype(np.float32)[:, None]
        if self._uses is None:
            rows = frequencies * total * _relative_weight_per_use(self._counts, self._squares)
        else:
            rows = _means_by_octave(self._uses, self._squares, self._counts) * total / self._squares.sum()
        return Curvature((self._products / total).numpy(), rows / n_samples, damping)


def smoothed_frequencies(counts: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return Good-Turing estimates of the frequencies of rows from their counts.

    Parameters
    ----------
    counts : float[rows]

    Returns
    -------
    float64[rows]
        Frequencies with a sum of 1; unseen rows share the probability mass of rows seen once.

    Examples
    --------
    >>> smoothed_frequencies(np.array([6.0, 1.0, 1.0, 0.0])).round(3).tolist()
    [0.562, 0.094, 0.094, 0.25]
    """
    total = float(counts.sum())
    unseen = counts == 0
    n_unseen = int(unseen.sum())
    if not n_unseen:
        return (counts / total).astype(np.float64)
    # Probability mass of unseen rows: that of half a use at least, and one half at most.
    unseen_mass = min(max(float((counts == 1).sum()), 0.5) / total, 0.5)
    frequencies: NDArray[np.float64] = np.where(
        unseen, unseen_mass / n_unseen, (1 - unseen_mass) * counts / total
    )
    return frequencies


def _relative_weight_per_use(
    counts: NDArray[np.float64], squares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the squared gradient per use of each row's octave, relative to the mean over all uses.

    Octaves without reliable data are interpolated; unseen rows get the value of the rarest rows.
    """
    octaves = _octaves(counts)
    n_uses, weights = np.bincount(octaves, counts), np.bincount(octaves, squares)
    reliable = np.flatnonzero(_is_reliable(n_uses, weights))
    by_octave = np.interp(np.arange(len(n_uses)), reliable, weights[reliable] / n_uses[reliable])
    return np.asarray(by_octave[octaves] * counts.sum() / squares.sum())


def _means_by_octave(
    uses: NDArray[np.floating], squares: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean squared gradient per row of each row's octave of uses."""
    octaves = _octaves(uses)
    n_rows = np.bincount(octaves)
    n_uses, weights = np.bincount(octaves, counts), np.bincount(octaves, squares)
    reliable = np.flatnonzero(_is_reliable(n_uses, weights) & (weights > 0))
    # Interpolate in the log domain: the weight changes by a factor per octave.
    logs = np.log(weights[reliable] / n_rows[reliable])
    by_octave = np.exp(np.interp(np.arange(len(n_rows)), reliable, logs))
    return np.asarray(by_octave[octaves])


def _is_reliable(n_uses: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.bool_]:
    """Return True for octaves with enough uses; at least one octave with a gradient is reliable."""
    # Octaves without a gradient do not count: the most frequent row may be padding.
    is_reliable: NDArray[np.bool_] = n_uses >= min(_MIN_USES, n_uses[weights > 0].max())
    return is_reliable


def _octaves(uses: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return floor(log2(uses + 1)), int64[rows]."""
    return np.floor(np.log2(np.asarray(uses, np.float64) + 1)).astype(np.int64)
