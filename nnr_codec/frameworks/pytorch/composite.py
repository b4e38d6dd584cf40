# SPDX-License-Identifier: Apache-2.0
"""Stored form of PyTorch's tensors of several parts: quantised, sparse, nested.

The bytes are a length (8 bytes, little-endian), a JSON header of that length, and the parts' elements in the
header's order, contiguous and little-endian.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnr_codec.codec.element_storage import Array
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.pytorch.values import PACKED, TORCH_TYPES, Tensor, checked_shape

_MAX_HEADER_BYTES = 1 << 16


def tag_of(tensor: Tensor) -> str:
    """Return the tag of a composite tensor: "TORCH:qint8", "TORCH:sparse_coo"."""
    return f"TORCH:{tensor.dtype if tensor.quantizer is not None else tensor.layout}"


def size_bytes(tensor: Tensor) -> int:
    """Return the size of the stored form, without reading elements."""
    parts = _elements_and_parts(tensor)
    return len(_header(tensor, parts)) + sum(_part_bytes(part.dtype, part.shape) for part in parts.values())


def pack(tensor: Tensor, parts: Mapping[str, Array]) -> Array:
    """Return the stored form, uint8[n_bytes], of the parts' bytes."""
    header = np.frombuffer(_header(tensor, _elements_and_parts(tensor)), np.uint8)
    return np.concatenate([header, *parts.values()])


def unpack(octets: Array, name: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the header and the parts' bytes of a stored form.

    Raises
    ------
    NotEncodable
        The bytes are no stored form; ``path`` is the tensor's name.
    """
    content = octets.tobytes()
    size = int.from_bytes(content[:8], "little")
    try:
        if size > _MAX_HEADER_BYTES:
            raise ValueError("the header is too long")
        header = json.loads(content[8 : 8 + size])
        parts, position = {}, 8 + size
        for part, (dtype, shape) in header["parts"].items():
            n_bytes = _part_bytes(dtype, checked_shape(shape))
            if position + n_bytes > len(content):
                raise ValueError("a part is cut short")
            parts[part] = np.frombuffer(content, np.uint8, n_bytes, position)
            position += n_bytes
        if position != len(content):
            raise ValueError("bytes follow the last part")
        return header, parts
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotEncodable(f"the stored form of a PyTorch tensor is damaged: {error}", path=name) from None


def _elements_and_parts(tensor: Tensor) -> dict[str, Tensor]:
    if tensor.layout != "strided":
        return tensor.parts
    return {"elements": Tensor(tensor.dtype, tensor.shape), **tensor.parts}


def _header(tensor: Tensor, parts: Mapping[str, Tensor]) -> bytes:
    header = {
        "layout": tensor.layout,
        "dtype": tensor.dtype,
        "shape": tensor.shape,
        **(tensor.quantizer or {}),
        **tensor.properties,
        "parts": {name: [part.dtype, part.shape] for name, part in parts.items()},
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    return len(text).to_bytes(8, "little") + text


def _part_bytes(dtype: str, shape: tuple[int, ...]) -> int:
    return -(-math.prod(shape) // PACKED.get(dtype, 1)) * TORCH_TYPES[dtype][1]
