# SPDX-License-Identifier: Apache-2.0
"""Base class of the syntax elements, the only constructs that access the stream."""

from __future__ import annotations

import copy
from enum import EnumMeta, Flag
from typing import Any

from construct import Construct

from nnr_codec.errors import (
    BitstreamError,
    LimitExceeded,
    MalformedBitstream,
    NotEncodable,
    TruncatedBitstream,
)
from nnr_codec.syntax.expressions import Expression, Scope
from nnr_codec.syntax.streams import SyntaxReader, SyntaxWriter
from nnr_codec.syntax.trace import TraceEvent


class Named:
    """Mixin that makes ``"name" / member`` a named copy; construct would add a wrapper object."""

    name: str | None
    key: str | None = None
    min_bits: int = 0  # least number of bits that a member reads

    def __rtruediv__(self, name: str) -> Any:
        named = copy.copy(self)
        named.name = name
        named.key = named.key or name
        return named


class Element(Named, Construct):  # type: ignore[misc]  # construct has no types
    """Syntax element. Each subclass is a descriptor.

    Parameters
    ----------
    descriptor : str
        Descriptor as written in the standard's tables.
    values : enumeration, range or int, optional
        Values that the format allows. An int is the only allowed value and is the default when building.
    inferred : int, optional
        Value that conditions of other elements use if the element is absent.
    limit : str, optional
        Field of `Limits` that bounds the value.
    rule : str, optional
        Expression over this element and earlier elements that must hold.
    key : str, optional
        Key in the tree, if the name is not unique in its table.
    refusal : type of BitstreamError
        Error for a value that is not allowed.
    symbols : enumeration, optional
        Names of values, if ``values`` is not an enumeration.
    min_bits : int
        Least number of bits that the element takes.

    Attributes
    ----------
    allowed : container or None
        Values that the format allows; None for all.
    """

    def __init__(
        self,
        descriptor: str,
        *,
        values: Any = None,
        inferred: int | None = None,
        limit: str | None = None,
        rule: str | None = None,
        key: str | None = None,
        refusal: type[BitstreamError] = MalformedBitstream,
        symbols: EnumMeta | None = None,
        min_bits: int = 1,
    ) -> None:
        super().__init__()
        self.descriptor = descriptor
        self.values = values
        self.inferred = inferred
        self.limit = limit
        self.rule = None if rule is None else Expression(rule)
        self.key = key
        self.refusal = refusal
        self.symbols = symbols or (values if isinstance(values, EnumMeta) else None)
        self.min_bits = min_bits
        self.clause: str | None = None
        self.fixed = isinstance(values, int)
        self.allowed = _allowed(values)
        self._guarded = values is not None or limit is not None or rule is not None

    # Methods that a descriptor defines.

    def _read(self, stream: SyntaxReader, scope: Scope) -> Any:
        raise NotImplementedError

    def _write(self, value: Any, stream: SyntaxWriter, scope: Scope) -> None:
        raise NotImplementedError

    def _descriptor_here(self, scope: Scope) -> str:
        return self.descriptor

    def _raw(self, stream: SyntaxReader, start: int, end: int) -> Any:
        return stream.bits_between(start, end)

    # Walks: construct's entry points.

    def _parse(self, stream: SyntaxReader, context: Any, path: str) -> Any:
        if stream.trace is not None:
            return _traced(self, stream, context, path)
        start = stream.bit_offset
        try:
            value = context[self.name] = self._read(stream, context)
            if self._guarded:
                self._check_limit(value, stream)
                if stream.strict:
                    self._check(value, start, context)
        except BitstreamError as error:
            self._locate(error, start, path)
            raise
        return value

    def _build(self, obj: Any, stream: SyntaxWriter, context: Any, path: str) -> None:
        try:
            if obj is None and self.fixed:
                obj = self._default(stream)
            # Do not store opaque bytes: no condition reads them. construct's contexts are reference cycles, so a tensor's
            # payload would stay in memory until the next garbage collection.
            if not isinstance(obj, bytes | memoryview):
                context[self.name] = obj
            if stream.strict and self._guarded:
                self._check(obj, stream.bit_length, context)
            self._write(obj, stream, context)
        except BitstreamError as error:
            raise NotEncodable(error.message, path=path, element=self.name, clause=self.clause) from None
        except (ValueError, TypeError, OverflowError, AttributeError) as error:
            raise NotEncodable(str(error), path=path, element=self.name, clause=self.clause) from error

    def _default(self, stream: SyntaxWriter) -> Any:
        return self.values

    def _check(self, value: Any, start: int, scope: Scope) -> None:
        if self.allowed is not None and value not in self.allowed:
            raise self.refusal(f"{self.name} is {value}, and the format allows {self.allowed_text}")
        if self.rule is not None and not self.rule(scope):
            raise self.refusal(f"{self.name} is {value}, and {self.rule} does not hold")

    def _check_limit(self, value: Any, stream: SyntaxReader) -> None:
        if self.limit is not None:
            bound = getattr(stream.limits, self.limit)
            if bound is not None and value > bound:
                raise LimitExceeded(f"{self.name} is {value}, and {self.limit} is {bound}")

    def _locate(self, error: BitstreamError, start: int, path: str) -> None:
        error.clause = self.clause  # the element's clause replaces that of its descriptor
        error.fill_place(path=path, bit_offset=start, element=self.name)

    def symbol(self, value: Any) -> str | None:
        """Return the name of a value, or None."""
        if self.symbols is None or value is None:
            return None
        try:
            name: str | None = self.symbols(value).name  # None for the value 0 of a flag enumeration
        except ValueError:
            return None
        return name

    @property
    def allowed_text(self) -> str:
        """Description of the allowed values, for messages."""
        if isinstance(self.values, range):
            return f"{self.values[0]}..{self.values[-1]}"
        if isinstance(self.values, EnumMeta):
            return f"the values of {self.values.__name__}"
        return "any value" if self.values is None else f"only {self.values}"


def _allowed(values: Any) -> Any:
    if isinstance(values, EnumMeta):
        members: Any = values
        return None if issubclass(values, Flag) else frozenset(map(int, members))
    return range(values, values + 1) if isinstance(values, int) else values


def _traced(element: Element, stream: SyntaxReader, context: Any, path: str) -> Any:
    """Parse one element and append its event to the trace, also if it is faulty."""
    start = stream.bit_offset
    value = fault = None
    try:
        value = element._read(stream, context)
        end = stream.bit_offset
        context[element.name] = value
        element._check_limit(value, stream)
        element._check(value, start, context)
    except BitstreamError as error:
        element._locate(error, start, path)
        fault = error
        if value is None:
            # No value was read. The event covers the remaining bits of a truncated element; otherwise no bits.
            end = stream.end_bit if isinstance(error, TruncatedBitstream) else start
    stream.trace.append(  # type: ignore[union-attr]  # the caller checks that there is a trace
        TraceEvent(
            path,
            element.name or "",
            element._descriptor_here(context),
            start,
            end - start,
            element._raw(stream, start, end),
            value,
            element.symbol(value),
            element.clause or "",
            fault,
        )
    )
    if fault is not None and (stream.strict or value is None or isinstance(fault, LimitExceeded)):
        raise fault
    return value
