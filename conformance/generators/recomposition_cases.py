# SPDX-License-Identifier: Apache-2.0
"""Cases of recomposed weights: local scaling (4.5) and low-rank factors (4.6)."""

from __future__ import annotations

from conformance.generators import draft as d
from conformance.generators.case import Collection, rng_of
from conformance.generators.plain import one
from conformance.generators.script import TensorScript, drawn_values

_SCALING, _FACTORS, _BIAS = 2, 1, 8
#: Shape of the weight, announced types, rank, rows of G.
_BLOCKS: dict[str, tuple[tuple[int, ...], int, int, int]] = {
    "scaling": ((6, 5), _SCALING, 0, 0),
    "scaling-of-filters": ((4, 3, 2, 2), _SCALING | _BIAS, 0, 0),
    "factors": ((6, 8), _FACTORS, 3, 6),
    "factors-of-rank-1": ((5, 7), _FACTORS, 1, 5),
    "factors-of-other-rows": ((6, 8), _FACTORS, 2, 4),
    "factors-of-filters": ((4, 3, 2, 2), _FACTORS | _BIAS, 5, 4),
    "scaling-and-factors": ((6, 8), _SCALING | _FACTORS, 4, 6),
    "scaling-and-factors-of-other-rows": ((8, 6), _SCALING | _FACTORS, 4, 16),
}


def add_recompositions(suite: Collection, p: int) -> None:
    """Add blocks whose weight a decoder recomposes on request."""
    for name, (shape, types, rank, g_rows) in _BLOCKS.items():
        names = ["w_G", "w_H"] if types & _FACTORS else ["w"]
        names += ["s"] * bool(types & _SCALING) + ["b"] * bool(types & _BIAS)
        rng = rng_of(f"recomposition {p} {name}")
        scripts = [
            TensorScript(drawn_values(rng, 0.8, 90), qp_value=5 * number) for number in range(len(names))
        ]
        unit = d.data_unit(
            names, shape, scripts, kind=d.BLOCK, profile=p, types=types, rank=rank, g_rows=g_rows
        )
        features = "block-payload" + " low-rank" * bool(types & _FACTORS) + " local-scaling" * bool(types & _SCALING) + " bias" * bool(types & _BIAS)  # fmt: skip
        suite.add(f"recomposition/{name}", "A decoder that multiplies rows by the wrong scale, or reshapes a product before it is complete.",
                  features, one(unit, profile=p), clauses=("4.5", "4.6"), weight_shape=shape)  # fmt: skip
