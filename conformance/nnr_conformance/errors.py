# SPDX-License-Identifier: Apache-2.0
"""Errors of the checker itself, each with the exit code that it leads to."""

from __future__ import annotations

from typing import ClassVar


class ConformanceError(Exception):
    """Base of the checker's failures; a fault of the decoder under test is a verdict instead."""

    exit_code: ClassVar[int] = 3


class UsageError(ConformanceError):
    """Invalid command line, or a missing file or name on it."""

    exit_code = 4


class SchemaError(ConformanceError):
    """Departure of a JSON file from its schema; ``path`` locates it in the spelling of JSONPath."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class SuiteError(ConformanceError):
    """Damaged suite: a missing file, or a SHA-256 that differs from the manifest."""


class StartError(ConformanceError):
    """Decoder under test that cannot be started or sends no handshake."""


class RunnerError(ConformanceError):
    """Failure of the runner, whose verdicts are then invalid."""
