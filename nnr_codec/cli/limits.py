# SPDX-License-Identifier: Apache-2.0
"""Option ``--limit`` of the commands that read streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar

import click

from nnr_codec.model import Limits

F = TypeVar("F", bound=Callable[..., Any])


def _limits(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> Limits:
    """Parse limits: ``none`` removes all bounds, ``NAME=none`` removes one.

    >>> _limits(None, None, ("max_units=10", "max_seconds=0.5")).max_units
    10
    >>> _limits(None, None, ("none", "max_units=10")) == replace(Limits.none(), max_units=10)
    True
    """
    del ctx, param
    limits = Limits()
    for text in texts:
        if text == "none":
            limits = Limits.none()
            continue
        name, _, value = text.partition("=")
        name = name.replace("-", "_")
        if name not in {field.name for field in fields(Limits)}:
            names = ", ".join(field.name for field in fields(Limits))
            raise click.BadParameter(f"{name!r} is not a limit; limits are {names}")
        try:
            number = None if value == "none" else float(value) if name == "max_seconds" else int(value)
        except ValueError:
            raise click.BadParameter(f"{text!r} is not NAME=NUMBER or NAME=none") from None
        if number is None and name == "expansion_floor_bytes":
            number = 0
        if number is not None and not number >= 0:
            raise click.BadParameter(f"{name} must not be negative")
        changed: dict[str, Any] = {name: number}
        limits = replace(limits, **changed)
    return limits


def limit_option(command: F) -> F:
    """Add the option ``--limit`` to a command, which receives it as ``limits``."""
    return click.option(
        "--limit", "limits", multiple=True, metavar="NAME=VALUE", callback=_limits,
        help="Resource limit such as max_seconds=2 or max_total_elements=1000000; NAME=none removes one bound, none removes "
        "all. Repeatable; docs/threat-model.md lists the limits.",
    )(command)  # fmt: skip
