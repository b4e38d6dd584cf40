# SPDX-License-Identifier: Apache-2.0
"""Cases of false entry points in valid streams, for decoders that decode block rows in parallel."""

from __future__ import annotations

from collections.abc import Callable

from conformance.generators import draft as d
from conformance.generators.case import Collection, rng_of
from conformance.generators.plain import one
from conformance.generators.script import TensorScript, drawn_values

Points = list[dict[str, int]]


def _offset(points: Points) -> None:
    points[1]["cabac_offset_value"] ^= 1


def _state(points: Points) -> None:
    points[1]["dq_state"] ^= 5


def _a_bit_more(points: Points) -> None:
    points[0]["distance"] += 1


def _a_bit_less(points: Points) -> None:
    points[1]["distance"] -= 1


def _beyond_the_end(points: Points) -> None:
    points[-1]["distance"] += 1 << 30


def _before_the_start(points: Points) -> None:
    points[1]["distance"] = -(1 << 20)


def _zero(points: Points) -> None:
    for point in points:
        point.update(cabac_offset_value=0, dq_state=0, distance=0)


def _exchanged(points: Points) -> None:
    points[0]["cabac_offset_value"], points[1]["cabac_offset_value"] = (
        points[1]["cabac_offset_value"],
        points[0]["cabac_offset_value"],
    )


def _of_the_row_before(points: Points) -> None:
    points[1]["distance"] = 0
    for name in ("cabac_offset_value", "dq_state"):
        points[1][name] = points[0][name]


_FALSE: dict[str, Callable[[Points], None]] = {
    "offset": _offset,
    "state": _state,
    "a-bit-more": _a_bit_more,
    "a-bit-less": _a_bit_less,
    "beyond-the-end": _beyond_the_end,
    "before-the-start": _before_the_start,
    "all-zero": _zero,
    "exchanged": _exchanged,
    "of-the-row-before": _of_the_row_before,
}


def add_entry_points(suite: Collection, p: int) -> None:
    """Add valid streams whose entry points are false in one way each."""
    for name, falsify in _FALSE.items():
        values = drawn_values(rng_of(f"false entry points {p} {name}"), 0.6, 4)
        unit = d.data_unit("w", (28, 9), TensorScript(values), profile=p, scan=1, dq=1, entry_points=falsify)
        suite.add(f"entry-points/false-{name}", "A parallel decoder that trusts entry points, and delivers other levels or rejects the stream.",
                  "entry-points block-scan dependent-quantization", one(unit, profile=p), clauses=("5.5.2",),
                  elements=("bit_offset_delta2", "dq_state"),
                  comment="A decoder may compare where a block row ends with the next entry point, or decode straight through.")  # fmt: skip
    factors = [
        TensorScript(drawn_values(rng_of(f"false entry points of factors {p}"), 0.6, 4)) for _ in range(2)
    ]
    unit = d.data_unit(["w_G", "w_H"], (20, 10), factors, kind=d.BLOCK, profile=p, types=1, rank=12, g_rows=20, scan=1,
                       entry_points=_a_bit_more)  # fmt: skip
    suite.add("entry-points/false-in-factors", "A parallel decoder that checks the entry points of the last factor only.",
              "entry-points block-scan block-payload low-rank", one(unit, profile=p), clauses=("5.5.2",))  # fmt: skip
