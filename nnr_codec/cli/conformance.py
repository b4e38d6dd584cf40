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

    Commands: run, report, list, explain, coverage, adapter, selftest; and validate, which checks a stream of any encoder.
    ``nnr conformance run --help`` shows the options of a command.
    """
    if arguments[:1] == ("validate",):
        result = validate.main(
            list(arguments[1:]), prog_name="nnr conformance validate", standalone_mode=False
        )
        return result if isinstance(result, int) else 0
    # The package does not depend on the checker. Both are installed together, and this is the only reference to it.
    checker = importlib.import_module(_CHECKER)
    return int(checker.main(list(arguments) or ["--help"]))
