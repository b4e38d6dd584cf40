# SPDX-License-Identifier: Apache-2.0
"""Error classes of the package.

This module imports nothing from the package, so every module may raise its errors. An error holds its place in fields.
Tests and tools read the fields, never the message text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class NnrError(Exception):
    """Base class of the errors that this package raises.

    Parameters
    ----------
    message : str
        One sentence that states the fault, without its place.
    path : str, optional
        Place in the syntax tree or in the model: ``nnr_unit[3].tensor_dimensions[1]``, or a tensor's name.
    bit_offset : int, optional
        Absolute position in the stream, in bits from the most significant bit of the first byte.
    element : str, optional
        Syntax element at fault, in the standard's spelling.
    clause : str, optional
        Violated clause of the specification.
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

    def fill_place(
        self,
        *,
        path: str | None = None,
        bit_offset: int | None = None,
        element: str | None = None,
        clause: str | None = None,
    ) -> None:
        """Set the fields that are still None; an inner caller knows the place more precisely."""
        self.path = path if self.path is None else self.path
        self.bit_offset = bit_offset if self.bit_offset is None else self.bit_offset
        self.element = element if self.element is None else self.element
        self.clause = clause if self.clause is None else self.clause

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
        # Worker processes pickle errors. The default pickling would drop the keyword fields.
        return (type(self), (self.message,), self.__dict__)


class BitstreamError(NnrError):
    """Fault of the input stream."""


class TruncatedBitstream(BitstreamError):
    """The stream or unit ends before a syntax element is complete."""


class MalformedBitstream(BitstreamError):
    """The format forbids a value or a combination of values in the stream."""


class UnsupportedBitstream(BitstreamError):
    """The stream uses a feature of the format that this package does not implement; the message names it."""


class LimitExceeded(BitstreamError):
    """The stream is valid but exceeds the caller's ``Limits``."""


class NotEncodable(NnrError):
    """The format cannot represent the caller's model or options."""


class InternalError(NnrError):
    """A bug in this package: an invariant does not hold."""


class QualityWarning(UserWarning):
    """A step, size or error that the caller asked for loses parts of a tensor that the default would keep.

    Parameters
    ----------
    message : str
        One sentence without the tensor's name.
    path : str, optional
        The tensor's name.
    """

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path

    def __str__(self) -> str:
        return self.message if self.path is None else f"{self.path}: {self.message}"


@contextmanager
def error_place(
    *,
    path: str | None = None,
    bit_offset: int | None = None,
    element: str | None = None,
    clause: str | None = None,
) -> Iterator[None]:
    """Complete the place of errors raised in the block, as `NnrError.fill_place` does.

    Examples
    --------
    >>> with error_place(path="nnr_unit[3]", bit_offset=96):
    ...     raise MalformedBitstream("the stream ends inside a unit", path="nnr_unit[3].payload")
    Traceback (most recent call last):
    nnr_codec.errors.MalformedBitstream: the stream ends inside a unit [nnr_unit[3].payload, bit 96]
    """
    try:
        yield
    except NnrError as error:
        error.fill_place(path=path, bit_offset=bit_offset, element=element, clause=clause)
        raise
