# SPDX-License-Identifier: Apache-2.0
"""``nnr info``."""

from __future__ import annotations

import math
import os

import click

from nnr_codec.cli import port
from nnr_codec.cli.terminal import printable, size, table
from nnr_codec.model import CompressedParameterTypes, DataUnit, DataUnitHeader, NnrUnitType, StartUnit

#: How many one-dimensional tensors, as long as the weight's first dimension, each parameter adds to a block.
_ONE_DIMENSIONAL = {
    CompressedParameterTypes.LS: 1,
    CompressedParameterTypes.BN: 4,
    CompressedParameterTypes.BI: 1,
}


@click.command("info", epilog="\b\nExamples:\n  nnr info model.nnr\n  nnr info model.nnr | head")
@click.argument("source", metavar="FILE")
def command(source: str) -> None:
    """Show a stream's units and tensors, from headers only."""
    rows, profile, total_weights, n_tensors = [], "?", 0, 0
    for placed in port.read_units(source):
        unit = placed.unit
        names: tuple[str, ...] = ()
        shape, weights, kind = "", 0, ""
        if isinstance(unit, StartUnit):
            profile = str(unit.general_profile_idc)
        if isinstance(unit, DataUnit):
            names = placed.names
            kind = unit.header.payload_type.name.removeprefix("NNR_PT_")
            if unit.header.tensor_dimensions is not None:
                shape = "x".join(map(str, unit.header.tensor_dimensions))
                weights = n_weights(unit.header)
            n_tensors += len(names)
            total_weights += weights
        rows.append(
            (
                str(placed.byte_offset),
                str(placed.size_bytes),
                unit_name(unit),
                kind,
                shape,
                f"{placed.size_bytes * 8 / weights:.2f}" if weights else "",
                printable(", ".join(names)),
            )
        )
    n_bytes = os.path.getsize(source)
    click.echo(f"{printable(source)}: profile {profile}, {len(rows)} units, {size(n_bytes)}")
    header = ("offset", "bytes", "unit", "payload", "shape", "bits/weight", "tensors")
    for line in table(header, rows, (True, True, False, False, True, True, False)):
        click.echo(line)
    if total_weights:
        rate = n_bytes * 8 / total_weights
        click.echo(f"{n_tensors} tensors, {total_weights:,} weights, {rate:.2f} bits per weight in all")


def n_weights(header: DataUnitHeader) -> int:
    """Count the elements of all tensors a unit carries; 0 when its dimensions are not sent."""
    dimensions = header.tensor_dimensions
    if not dimensions:
        return 0 if dimensions is None else 1
    extra = sum(n for kind, n in _ONE_DIMENSIONAL.items() if kind in header.compressed_parameter_types)
    return math.prod(dimensions) + extra * dimensions[0]


def unit_name(unit: object) -> str:
    """Give a unit's short name, in the standard's spelling.

    >>> unit_name(StartUnit())
    'NNR_STR'
    """
    names = {
        "StartUnit": NnrUnitType.NNR_STR,
        "ModelParameterSet": NnrUnitType.NNR_MPS,
        "LayerParameterSet": NnrUnitType.NNR_LPS,
        "TopologyUnit": NnrUnitType.NNR_TPL,
        "QuantizationUnit": NnrUnitType.NNR_QNT,
        "DataUnit": NnrUnitType.NNR_NDU,
        "AggregateUnit": NnrUnitType.NNR_AGG,
    }
    known = names.get(type(unit).__name__)
    number = getattr(unit, "nnr_unit_type", None)
    if known is None:
        return number.name if isinstance(number, NnrUnitType) else f"type {number}"
    return known.name
