# SPDX-License-Identifier: Apache-2.0
"""``nnr info``."""

from __future__ import annotations

import click

from nnr_codec.cli.limits import limit_option
from nnr_codec.cli.streams import input_operand
from nnr_codec.cli.terminal import printable, size, table
from nnr_codec.model import Limits


@click.command("info", epilog="\b\nExamples:\n  nnr info model.nnr\n  nnr info model.nnr | head")
@click.argument("source", metavar="FILE")
@limit_option
def command(source: str, limits: Limits) -> None:
    """Show a stream's units and tensors, from headers only."""
    from nnr_codec.codec.stream.summary import describe_stream

    summary = describe_stream(input_operand(source), limits=limits)
    rows = []
    for unit in summary.units:
        # The shape of the first tensor determines those of the other tensors of a block.
        tensor = unit.tensors[0] if unit.tensors else None
        kind = tensor.payload_type.name if tensor is not None and tensor.payload_type is not None else ""
        weights = sum(tensor.n_elements for tensor in unit.tensors)
        rows.append(
            (
                str(unit.byte_offset),
                str(unit.size_bytes),
                unit_name(unit.nnr_unit_type),
                kind.removeprefix("NNR_PT_"),
                "x".join(map(str, tensor.shape)) if tensor is not None and tensor.shape is not None else "",
                f"{unit.size_bytes * 8 / weights:.2f}" if weights else "",
                printable(", ".join(tensor.name for tensor in unit.tensors)),
            )
        )
    n_bytes, profile = summary.size_bytes, summary.general_profile_idc
    click.echo(f"{printable(source)}: profile {profile}, {len(rows)} units, {size(n_bytes)}")
    header = ("offset", "bytes", "unit", "payload", "shape", "bits/weight", "tensors")
    for line in table(header, rows, (True, True, False, False, True, True, False)):
        click.echo(line)
    total = sum(tensor.n_elements for tensor in summary.tensors)
    if total:
        rate = n_bytes * 8 / total
        click.echo(f"{len(summary.tensors)} tensors, {total:,} weights, {rate:.2f} bits per weight in all")


def unit_name(nnr_unit_type: int) -> str:
    """Return the name of a unit type, in the standard's spelling.

    >>> unit_name(0), unit_name(40)
    ('NNR_STR', 'type 40')
    """
    from nnr_codec.model import NnrUnitType

    return NnrUnitType(nnr_unit_type).name if nnr_unit_type in set(NnrUnitType) else f"type {nnr_unit_type}"
