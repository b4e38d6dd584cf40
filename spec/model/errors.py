# SPDX-License-Identifier: Apache-2.0
"""The four ways a stream is turned down (section 7).

The model has error classes of its own: it shares nothing with the codec, so that the two can disagree.
"""

from __future__ import annotations


class StreamError(Exception):
    """Base of the four verdicts.

    Parameters
    ----------
    message : str
        What is wrong, in one sentence, without the place.
    path : str
        Where in the syntax: ``nnr_unit[3].tensor_dimensions[1]``.
    bit_offset : int
        Absolute, in bits from the stream's first: where the element at fault begins; in a codeword, where the
        decoder has come to.
    clause : str
        The section of the specification that is violated.
    """

    verdict = "error"

    def __init__(self, message: str, *, path: str, bit_offset: int, clause: str) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.bit_offset = bit_offset
        self.clause = clause

    def __str__(self) -> str:
        return f"{self.message} [{self.path}, bit {self.bit_offset}, clause {self.clause}]"


class Truncated(StreamError):
    """The container (stream, unit or joined parts) ends before the element does."""

    verdict = "truncated"


class Malformed(StreamError):
    """A value or a combination of values that the format forbids."""

    verdict = "malformed"


class Unsupported(StreamError):
    """Allowed, but this reading does not say how to decode it; the message names the feature."""

    verdict = "unsupported"


class Limit(StreamError):
    """Allowed, but beyond the limits the caller set."""

    verdict = "limit"
