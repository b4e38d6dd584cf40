# SPDX-License-Identifier: Apache-2.0
"""``nnr conformance``."""

from __future__ import annotations

import importlib

import click

_CHECKER = "nnr_conformance.cli"


@click.command(
    "conformance",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    epilog="\b\nExamples:\n  nnr conformance run\n  nnr conformance explain core/framing/plain --decoder model",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Check decoders against the conformance vectors.

    Commands: run, report, verify, list, explain, coverage, adapter, selftest; ``nnr conformance run --help`` shows their options.
    ``nnr validate`` checks streams.
    """
    # The product does not depend on the checker: they are installed together and know each other by name only.
    checker = importlib.import_module(_CHECKER)
    return int(checker.main(list(arguments) or ["--help"]))
