# SPDX-License-Identifier: Apache-2.0
"""Root finding on a monotonic curve of (log scale, value), nearly straight in the log domain."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

#: Log values within this distance of the target are close enough.
TOLERANCE = 0.004
#: Lower bound of values before their logarithm is taken; an error may be 0.
LEAST = 1e-30
_MAX_BRACKETING = 24
_MAX_SOLVING = 6

_Points = list[tuple[float, float]]


def between(points: _Points, asked: float) -> float | None:
    """Return the interpolated log scale of a target value.

    Returns
    -------
    float or None
        None if no point or all points are below the target.
    """
    neighbours = _neighbours(points, asked)
    if neighbours is None:
        return None
    (low, below), (high, above) = neighbours
    log_below, log_above = math.log(max(below, LEAST)), math.log(max(above, LEAST))
    fraction = (math.log(asked) - log_below) / (log_above - log_below) if log_above > log_below else 0.5
    return low + fraction * (high - low)


def bisected(points: _Points, asked: float) -> float:
    """Return the midpoint of the interval that contains the target, where interpolation does not converge."""
    neighbours = _neighbours(points, asked)
    return points[-1][0] if neighbours is None else (neighbours[0][0] + neighbours[1][0]) / 2


def _neighbours(points: _Points, asked: float) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return the points with the largest value below the target and the smallest value not below it."""
    below = max((p for p in points if p[1] < asked), key=lambda p: p[1], default=None)
    above = min((p for p in points if p[1] >= asked), key=lambda p: p[1], default=None)
    return None if below is None or above is None else (below, above)


def bracket(
    estimated: Callable[[float], float], start: float, bounds: tuple[float, float], asked: float, sign: float
) -> _Points:
    """Return points (log scale, log value) in order of scale that enclose the target, if it is within the bounds.

    Parameters
    ----------
    estimated : callable
        Value at a scale.
    start : float
        Initial log scale.
    bounds : (float, float)
        Least and largest log scale.
    asked : float
        Target value.
    sign : float
        1 if the value increases with the scale, -1 if it decreases.
    """
    curve = [(start, math.log(max(estimated(math.exp(start)), LEAST)))]
    goal = math.log(asked)
    for _ in range(_MAX_BRACKETING):
        low, high = sign * (curve[0][1] - goal), sign * (curve[-1][1] - goal)
        if low <= 0 <= high:
            break
        log_scale = min(curve[-1][0] + 1.0, bounds[1]) if high < 0 else max(curve[0][0] - 1.0, bounds[0])
        if log_scale in (curve[0][0], curve[-1][0]):
            break
        point = (log_scale, math.log(max(estimated(math.exp(log_scale)), LEAST)))
        curve = sorted([*curve, point])
    return curve


def solve(curve: _Points, goal: float, sign: float, estimated: Callable[[float], float]) -> float:
    """Return the log scale at which the log estimate is `goal`. Points that are evaluated are added to the curve."""
    log_scale = 0.0
    for _ in range(_MAX_SOLVING):
        values = [sign * v for _, v in curve]
        log_scale = float(np.interp(sign * goal, np.maximum.accumulate(values), [s for s, _ in curve]))
        value = math.log(max(estimated(math.exp(log_scale)), LEAST))
        if abs(value - goal) <= TOLERANCE / 2 or any(abs(log_scale - s) < 1e-4 for s, _ in curve):
            break
        curve.append((log_scale, value))
        curve.sort()
    return log_scale
