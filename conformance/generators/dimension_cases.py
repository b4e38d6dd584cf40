# SPDX-License-Identifier: Apache-2.0
"""Cases of units without dimensions, whose shapes the application supplies (3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance.generators import draft as d
from conformance.generators.case import Collection, rng_of
from conformance.generators.damage import Damager
from conformance.generators.script import TensorScript, drawn_values

Shapes = dict[str, tuple[int, ...]]
_SHAPES: Shapes = {
    "matrix": (9, 5),
    "vector": (11,),
    "scalar": (),
    "empty": (0, 3),
    "rank-5": (2, 3, 1, 2, 2),
}


def _scripts(name: str, count: int = 1) -> list[TensorScript]:
    rng = rng_of(f"external dimensions {name}")
    return [TensorScript(drawn_values(rng, 0.6, 5), qp_value=number) for number in range(count)]


def _stream(
    p: int, shapes: Shapes, unit: d.UnitDraft, before: Sequence[bytes] = (), parents: int = 0
) -> bytes:
    units = [d.start(p), d.mps(p, parents=parents) if parents else d.mps(p), unit]
    return d.write_stream(units, before, shapes)


def add_external_dimensions(suite: Collection, p: int) -> None:
    """Add valid streams with shapes from outside."""

    def add(name: str, purpose: str, features: str, streams: Any, shapes: Shapes) -> None:
        suite.add(f"external-dimensions/{name}", purpose, f"external-dimensions {features}", streams, dimensions=shapes,
                  requirement="should", comment="A decoder without a way to supply shapes answers that it does not support them.")  # fmt: skip

    for name, shape in _SHAPES.items():
        shapes = {"w": shape}
        unit = d.data_unit("w", shape, _scripts(name), profile=p, send_shape=False)
        add(
            name,
            "A decoder that does not use the shape of the application.",
            "float-payload",
            _stream(p, shapes, unit),
            shapes,
        )
    shapes = {"w": (20, 9)}
    unit = d.data_unit("w", (20, 9), _scripts("no scan"), profile=p, send_shape=False, dq=1)
    add("no-scan-order", "A decoder that reads a scan order that depends on a shape from outside.", "dependent-quantization",
        _stream(p, shapes, unit), shapes)  # fmt: skip
    unit = d.data_unit("w", (3, 4), _scripts("no input parameters"), profile=p, input_parameters=False)
    add("no-input-parameters", "A decoder that asks for a shape only if the dimensions flag is sent.", "float-payload",
        _stream(p, {"w": (3, 4)}, unit), {"w": (3, 4)})  # fmt: skip
    unit = d.data_unit(["w_G", "w_H", "s"], (6, 10), _scripts("factors", 3), kind=d.BLOCK, profile=p, types=3, rank=3, g_rows=4,
                       send_shape=False)  # fmt: skip
    add("block", "A decoder that takes the shape from outside for that of a factor.", "block-payload low-rank local-scaling",
        _stream(p, {"w_G": (6, 10)}, unit), {"w_G": (6, 10)})  # fmt: skip
    unit = d.data_unit("a", (2, 2), _scripts("another"), profile=p)
    add("sent-shape-counts", "A decoder that prefers the shape of the application to the one that is sent.", "float-payload",
        _stream(p, {"a": (4,)}, unit), {"a": (4,)})  # fmt: skip
    if p == 1:
        streams: list[bytes] = []
        for number in range(2):
            unit = d.data_unit("w", (7, 6), _scripts(f"update {number}"), profile=p, send_shape=False, parents=1,
                               node=(0, 0, number + 1), parent=d.child_of())  # fmt: skip
            streams.append(_stream(p, {"w": (7, 6)}, unit, streams, parents=1))
        add("updates", "A decoder that forgets the shape of the application behind the first stream.", "incremental temporal-context",
            streams, {"w": (7, 6)})  # fmt: skip


def add_external_faults(m: Damager) -> None:
    """Add a block whose shape from outside its factors do not divide."""
    parent = "core/external-dimensions/block"
    m.add("external-dimensions/rows-of-factors", "A decoder that checks factors only against a shape that is sent.",
          "external-dimensions low-rank", m.of(parent), "malformed", "header", parent=parent, mutation="a shape of 7 x 9 from outside",
          element="g_number_of_rows", dimensions={"w_G": (7, 9)}, requirement="should", clauses=("3.3", "3.4"))  # fmt: skip
