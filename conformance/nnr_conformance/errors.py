# SPDX-License-Identifier: Apache-2.0
"""What the checker raises on its own account; each class knows the exit code it ends in."""

from __future__ import annotations

from typing import ClassVar


class ConformanceError(Exception):
    """Base of the checker's own failures: never the fault of the decoder under test."""

    exit_code: ClassVar[int] = 3


class UsageError(ConformanceError):
    """The command line, or a file named on it, asks for something that does not exist."""

    exit_code = 4


class RecordError(ConformanceError):
    """A JSON file departs from its schema; ``path`` says where, in JSONPath-like spelling."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class SuiteError(ConformanceError):
    """A suite is damaged: a file is missing, or its SHA-256 is not the manifest's."""


class StartError(ConformanceError):
    """The decoder under test cannot be started, or does not shake hands."""


class RunnerError(ConformanceError):
    """The runner itself broke, so its verdicts cannot be trusted."""
