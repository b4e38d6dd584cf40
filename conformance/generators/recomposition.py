# SPDX-License-Identifier: Apache-2.0
"""Recomposed weights of a vector of one block unit, computed by the model, with the tolerance that clause 4.6 allows."""

from __future__ import annotations

import math

import numpy as np
from nnr_conformance.arrays import digest
from nnr_conformance.expectation import ExpectedValues, Tolerance
from numpy.typing import NDArray

from conformance.generators.case import Case
from spec.model import Session, factors_product, scaled_rows

Weight = NDArray[np.float32]


def recomposition_of(case: Case) -> tuple[ExpectedValues, Weight] | None:
    """Return expectation and weight of a case with ``weight_shape``; None for other cases."""
    shape = case.weight_shape
    if shape is None:
        return None
    [stream] = case.streams
    tensors = Session(dimensions=case.dimensions).decode(stream).tensors.values()
    by_role = {tensor.role: tensor for tensor in tensors}
    bound = 0.0
    if "G" in by_role:
        g, h = by_role["G"], by_role["H"]
        name, rank = g.name.removesuffix("_G"), g.shape[1]
        values = factors_product(g.values, h.values, rank)
        magnitudes = np.abs(np.reshape(g.values, g.shape)) @ np.abs(np.reshape(h.values, h.shape))
        # Each of `rank` products and sums, and the scaling, errs by at most half a unit of binary32.
        bound = 2 * (rank + 1) * 2.0**-24 * float(magnitudes.max(initial=0))
    else:
        name, values = by_role["weight"].name, [float(value) for value in by_role["weight"].values]
    if "LS" in by_role:
        scaling = [float(value) for value in by_role["LS"].values]
        values = scaled_rows(values, scaling, math.prod(shape[1:]))
        bound *= max(map(abs, scaling), default=0.0)
    weight = np.array(values, np.float32).reshape(shape)
    tolerance = (
        Tolerance(absolute=bound, reason="The format does not fix the order of summation (4.6).")
        if bound
        else None
    )
    expected = ExpectedValues(
        tensor=name, dtype="float32", shape=shape, sha256=digest(weight), tolerance=tolerance
    )
    return expected, weight
