# SPDX-License-Identifier: Apache-2.0
"""7.1 Error classes.

They are independent of the codec's, so that a fault of the codec cannot hide in code that both share.
"""

from __future__ import annotations


class StreamError(Exception):
    """Base of the four error classes.

    Parameters
    ----------
    message : str
        The violated rule, in one sentence, without the place.
    path : str
        Place in the syntax, such as ``nnr_unit[3].tensor_dimensions[1]``.
    bit_offset : int
        Bits from the stream's first: of the first bit of the element at fault; in a codeword, of the next bit to be
        read.
    clause : str
        Number of the violated clause.

    Clause: 7.1
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
    """End of the container (stream, unit, joined parts) inside an element."""

    verdict = "truncated"


class Malformed(StreamError):
    """Forbidden value or combination of values."""

    verdict = "malformed"


class Unsupported(StreamError):
    """Valid feature that the specification does not describe; the message names it."""

    verdict = "unsupported"


class Limit(StreamError):
    """Valid size beyond the limits of the caller."""

    verdict = "limit"
