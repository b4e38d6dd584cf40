# SPDX-License-Identifier: Apache-2.0
"""The step of each tensor that leaves the relative error asked for, found by encoding those that are not there yet."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from nnr_codec.codec.encode.steps import nearest_qp
from nnr_codec.quant import step_size

# Small tensors' errors jump from step to step, so that several must be tried.
_MAX_ROUNDS = 16
_TOLERANCE = 0.004
# What is more than this beyond the error asked for is taken only where no step leaves less.
_EXCESS = 0.01

#: Relative errors that tensors are left with at these QPs.
Measure = Callable[[Mapping[str, int]], Mapping[str, float]]
#: The finest and the coarsest QP of a tensor.
Bounds = Callable[[str], tuple[int, int]]


def steps_for_errors(
    start: Mapping[str, int], asked: float, density: int, measure: Measure, bounds: Bounds
) -> dict[str, int]:
    """Return the QP of each tensor whose error comes nearest to what was asked for, from below where it is not met.

    Parameters
    ----------
    start : mapping of str to int
        Each tensor's first guess.
    asked : float
        Relative error.
    density : int
        Of the QPs.
    measure : callable
    bounds : callable
        Beyond them nothing is tried.
    """
    tried: dict[str, dict[int, float]] = {name: {} for name in start}
    pending = dict(start)
    for _ in range(_MAX_ROUNDS):
        if not pending:
            break
        for name, error in measure(pending).items():
            tried[name][pending[name]] = math.log(max(error, 1e-30) / asked)
        wanted = {
            name: _next_qp(tried[name], density, bounds(name))
            for name in pending
            if min(map(abs, tried[name].values())) > _TOLERANCE
        }
        pending = {name: qp for name, qp in wanted.items() if qp is not None}
    # Too small an error is none that was not asked for.
    return {
        name: min(found, key=lambda qp: (found[qp] > _EXCESS, abs(found[qp])))
        for name, found in tried.items()
    }


def _next_qp(tried: Mapping[int, float], density: int, bounds: tuple[int, int]) -> int | None:
    """Return the untried QP nearest to where the error should be met, given log errors over the one asked for.

    None when that is beyond a bound that was tried.
    """
    below = max((qp for qp, miss in tried.items() if miss < 0), default=None)
    above = min((qp for qp, miss in tried.items() if miss > 0), default=None)
    if below is not None and above is not None:
        share = tried[below] / (tried[below] - tried[above])
        wanted = round(below + share * (above - below))
    else:
        # Of equal errors the one tried farthest out, or the search would stay where it is.
        qp, miss = min(
            tried.items(), key=lambda found: (abs(found[1]), found[0] if found[1] > 0 else -found[0])
        )
        # Errors grow more slowly than steps where few values are left, so a large miss is aimed at in several goes.
        wanted = nearest_qp(step_size(qp, density) * math.exp(-max(min(miss, 1.0), -1.0)), density)
        wanted = min(max(wanted, bounds[0]), bounds[1])
        if wanted in tried and wanted in bounds:
            return None
    offset = 0
    while wanted + offset in tried:
        offset = -offset if offset > 0 else 1 - offset
    return wanted + offset if bounds[0] <= wanted + offset <= bounds[1] else None
