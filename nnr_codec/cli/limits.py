# SPDX-License-Identifier: Apache-2.0
"""The options about what a stream may cost, the same for every command that reads one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar

import click

from nnr_codec.model import Limits

F = TypeVar("F", bound=Callable[..., Any])


def _limits(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> Limits:
    """Read limits: ``none`` first or alone lifts all, ``NAME=none`` one.

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
            known = ", ".join(field.name for field in fields(Limits))
            raise click.BadParameter(f"{name!r} is no limit; there are {known}")
        try:
            number = None if value == "none" else float(value) if name == "max_seconds" else int(value)
        except ValueError:
            raise click.BadParameter(f"{text!r} is not NAME=NUMBER or NAME=none") from None
        if number is None and name == "expansion_floor_bytes":
            number = 0
        if number is not None and not number >= 0:
            raise click.BadParameter(f"{name} is not negative")
        changed: dict[str, Any] = {name: number}
        limits = replace(limits, **changed)
    return limits


def limit_option(command: F) -> F:
    """Give a command the option ``--limit``, which it receives as ``limits``."""
    return click.option(
        "--limit", "limits", multiple=True, metavar="NAME=VALUE", callback=_limits,
        help="What a stream may cost, such as max_seconds=2 or max_total_elements=1000000; NAME=none lifts one, none all. "
        "Repeatable; docs/threat-model.md lists them.",
    )(command)  # fmt: skip
