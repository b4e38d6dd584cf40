# SPDX-License-Identifier: Apache-2.0
"""Verdicts on a decoder, and their effect on conformance."""

from __future__ import annotations

from enum import Enum


class Verdict(str, Enum):
    """Verdict on one decoder for one vector."""

    PASS = "PASS"
    FAIL = "FAIL"
    """Decoded, but a layer differs or the output is unusable."""
    WRONG_ACCEPT = "WRONG_ACCEPT"
    WRONG_REJECT = "WRONG_REJECT"
    WRONG_ERROR = "WRONG_ERROR"
    """Rejected correctly, with a wrong class, stage, stream or bit."""
    CRASH = "CRASH"
    TIMEOUT = "TIMEOUT"
    OOM = "OOM"
    UNSUPPORTED = "UNSUPPORTED"
    REFUSED = "REFUSED"
    """Refused as beyond the level of the run, which is neither right nor wrong."""
    SKIP = "SKIP"
    """Not run: outside the claims of the decoder."""
    XFAIL = "XFAIL"
    """Fails as listed in the baseline."""
    XPASS = "XPASS"
    """Passes, although the baseline lists a failure."""
    FLAKY = "FLAKY"

    def __str__(self) -> str:
        return self.value


NOT_JUDGED = (Verdict.SKIP, Verdict.REFUSED)
"""Verdicts on vectors that the decoder need not decode."""

# These deny conformance for a `should` vector too.
_NEVER_EXCUSED = {Verdict.CRASH, Verdict.TIMEOUT, Verdict.OOM, Verdict.FLAKY}


def denies(verdict: Verdict, requirement: str, at_level: bool, beyond: bool) -> bool:
    """True if the verdict denies conformance to everything claimed, or to a level.

    A level leaves no choice of features: a vector within it that the decoder does not claim denies conformance to it.
    """
    if at_level and not beyond and verdict is Verdict.SKIP:
        return requirement == "shall"
    return counts_against(verdict, requirement)


def meets(verdict: Verdict, requirement: str) -> bool:
    """True if the verdict meets a requirement. Nothing conforms that met none."""
    return requirement == "shall" and verdict in (Verdict.PASS, Verdict.XPASS)


def counts_against(verdict: Verdict, requirement: str) -> bool:
    """True if the verdict denies conformance.

    A known failure (XFAIL) denies it: a baseline states expected failures, not conformance.
    """
    if verdict in (Verdict.PASS, Verdict.XPASS, *NOT_JUDGED):
        return False
    return requirement == "shall" or verdict in _NEVER_EXCUSED
