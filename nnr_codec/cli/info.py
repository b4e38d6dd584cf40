# SPDX-License-Identifier: Apache-2.0
"""Command ``nnr info``."""

from __future__ import annotations

import click

from nnr_codec.cli.limits import limit_option
from nnr_codec.cli.streams import input_operand, naming_stream
from nnr_codec.cli.terminal import printable, size, table
from nnr_codec.model import Limits, unit_type_name


@click.command("info", epilog="\b\nExamples:\n  nnr info model.nnr\n  nnr info model.nnr | head")
@click.argument("source", metavar="FILE")
@limit_option
def command(source: str, limits: Limits) -> None:
    """Show the units and tensors of a stream. Only headers are read."""
    from nnr_codec.codec.stream.summary import describe_stream

    with naming_stream(source):
        summary = describe_stream(input_operand(source), limits=limits)
    rows = []
    for unit in summary.units:
        # The shape is the first tensor's; a block's other tensors follow from it.
        lead = unit.tensors[0] if unit.tensors else None
        kind = lead.payload_type.name if lead is not None and lead.payload_type is not None else ""
        weights = sum(tensor.n_elements for tensor in unit.tensors)
        rows.append(
            (
                str(unit.byte_offset),
                str(unit.size_bytes),
                unit_type_name(unit.nnr_unit_type),
                kind.removeprefix("NNR_PT_"),
                "x".join(map(str, lead.shape)) if lead is not None and lead.shape is not None else "",
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
        click.echo(f"{len(summary.tensors)} tensors, {total:,} weights, {rate:.2f} bits per weight overall")
