# SPDX-License-Identifier: Apache-2.0
"""Descriptors of the standard's tables, ``u(n)`` to ``bs(v)``, as construct leaves over bit reader and writer."""

from __future__ import annotations

import struct
from typing import Any

from nnr_codec.errors import InternalError, LimitExceeded, MalformedBitstream, UnsupportedBitstream
from nnr_codec.syntax.element import Element
from nnr_codec.syntax.expressions import Expression, Scope, expression
from nnr_codec.syntax.streams import SyntaxReader, SyntaxWriter


def _read_flag(stream: SyntaxReader, scope: Scope) -> int:
    return stream.read_bit()


class u(Element):
    """``u(n)``: an unsigned integer of n bits.

    Clause: format 1
    """

    def __init__(self, n_bits: int | str, values: Any = None, **facts: Any) -> None:
        min_bits = n_bits if isinstance(n_bits, int) else 1
        super().__init__(f"u({expression(n_bits)})", values=values, min_bits=min_bits, **facts)
        self.n_bits = expression(n_bits)
        if n_bits == 1:
            self._read = _read_flag  # type: ignore[method-assign]  # fast path: most elements are flags

    def _size(self, scope: Scope) -> int:
        return self.n_bits(scope) if isinstance(self.n_bits, Expression) else self.n_bits

    def _read(self, stream: SyntaxReader, scope: Scope) -> int:
        return stream.read_bits(self._size(scope))

    def _write(self, value: int, stream: SyntaxWriter, scope: Scope) -> None:
        stream.write_bits(value, self._size(scope))

    def _descriptor_here(self, scope: Scope) -> str:
        return f"u({self._size(scope)})"


class i(Element):
    """``i(n)``: a two's complement integer of n bits.

    Clause: format 1
    """

    def __init__(self, n_bits: int, **facts: Any) -> None:
        super().__init__(f"i({n_bits})", min_bits=n_bits, **facts)
        self.n_bits = n_bits

    def _read(self, stream: SyntaxReader, scope: Scope) -> int:
        half = 1 << (self.n_bits - 1)
        return (stream.read_bits(self.n_bits) ^ half) - half

    def _write(self, value: int, stream: SyntaxWriter, scope: Scope) -> None:
        half = 1 << (self.n_bits - 1)
        if not -half <= value < half:
            raise ValueError(f"{value} does not fit {self.n_bits} bits in two's complement")
        stream.write_bits(value & (2 * half - 1), self.n_bits)


class ue(Element):
    """``ue(k)``: an unsigned Exp-Golomb code of order k, with values of 32 bits by default.

    Clause: format 1
    """

    def __init__(self, order: int | str, *, maximum: int = 0xFFFFFFFF, **facts: Any) -> None:
        min_bits = order + 1 if isinstance(order, int) else 1
        super().__init__(f"ue({expression(order)})", min_bits=min_bits, **facts)
        self.order = expression(order)
        self.maximum = maximum

    def _order(self, scope: Scope) -> int:
        return self.order(scope) if isinstance(self.order, Expression) else self.order

    def _read(self, stream: SyntaxReader, scope: Scope) -> int:
        return stream.read_exp_golomb(self._order(scope), self.maximum)

    def _write(self, value: int, stream: SyntaxWriter, scope: Scope) -> None:
        if value > self.maximum:
            raise ValueError(f"{value} is more than {self.maximum}")
        stream.write_exp_golomb(value, self._order(scope))

    def _descriptor_here(self, scope: Scope) -> str:
        return f"ue({self._order(scope)})"


class ie(Element):
    """``ie(k)``: a signed Exp-Golomb code of order k, in the order of values 0, 1, -1, 2, -2.

    Clause: format 1
    """

    def __init__(self, order: int, **facts: Any) -> None:
        super().__init__(f"ie({order})", min_bits=order + 1, **facts)
        self.order = order

    def _read(self, stream: SyntaxReader, scope: Scope) -> int:
        folded = stream.read_exp_golomb(self.order)
        return (folded + 1) >> 1 if folded & 1 else -(folded >> 1)

    def _write(self, value: int, stream: SyntaxWriter, scope: Scope) -> None:
        folded = 2 * value - 1 if value > 0 else -2 * value
        if folded > 0xFFFFFFFF:
            raise ValueError(f"{value} does not fit an ie({self.order}) of 32 bits")
        stream.write_exp_golomb(folded, self.order)


class flt(Element):
    """``flt(32)``: an IEEE-754 binary32 in little-endian byte order, at any bit position.

    The value is a float. It is the four bytes for a NaN that does not survive conversion to a Python float.

    Clause: format 1
    """

    def __init__(self, n_bits: int = 32, **facts: Any) -> None:
        super().__init__(f"flt({n_bits})", min_bits=n_bits, **facts)

    def _read(self, stream: SyntaxReader, scope: Scope) -> float | bytes:
        octets = stream.read_bits(32).to_bytes(4, "big")
        value: float = struct.unpack("<f", octets)[0]
        return value if struct.pack("<f", value) == octets else octets

    def _write(self, value: float | bytes, stream: SyntaxWriter, scope: Scope) -> None:
        try:
            octets = value if isinstance(value, bytes) else struct.pack("<f", value)
        except struct.error as error:
            raise TypeError(str(error)) from None
        if len(octets) != 4:
            raise ValueError(f"a binary32 has 4 bytes, not {len(octets)}")
        stream.write_bits(int.from_bytes(octets, "big"), 32)


class st(Element):
    """``st(v)``: UTF-8 text terminated by a zero byte, on a byte boundary.

    Bytes that are not UTF-8 become lone surrogates, so that building restores the same bytes.

    Clause: format 1
    """

    def __init__(self, **facts: Any) -> None:
        super().__init__("st(v)", min_bits=8, **facts)
        self._guarded = True

    def _read(self, stream: SyntaxReader, scope: Scope) -> str:
        bound = stream.limits.max_name_bytes
        if not stream.aligned:
            raise InternalError("a st(v) does not start on a byte boundary", bit_offset=stream.bit_offset)
        text = stream.read_until_zero(stream.remaining_bits if bound is None else bound)
        if text is None:
            raise LimitExceeded(f"{self.name} is longer than max_name_bytes, which is {bound}")
        return text.decode("utf-8", "surrogateescape")

    def _write(self, value: str, stream: SyntaxWriter, scope: Scope) -> None:
        octets = value.encode("utf-8", "surrogateescape")
        if 0 in octets:
            raise ValueError("a text cannot hold a zero byte")
        stream.write_bytes(octets + b"\0")

    def _check(self, value: str, start: int, scope: Scope) -> None:
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError as error:
                raise MalformedBitstream(f"{self.name} is not UTF-8 at character {error.start}") from None

    def _raw(self, stream: SyntaxReader, start: int, end: int) -> bytes:
        return stream.bits_between(start, end).to_bytes((end - start) >> 3, "big")


class bs(Element):
    """``bs(v)``: all bytes up to the end of the unit, as a view of the stream.

    Clause: format 1
    """

    def __init__(self, **facts: Any) -> None:
        super().__init__("bs(v)", min_bits=0, **facts)

    def _read(self, stream: SyntaxReader, scope: Scope) -> memoryview:
        return stream.read_bytes(stream.remaining_bits >> 3)

    def _write(self, value: Any, stream: SyntaxWriter, scope: Scope) -> None:
        if not isinstance(value, bytes | bytearray | memoryview):
            raise TypeError(f"bytes are needed, not {type(value).__name__}")
        stream.write_bytes(value)

    def _raw(self, stream: SyntaxReader, start: int, end: int) -> memoryview:
        return stream.view_between(start, end)


class byte_alignment(Element):
    """``byte_alignment()``: a 1 and zeros up to the next byte boundary. At a byte boundary it takes 8 bits.

    Clause: format 1
    """

    def __init__(self) -> None:
        super().__init__("byte_alignment()", key="byte_alignment", min_bits=1)
        self.name = "byte_alignment"
        self.fixed = self._guarded = True

    def _read(self, stream: SyntaxReader, scope: Scope) -> int:
        return stream.read_bits(8 - (stream.bit_offset & 7))

    def _write(self, value: int, stream: SyntaxWriter, scope: Scope) -> None:
        stream.write_bits(value, 8 - (stream.bit_length & 7))

    def _default(self, stream: SyntaxWriter) -> int:
        return 0x80 >> (stream.bit_length & 7)

    def _check(self, value: int, start: int, scope: Scope) -> None:
        pattern = 0x80 >> (start & 7)
        if value != pattern:
            n_bits = 8 - (start & 7)
            raise MalformedBitstream(f"byte_alignment is {value:0{n_bits}b}, not {pattern:0{n_bits}b}")


class unsupported(Element):
    """Table whose syntax is not implemented. Reading it raises `UnsupportedBitstream`."""

    def __init__(self) -> None:
        super().__init__("?", min_bits=0)

    def _read(self, stream: SyntaxReader, scope: Scope) -> int:
        raise UnsupportedBitstream(f"{self.name} is not implemented")

    def _write(self, value: Any, stream: SyntaxWriter, scope: Scope) -> None:
        raise ValueError(f"{self.name} is not implemented")
