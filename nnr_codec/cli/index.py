# SPDX-License-Identifier: Apache-2.0
"""``nnr index``."""

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
    """Write FILE.idx, an index of the positions of all tensors.

    With an index, decoding single tensors (--only) takes the same time for any size of model. An index of another version of
    the stream is ignored. Write it again after you copy or change the stream.
    """
    from nnr_codec.codec.stream.unit_index import UnitIndex
    from nnr_codec.frameworks.atomic import replacing

    target = source + ".idx"
    with replacing(target, overwrite=True) as file:
        count = UnitIndex.write(source, file, limits=limits)
    note(f"{target}: {count} tensors", quiet=quiet)
