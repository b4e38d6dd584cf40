# SPDX-License-Identifier: Apache-2.0
"""``nnr conformance``."""

from __future__ import annotations

import importlib

import click

from nnr_codec.cli.validate import command as validate

_CHECKER = "nnr_conformance.cli"


@click.command(
    "conformance",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    epilog="\b\nExamples:\n  nnr conformance run\n  nnr conformance explain core/framing/plain --decoder model\n"
    "  nnr conformance validate stream.nnr",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Check decoders against the conformance vectors, and streams against the specification.

    Commands: run, report, list, explain, coverage, adapter, selftest, and validate for a stream of another encoder. All
    but the last are the checker's own: ``nnr conformance run --help`` tells more.
    """
    if arguments[:1] == ("validate",):
        result = validate.main(
            list(arguments[1:]), prog_name="nnr conformance validate", standalone_mode=False
        )
        return result if isinstance(result, int) else 0
    # The product does not depend on the checker: they are installed together and know each other by name only.
    checker = importlib.import_module(_CHECKER)
    return int(checker.main(list(arguments) or ["--help"]))
