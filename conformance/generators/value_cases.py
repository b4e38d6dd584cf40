# SPDX-License-Identifier: Apache-2.0
"""Cases of reconstruction: exact codebook products, and steps at the ends of binary32."""

from __future__ import annotations

from random import Random

import numpy as np

from conformance.generators import draft as d
from conformance.generators.case import Collection, rng_of
from conformance.generators.plain import one
from conformance.generators.script import TensorScript

#: Steps as (density, parameter): QP = parameter.
STEPS = {
    "zero-step": (0, -200),
    "step-of-half-the-smallest": (0, -150),  # a tie; the even neighbour is zero
    "step-of-three-quarters-of-the-smallest": (1, -299),  # rounds up to 2^-149
    "smallest-step": (0, -149),
    "subnormal-step": (3, -1157),
    "step-of-2-127": (0, 127),
    "infinite-step": (0, 128),
}
_LEVELS = (1, -1, 2, -2, 3, -3)
_ENTRIES = (-9, -4, -1, 0, 2, 3, 11)
_ZERO = 3


def add_values(suite: Collection, p: int) -> None:
    """Add the cases of both profiles."""
    _entries_beyond_24_bits(suite, p)
    for name, (density, parameter) in STEPS.items():
        # An infinite step makes level 0 and entry 0 NaN, whose bits are not fixed (decision 0007).
        zeros = () if name == "infinite-step" else (0, 0)
        parameters = d.mps(p, density=density, qp=parameter, methods=3)
        unit = d.data_unit("w", (len(_LEVELS) + len(zeros),), TensorScript([*_LEVELS, *zeros]), profile=p)
        suite.add(f"qp/{name}-signs", "A decoder that loses the sign of zero, or rounds the step otherwise than to binary32.",
                  "uniform qp-density", one(unit, parameters, profile=p), clauses=("4.1", "4.2"), comment="Decision 0007.")  # fmt: skip
        unit = d.data_unit("w", (len(_LEVELS) + len(zeros),), TensorScript([*_LEVELS, *zeros]), profile=p,
                           book=d.codebook(_ENTRIES, _ZERO))  # fmt: skip
        suite.add(f"codebook/{name}", "A decoder that loses the sign of zero, or the exactness of the product, at the ends of binary32.",
                  "codebook qp-density", one(unit, parameters, profile=p), clauses=("4.1", "4.3"), comment="Decision 0007.")  # fmt: skip


def rounded_twice(rng: Random, mantissa: int, count: int) -> list[int]:
    """Draw codebook entries whose value differs when they are rounded to binary32 before the product."""
    entries: set[int] = set()
    while len(entries) < count:
        entry = rng.randint((1 << 24) + 1, (1 << 31) - 1) * rng.choice((1, -1))
        exact = np.float32(np.float64(entry * mantissa))
        if np.float32(entry) * np.float32(mantissa) != exact:
            entries.add(entry)
    return sorted(entries)


def _entries_beyond_24_bits(suite: Collection, p: int) -> None:
    for density, mantissa in ((1, 3), (2, 5), (4, 23), (7, 255)):
        rng = rng_of(f"entries beyond 24 bits {density}")
        entries = rounded_twice(rng, mantissa, 14)
        entries = sorted({*entries, 0, (1 << 24) + 1, -(1 << 24) - 1})
        zero = entries.index(0)
        for dq in (0, 1):
            # With dependent quantisation levels run up to twice the coded value.
            low, high = (
                (-(zero // 2), (len(entries) - 1 - zero) // 2) if dq else (-zero, len(entries) - 1 - zero)
            )
            values = [*range(low, high + 1)]
            unit = d.data_unit("w", (len(values),), TensorScript(values, qp_value=mantissa - (1 << density)), profile=p,
                               book=d.codebook(entries, zero, 15), dq=dq)  # fmt: skip
            suite.add(f"codebook/entries-beyond-24-bits-density-{density}{'-dq' if dq else ''}",
                      "A decoder that rounds codebook entries to binary32 before the product.", "codebook qp-density",
                      one(unit, d.mps(p, methods=2, density=density, qp=0), profile=p), clauses=("4.3",), comment="Decision 0017.")  # fmt: skip
