# SPDX-License-Identifier: Apache-2.0
"""Hidden units in the order that codes cheapest.

Units of a hidden layer have no order of their own: moved together with what reads them, they make the same network.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def sort_units(tensors: Mapping[str, NDArray[Any]], weights: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return tensors with each hidden layer's units by falling number of weights that are not zero.

    Helps after pruning: the contexts' probabilities follow the density as it falls along rows and columns, and units without
    weights come last. Dense weights gain nothing. The network's outputs stay what they were, up to the order in which sums are
    rounded; there is nothing to undo.

    Parameters
    ----------
    tensors : mapping of str to array
    weights : sequence of str
        Names of the weights of consecutive layers, from input to output. Between two of them each unit goes its own way
        (an activation, pooling, flattening), and nothing else reads or adds to it. A layer's bias, named as its weight with
        ``.bias`` for ``.weight``, moves along; other vectors of a layer are not known here.

    Raises
    ------
    ValueError
        The inputs of a layer, or the elements of its bias, are not the units; or a weight is named twice: its units would move
        for one use and not for the other.
    """
    for name in weights:
        if weights.count(name) > 1:
            raise ValueError(f"{name} is named twice: the units of shared weights have no order of their own")
    result = dict(tensors)
    for name, reader in itertools.pairwise(weights):
        rows = np.asarray(result[name])
        if rows.ndim == 0:
            raise ValueError(f"{name} is a scalar, without units")
        n_units = rows.shape[0]
        shape = np.shape(result[reader])
        if len(shape) < 2 or (shape[1] % n_units if n_units else shape[1]):
            raise ValueError(f"{reader} of shape {shape} does not read the {n_units} units of {name}")
        bias = f"{name.removesuffix('.weight')}.bias"
        if bias in result and np.shape(result[bias])[:1] != (n_units,):
            raise ValueError(
                f"{bias} of shape {np.shape(result[bias])} is not of the {n_units} units of {name}"
            )
        if not n_units:
            continue
        # Flattened channels have several inputs each, side by side.
        inputs = np.asarray(result[reader]).reshape(shape[0], n_units, math.prod(shape[1:]) // n_units)
        uses = np.count_nonzero(rows.reshape(n_units, -1), axis=1) + np.count_nonzero(inputs, axis=(0, 2))
        order = np.argsort(-uses, kind="stable")
        result[name], result[reader] = rows[order], inputs[:, order].reshape(shape)
        if bias in result:
            result[bias] = np.asarray(result[bias])[order]
    return result
