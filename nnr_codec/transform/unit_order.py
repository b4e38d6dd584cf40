# SPDX-License-Identifier: Apache-2.0
"""Reordering of hidden units to reduce the size of pruned networks.

A permutation of a hidden layer's units does not change the network if the next layer's inputs are permuted alike.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def sort_units(tensors: Mapping[str, NDArray[Any]], weights: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Sort the units of each hidden layer by decreasing number of nonzero weights.

    Sorting reduces the size after pruning: the adaptive contexts follow the density, which decreases along rows and columns,
    and units without weights come last. Dense weights do not benefit. The outputs of the network stay the same up to the
    rounding order of sums, so no inverse is needed.

    Parameters
    ----------
    tensors : mapping of str to array
    weights : sequence of str
        Names of the weights of consecutive layers, from input to output. Between two layers only operations per unit are
        allowed (activation, pooling, flattening), and no other layer may read or add to the units. The bias of a layer, with
        ``.bias`` in place of ``.weight`` in its name, is permuted too. Other vectors of a layer are not.

    Returns
    -------
    dict of str to array

    Raises
    ------
    ValueError
        The inputs of a layer or the elements of a bias do not match the units, or a weight is named twice. Shared weights
        cannot be permuted for one use only.
    """
    for name in weights:
        if weights.count(name) > 1:
            raise ValueError(f"{name} is named twice: the units of shared weights cannot be permuted")
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
        # After flattening, each channel is several adjacent inputs.
        inputs = np.asarray(result[reader]).reshape(shape[0], n_units, math.prod(shape[1:]) // n_units)
        n_nonzero = np.count_nonzero(rows.reshape(n_units, -1), axis=1) + np.count_nonzero(
            inputs, axis=(0, 2)
        )
        order = np.argsort(-n_nonzero, kind="stable")
        result[name], result[reader] = rows[order], inputs[:, order].reshape(shape)
        if bias in result:
            result[bias] = np.asarray(result[bias])[order]
    return result
