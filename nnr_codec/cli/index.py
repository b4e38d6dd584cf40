# SPDX-License-Identifier: Apache-2.0
"""Command ``nnr index``."""

from __future__ import annotations

import click

from nnr_codec.cli.limits import limit_option
from nnr_codec.cli.terminal import note
from nnr_codec.model import Limits


@click.command(
    "index", epilog="\b\nExamples:\n  nnr index model.nnr                     # writes model.nnr.idx"
)
@click.argument("source", metavar="FILE")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@limit_option
def command(source: str, limits: Limits, quiet: bool) -> None:
    """Write an index of the tensors beside the stream.

    With an index, the time to decode single tensors (--only) does not depend on the size of the model. Decoding ignores an
    index that does not match the stream; write a new one after copying or changing the stream.
    """
    from nnr_codec.codec.stream.unit_index import UnitIndex
    from nnr_codec.frameworks.atomic import replacing

    target = source + ".idx"
    with replacing(target, overwrite=True) as file:
        count = UnitIndex.write(source, file, limits=limits)
    note(f"{target}: {count} tensors", quiet=quiet)
