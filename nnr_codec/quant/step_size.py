# SPDX-License-Identifier: Apache-2.0
"""Conversion between step sizes and quantisation parameters (QP).

Clause: format 4.
"""

from __future__ import annotations

import math

from nnr_codec import _native


def step_size(qp: int, qp_density: int) -> float:
    """Return the step size of a QP: exact in the normal range of binary64, infinite above it.

    Parameters
    ----------
    qp : int
        Sum of ``qp_value`` and the parameter set's ``quantization_parameter``.
    qp_density : int
        0..7. The step size doubles when QP grows by ``2**qp_density``.

    Raises
    ------
    ValueError
        qp_density is out of range.

    Examples
    --------
    >>> step_size(-38, 2)
    0.00146484375
    """
    if not 0 <= qp_density <= 7:
        raise ValueError(f"qp_density must be 0..7, not {qp_density}")
    return _native.step_size(qp, qp_density)


def qp_for_step(step: float, qp_density: int) -> int:
    """Return the largest QP whose step size is at most `step`.

    Raises
    ------
    ValueError
        The step size is not positive and finite.

    Examples
    --------
    >>> qp_for_step(0.0015, 2)
    -38
    """
    if not (step > 0 and math.isfinite(step)):
        raise ValueError(f"a step size must be positive and finite, not {step!r}")
    mantissa, exponent = math.frexp(step)  # step = mantissa * 2**exponent, mantissa in [0.5, 1)
    k = 1 << qp_density
    return ((exponent - 1) << qp_density) + math.floor((2 * mantissa - 1) * k)


def qp_value_range(qp_density: int) -> range:
    """Return the values that a tensor's ``qp_value`` can hold, a signed integer of ``6 + qp_density`` bits.

    The range spans 32 doublings of the step size in each direction.

    Examples
    --------
    >>> qp_value_range(2)
    range(-128, 128)
    """
    half = 1 << (5 + qp_density)
    return range(-half, half)
