# SPDX-License-Identifier: Apache-2.0
"""Importance of an embedding's rows: use counts and the effect of a use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.quant import Curvature

#: Uses of an octave's rows from which their mean effect is taken as reliable.
_FEWEST_USES = 16


class EmbeddingCollector:
    """Use counts of each row, and the products of the gradients at the outputs.

    An embedding's inputs select rows. The errors within a row are therefore coupled by the mean of g g' over the
    derivatives g at its outputs, not by X'X. A row's weight is its use count times the mean effect of one use among rows of
    similar counts: rare words have the largest effect per use.

    Parameters
    ----------
    n_rows : int
    uses : float[rows], optional
        Use counts from more inputs than the batches. The batches then give the mean effect per octave of these counts, also
        for rows that no batch uses.
    """

    def __init__(self, n_rows: int, uses: NDArray[np.floating] | None) -> None:
        self._uses = uses
        self._counts = np.zeros(n_rows)
        self._squares = np.zeros(n_rows)
        self._products: Any = None

    def on_forward(self, module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Count the rows used, and register for the gradient at the output."""
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
            rows = share * total * _effect_per_use(self._counts, self._squares)
        else:
            rows = _means_by_octave(self._uses, self._squares, self._counts) * total / self._squares.sum()
        return Curvature((self._products / total).numpy(), rows / n_samples, damping)


def smoothed_frequencies(counts: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the expected share of uses of each row; unseen rows share the Good-Turing estimate of new uses.

    >>> smoothed_frequencies(np.array([6.0, 1.0, 1.0, 0.0])).round(3).tolist()
    [0.562, 0.094, 0.094, 0.25]
    """
    total = float(counts.sum())
    unseen = counts == 0
    n_unseen = int(unseen.sum())
    if not n_unseen:
        return (counts / total).astype(np.float64)
    # Between half a use and half of all uses.
    new_share = min(max(float((counts == 1).sum()), 0.5) / total, 0.5)
    share: NDArray[np.float64] = np.where(unseen, new_share / n_unseen, (1 - new_share) * counts / total)
    return share


def _effect_per_use(counts: NDArray[np.float64], squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the effect of one use of each row relative to the mean; unused rows have that of the rarest used."""
    octaves = _octaves(counts)
    n_uses, effects = np.bincount(octaves, counts), np.bincount(octaves, squares)
    known = np.flatnonzero(_is_reliable(n_uses, effects))
    by_octave = np.interp(np.arange(len(n_uses)), known, effects[known] / n_uses[known])
    return np.asarray(by_octave[octaves] * counts.sum() / squares.sum())


def _means_by_octave(
    uses: NDArray[np.floating], squares: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean of squares over the rows of each row's octave of uses."""
    octaves = _octaves(uses)
    n_rows = np.bincount(octaves)
    n_uses, effects = np.bincount(octaves, counts), np.bincount(octaves, squares)
    known = np.flatnonzero(_is_reliable(n_uses, effects) & (effects > 0))
    # Interpolated in the logarithm: neighbouring octaves differ by a factor.
    by_octave = np.exp(np.interp(np.arange(len(n_rows)), known, np.log(effects[known] / n_rows[known])))
    return np.asarray(by_octave[octaves])


def _is_reliable(n_uses: NDArray[Any], effects: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which octaves have enough uses for a mean; at least one with an effect does."""
    # The most used rows may have no gradient, as padding has none.
    enough: NDArray[np.bool_] = n_uses >= min(_FEWEST_USES, n_uses[effects > 0].max())
    return enough


def _octaves(uses: NDArray[np.floating]) -> NDArray[np.int64]:
    return np.floor(np.log2(np.asarray(uses, np.float64) + 1)).astype(np.int64)
