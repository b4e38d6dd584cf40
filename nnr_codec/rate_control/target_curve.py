# SPDX-License-Identifier: Apache-2.0
"""Where a curve of one scale meets a target: log scales against values, nearly straight in logarithms."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

#: Of log values: near enough.
TOLERANCE = 0.004
#: Logarithms of values stop here: an error may be 0.
LEAST = 1e-30
_MAX_BRACKETING = 24
_MAX_SOLVING = 6

_Points = list[tuple[float, float]]


def between(points: _Points, asked: float) -> float | None:
    """Return the log scale between the nearest encodings on either side of the target; None until there are."""
    found = _around(points, asked)
    if found is None:
        return None
    (low, below), (high, above) = found
    near, far = math.log(max(below, LEAST)), math.log(max(above, LEAST))
    share = (math.log(asked) - near) / (far - near) if far > near else 0.5
    return low + share * (high - low)


def bisected(points: _Points, asked: float) -> float:
    """Return the middle between the same two, for where the curve is not straight."""
    found = _around(points, asked)
    return points[-1][0] if found is None else (found[0][0] + found[1][0]) / 2


def _around(points: _Points, asked: float) -> tuple[tuple[float, float], tuple[float, float]] | None:
    below = max((p for p in points if p[1] < asked), key=lambda p: p[1], default=None)
    above = min((p for p in points if p[1] >= asked), key=lambda p: p[1], default=None)
    return None if below is None or above is None else (below, above)


def bracket(
    estimated: Callable[[float], float], start: float, bounds: tuple[float, float], asked: float, sign: float
) -> _Points:
    """Return log scales and log values, ordered, the wanted value between them if it can be had."""
    curve = [(start, math.log(max(estimated(math.exp(start)), LEAST)))]
    goal = math.log(asked)
    for _ in range(_MAX_BRACKETING):
        low, high = sign * (curve[0][1] - goal), sign * (curve[-1][1] - goal)
        if low <= 0 <= high:
            break
        at = min(curve[-1][0] + 1.0, bounds[1]) if high < 0 else max(curve[0][0] - 1.0, bounds[0])
        if at in (curve[0][0], curve[-1][0]):
            break
        value = (at, math.log(max(estimated(math.exp(at)), LEAST)))
        curve = sorted([*curve, value])
    return curve


def solve(curve: _Points, goal: float, sign: float, estimated: Callable[[float], float]) -> float:
    """Return the log scale at which the estimate is `goal`; adds the points it needs to the curve."""
    at = 0.0
    for _ in range(_MAX_SOLVING):
        values = [sign * v for _, v in curve]
        at = float(np.interp(sign * goal, np.maximum.accumulate(values), [s for s, _ in curve]))
        value = math.log(max(estimated(math.exp(at)), LEAST))
        if abs(value - goal) <= TOLERANCE / 2 or any(abs(at - s) < 1e-4 for s, _ in curve):
            break
        curve.append((at, value))
        curve.sort()
    return at
