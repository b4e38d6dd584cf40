# SPDX-License-Identifier: Apache-2.0
"""The error family. It imports nothing, so every room may raise it.

``NnrError`` carries where it happened in fields, not only in text: tests and tools read the fields.
"""

from __future__ import annotations


class NnrError(Exception):
    """Base of everything this package raises on its own account.

    Parameters
    ----------
    message : str
        What is wrong, in one sentence, without the place.
    path : str, optional
        Where in the syntax tree or the model: ``nnr_unit[3].tensor_dimensions[1]``, or a tensor's name.
    bit_offset : int, optional
        Absolute position in the stream, in bits from its first byte's most significant bit.
    element : str, optional
        The syntax element concerned, in the standard's spelling.
    clause : str, optional
        The clause of the specification that is violated.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        bit_offset: int | None = None,
        element: str | None = None,
        clause: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.bit_offset = bit_offset
        self.element = element
        self.clause = clause

    def __str__(self) -> str:
        place = []
        if self.path is not None:
            place.append(self.path)
        if self.bit_offset is not None:
            place.append(f"bit {self.bit_offset}")
        if self.clause is not None:
            place.append(f"clause {self.clause}")
        return f"{self.message} [{', '.join(place)}]" if place else self.message

    def __reduce__(self) -> tuple[object, tuple[object, ...], dict[str, object]]:
        # Worker processes send errors back; the default pickling would drop the keyword fields.
        return (type(self), (self.message,), self.__dict__)


class BitstreamError(NnrError):
    """The input's fault."""


class TruncatedBitstream(BitstreamError):
    """More bits are needed than exist."""


class MalformedBitstream(BitstreamError):
    """A value or a combination of values that the format forbids."""


class UnsupportedBitstream(BitstreamError):
    """Allowed by the format but not implemented here; the message names the feature."""


class LimitExceeded(BitstreamError):
    """Allowed by the format but beyond the caller's ``Limits``."""


class NotEncodable(NnrError):
    """The caller's model or options cannot be represented in a stream."""


class InternalError(NnrError):
    """An invariant of ours broke: a bug of this package, whatever the input."""


class QualityWarning(UserWarning):
    """A step, size or error that the caller asked for loses parts of a tensor that the default would keep."""
