# SPDX-License-Identifier: Apache-2.0
"""Step sizes and the quantisation parameters that name them.

Clause: format 4.
"""

from __future__ import annotations

import math

from nnr_codec import _native


def step_size(qp: int, qp_density: int) -> float:
    """Return the step size of a quantisation parameter; exact where binary64 is normal, infinite above.

    Parameters
    ----------
    qp : int
        QP, the sum of ``qp_value`` and the parameter set's ``quantization_parameter``.
    qp_density : int
        0..7; the step doubles every ``2**qp_density`` steps of QP.

    >>> step_size(-38, 2)
    0.00146484375
    """
    if not 0 <= qp_density <= 7:
        raise ValueError(f"qp_density is 0..7, not {qp_density}")
    return _native.step_size(qp, qp_density)


def qp_for_step(step: float, qp_density: int) -> int:
    """Return the largest QP whose step size is at most `step`.

    >>> qp_for_step(0.0015, 2)
    -38
    """
    if not (step > 0 and math.isfinite(step)):
        raise ValueError(f"a step size is positive and finite, not {step!r}")
    mantissa, exponent = math.frexp(step)  # step = mantissa * 2**exponent, mantissa in [0.5, 1)
    k = 1 << qp_density
    return ((exponent - 1) << qp_density) + math.floor((2 * mantissa - 1) * k)
