# SPDX-License-Identifier: Apache-2.0
"""Values of syntax elements as JSON, without loss, and back."""

from __future__ import annotations

import math
import struct
from typing import Any

_EXACT_INTEGER_BITS = 53  # integers of this size survive every JSON reader


def jsonable(value: Any) -> Any:
    """Return a syntax tree or value in JSON's types.

    Bytes become ``{"hex": ...}``; floats that JSON has no number for ``{"flt": ...}``, their four bytes as in the stream;
    integers that JSON readers may round ``{"integer": ...}``; text that is not UTF-8 ``{"octets": ...}``.
    """
    if isinstance(value, dict):
        return {key: jsonable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(entry) for entry in value]
    if isinstance(value, bytes | memoryview):
        return {"hex": bytes(value).hex()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"flt": struct.pack("<f", value).hex()}
    if isinstance(value, int) and value.bit_length() > _EXACT_INTEGER_BITS:
        return {"integer": str(value)}
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        return {"octets": value.encode("utf-8", "surrogateescape").hex()}
    return value


def from_jsonable(value: Any) -> Any:
    """Return the tree or value from which `jsonable` made ``value``."""
    if isinstance(value, list):
        return [from_jsonable(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (kind, text), *_ = value.items()
        if kind == "hex":
            return bytes.fromhex(text)
        if kind == "flt":
            return _float(bytes.fromhex(text))
        if kind == "integer":
            return int(text)
        if kind == "octets":
            return bytes.fromhex(text).decode("utf-8", "surrogateescape")
    return {key: from_jsonable(entry) for key, entry in value.items()}


def _float(octets: bytes) -> float | bytes:
    """Return a float, or its bytes if packing it again would change them, as for signalling NaNs."""
    value: float = struct.unpack("<f", octets)[0]
    return value if struct.pack("<f", value) == octets else octets
