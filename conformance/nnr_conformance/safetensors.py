# SPDX-License-Identifier: Apache-2.0
"""Reader of the safetensors format."""

from __future__ import annotations

import json
import math

import numpy as np

from nnr_conformance.arrays import Array

_DTYPES = {
    "I8": "i1", "I16": "<i2", "I32": "<i4", "I64": "<i8",
    "U8": "u1", "U16": "<u2", "U32": "<u4", "U64": "<u8",
    "F16": "<f2", "F32": "<f4", "F64": "<f8", "BOOL": "?",
}  # fmt: skip
_MAX_HEADER_BYTES = 100_000_000


def parse_safetensors(content: bytes) -> dict[str, Array]:
    """Parse a safetensors file.

    Raises
    ------
    ValueError
        If the content is malformed or holds a dtype that NumPy lacks.
    """
    if len(content) < 8:
        raise ValueError("shorter than its length field")
    header_bytes = int.from_bytes(content[:8], "little")
    if header_bytes > min(_MAX_HEADER_BYTES, len(content) - 8):
        raise ValueError(f"a header of {header_bytes} bytes does not fit")
    header = json.loads(content[8 : 8 + header_bytes].decode("utf-8"))
    if not isinstance(header, dict):
        raise ValueError("the header is not an object")  # noqa: TRY004 - the file's fault, not the caller's
    body = memoryview(content)[8 + header_bytes :]
    return {name: _tensor(name, entry, body) for name, entry in header.items() if name != "__metadata__"}


def _tensor(name: str, entry: dict[str, object], body: memoryview) -> Array:
    match entry:
        case {"dtype": str(code), "shape": list(shape), "data_offsets": [int(begin), int(end)]}:
            pass
        case _:
            raise ValueError(f"{name}: not a tensor entry")
    if code not in _DTYPES:
        raise ValueError(f"{name}: dtype {code} is not one of {', '.join(_DTYPES)}")
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ValueError(f"{name}: shape {shape}")
    dtype = np.dtype(_DTYPES[code])
    if not 0 <= begin <= end <= len(body) or end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name}: data_offsets {begin}, {end} do not fit shape {shape}")
    return np.frombuffer(body[begin:end], dtype=dtype).reshape(shape)
