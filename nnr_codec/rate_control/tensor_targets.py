# SPDX-License-Identifier: Apache-2.0
"""Search of each tensor's step for a target relative error, by repeated encoding."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from nnr_codec.codec.encode.quantize.steps import nearest_qp
from nnr_codec.quant import step_size
from nnr_codec.rate_control.target_curve import LEAST

# The error of a small tensor jumps from step to step, so several steps must be tried.
_MAX_ROUNDS = 16
_TOLERANCE = 0.004
# Log errors above the target by more than this are accepted only if every other step gives more.
_EXCESS = 0.01

#: Returns the relative error of each tensor at its QP.
Measure = Callable[[Mapping[str, int]], Mapping[str, float]]
#: The finest and the coarsest QP of a tensor.
Bounds = Callable[[str], tuple[int, int]]


def steps_for_errors(
    start: Mapping[str, int], asked: float, density: int, measure: Measure, bounds: Bounds
) -> dict[str, int]:
    """Return the QP of each tensor whose error is nearest to the target, preferably below it.

    Parameters
    ----------
    start : mapping of str to int
        Initial QP of each tensor.
    asked : float
        Target relative error.
    density : int
        Density of the QPs.
    measure : callable
        Returns the relative error of each tensor at its QP.
    bounds : callable
        Returns the finest and the coarsest QP of a tensor.

    Returns
    -------
    dict of str to int
    """
    tried: dict[str, dict[int, float]] = {name: {} for name in start}
    pending = dict(start)
    for _ in range(_MAX_ROUNDS):
        if not pending:
            break
        for name, error in measure(pending).items():
            tried[name][pending[name]] = math.log(max(error, LEAST) / asked)
        next_qps = {
            name: _next_qp(tried[name], density, bounds(name))
            for name in pending
            if min(map(abs, tried[name].values())) > _TOLERANCE
        }
        pending = {name: qp for name, qp in next_qps.items() if qp is not None}
    # Undershooting the target is acceptable; exceeding it is not.
    return {
        name: min(misses, key=lambda qp: (misses[qp] > _EXCESS, abs(misses[qp])))
        for name, misses in tried.items()
    }


def _next_qp(tried: Mapping[int, float], density: int, bounds: tuple[int, int]) -> int | None:
    """Return the untried QP nearest to the estimated solution.

    Parameters
    ----------
    tried : mapping of int to float
        Log of error over target, by QP.
    density : int
    bounds : (int, int)

    Returns
    -------
    int or None
        None if the solution is beyond a bound that was tried.
    """
    below = max((qp for qp, miss in tried.items() if miss < 0), default=None)
    above = min((qp for qp, miss in tried.items() if miss > 0), default=None)
    if below is not None and above is not None:
        fraction = tried[below] / (tried[below] - tried[above])
        estimate = round(below + fraction * (above - below))
    else:
        # Of QPs with equal errors take the one nearest to the solution. Otherwise the search would not move.
        qp, miss = min(tried.items(), key=lambda item: (abs(item[1]), item[0] if item[1] > 0 else -item[0]))
        # A move is at most a factor of e: with few nonzero levels the error grows more slowly than the step.
        estimate = nearest_qp(step_size(qp, density) * math.exp(-max(min(miss, 1.0), -1.0)), density)
        estimate = min(max(estimate, bounds[0]), bounds[1])
        if estimate in tried and estimate in bounds:
            return None
    offset = 0
    while estimate + offset in tried:
        offset = -offset if offset > 0 else 1 - offset
    return estimate + offset if bounds[0] <= estimate + offset <= bounds[1] else None
