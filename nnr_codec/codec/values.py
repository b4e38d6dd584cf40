# SPDX-License-Identifier: Apache-2.0
"""Decoded values in the data type and shape that the source had."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.dtype_tags import FORMATS
from nnr_codec.codec.source_description import SourceDescription
from nnr_codec.codec.stream_reader import DataUnitInStream
from nnr_codec.codec.tensors import QuantizedTensor
from nnr_codec.codec.unit_decoder import UnitTensor
from nnr_codec.errors import MalformedBitstream

# The types NumPy has; bfloat16 and the 8-bit floats stay float32, which holds each of their values.
_NUMPY_TYPES: dict[str, type[np.generic]] = {
    "BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "U16": np.uint16, "I16": np.int16, "U32": np.uint32, "I32": np.int32,
    "U64": np.uint64, "I64": np.int64, "F16": np.float16, "F32": np.float32, "F64": np.float64, "BF16": np.float32,
    "F8_E4M3": np.float32, "F8_E5M2": np.float32,
}  # fmt: skip

#: The largest finite value of types narrower than float32. What rounding to a step carries beyond it was finite before.
_LARGEST = {"F16": 65504.0, "BF16": 0xFF * 2.0**120, "F8_E4M3": 448.0, "F8_E5M2": 57344.0}


def source_values(
    tensor: UnitTensor, unit: DataUnitInStream, description: SourceDescription | None, name: str
) -> NDArray[Any]:
    """Return a tensor's values as the source had them, or as the unit's own format field says.

    Raises
    ------
    MalformedBitstream
        Values that the promised type cannot hold.

    Clause: format 3, 4
    """
    value = tensor.value
    values: NDArray[Any] = value.dequantize() if isinstance(value, QuantizedTensor) else value
    try:
        if description is not None:
            if name in description.scalars and values.size == 1:
                values = values.reshape(())
            if name in description.dtypes:
                return restored(values, description.dtypes[name], name)
        declared = unit.header.decompressed_data_format
        if declared is not None:
            tag, bits = FORMATS[declared]
            return restored(values, tag, name, bits)
    except MalformedBitstream as error:
        error.path, error.bit_offset = f"{unit.path} ({name})", unit.payload_bit_offset
        raise
    return values


def restored(values: NDArray[Any], tag: str, name: str, bits: int = 0) -> NDArray[Any]:
    """Return values in a type given in safetensors' spelling.

    Parameters
    ----------
    values : float32 or int32[...]
    tag : str
    bits : int
        For integers narrower than their type, their width.

    Raises
    ------
    MalformedBitstream
        The type is unknown, or an integer type cannot hold the values.
    """
    if tag not in _NUMPY_TYPES:
        raise MalformedBitstream(
            f"{name} is said to be of an unknown type {tag[:32]!r}", element="topology_data"
        )
    wanted = np.dtype(_NUMPY_TYPES[tag])
    if wanted.kind in "iu":
        rounded = values if values.dtype.kind == "i" else np.rint(values.astype(np.float64))
        low, high = np.iinfo(wanted).min, np.iinfo(wanted).max
        if bits and bits < 8:
            low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        # Written so that NaN fails too.
        if values.size and not (float(rounded.min()) >= low and float(rounded.max()) <= high):
            raise MalformedBitstream(
                f"{name} has values that {tag} cannot hold", element="nnr_decompressed_data_format"
            )
        return rounded.astype(wanted)
    largest = _LARGEST.get(tag)
    if largest is not None and values.size and float(np.abs(values).max()) > largest:
        values = np.where(np.isfinite(values), np.clip(values, -largest, largest), values)
    return values.astype(wanted, copy=False)
