# SPDX-License-Identifier: Apache-2.0
"""The verdicts, and which of them count against a decoder."""

from __future__ import annotations

from enum import Enum


class Verdict(str, Enum):
    """What one vector says about one decoder."""

    PASS = "PASS"
    FAIL = "FAIL"
    """Decoded, but a layer differs; or nothing usable came out."""
    WRONG_ACCEPT = "WRONG_ACCEPT"
    WRONG_REJECT = "WRONG_REJECT"
    WRONG_ERROR = "WRONG_ERROR"
    """Rejected as it should, with a wrong class, stage or place."""
    CRASH = "CRASH"
    TIMEOUT = "TIMEOUT"
    OOM = "OOM"
    UNSUPPORTED = "UNSUPPORTED"
    SKIP = "SKIP"
    """Not run: outside what the decoder claims."""
    XFAIL = "XFAIL"
    """Fails as the baseline says."""
    XPASS = "XPASS"
    """Passes although the baseline says that it fails."""
    FLAKY = "FLAKY"

    def __str__(self) -> str:
        return self.value


# A `should` may be departed from, but nothing excuses these.
_NEVER_EXCUSED = {Verdict.CRASH, Verdict.TIMEOUT, Verdict.OOM, Verdict.FLAKY}


def counts_against(verdict: Verdict, requirement: str) -> bool:
    """Whether the verdict denies conformance.

    A known failure (XFAIL) does: a baseline says what is expected, not what conforms.
    """
    if verdict in (Verdict.PASS, Verdict.XPASS, Verdict.SKIP):
        return False
    return requirement == "shall" or verdict in _NEVER_EXCUSED
