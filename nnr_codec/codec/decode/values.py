# SPDX-License-Identifier: Apache-2.0
"""Decoded values in the data type and shape that the source had."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.decode.quantized_tensor import QuantizedTensor
from nnr_codec.codec.decode.unit_decoder import UnitTensor
from nnr_codec.codec.element_storage import STORAGE, numpy_type, widen
from nnr_codec.codec.stream.carrier_reader import CarriedItem
from nnr_codec.codec.stream.source_description import SourceDescription
from nnr_codec.codec.stream.stream_reader import DataUnitInStream
from nnr_codec.codec.stream.tensor_patch import TensorPatch
from nnr_codec.errors import MalformedBitstream
from nnr_codec.model.data_types import DATA_TYPES, OUTPUT_FORMATS


def source_values(
    tensor: UnitTensor, unit: DataUnitInStream, description: SourceDescription, name: str
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
        if values.size == 1 and description.dtypes.is_scalar(name):
            values = values.reshape(())
        tag = description.dtypes.get(name)
        if tag is not None:
            return restored(values, tag, name)
        declared = unit.header.decompressed_data_format
        if declared is not None:
            tag, bits = OUTPUT_FORMATS[declared]
            return restored(values, tag, name, bits)
    except MalformedBitstream as error:
        error.path, error.bit_offset = f"{unit.path} ({name})", unit.payload_bit_offset
        raise
    return values


def carried_values(item: CarriedItem) -> NDArray[Any]:
    """Return a carried tensor as an array of its own type and shape.

    Returns
    -------
    ndarray
        NumPy's type where it has one, float32 for the floats that it lacks, else the stored bytes as ``uint8[n_bytes]``.

    Raises
    ------
    MalformedBitstream
        The bytes do not fill the shape.
    """
    stored = np.frombuffer(item.content, np.uint8)
    dtype = STORAGE.get(item.tag) or numpy_type(item.tag)
    if dtype is None or dtype.itemsize == 0:
        return stored
    if item.n_bytes != dtype.itemsize * math.prod(item.shape):
        raise MalformedBitstream(
            f"{item.name} has {item.n_bytes} bytes for shape {item.shape} of {item.tag[:32]}",
            path=item.path,
            bit_offset=item.payload_bit_offset,
            element="topology_data",
        )
    return widen(stored.view(dtype).reshape(item.shape), item.tag)


def patched_values(values: NDArray[Any], item: CarriedItem) -> NDArray[Any]:
    """Return a tensor's values with the elements of its patch in their places.

    Raises
    ------
    MalformedBitstream
        The patch is damaged, or of another tensor.
    """
    try:
        return TensorPatch.from_bytes(item.content, values.size).apply(values)
    except MalformedBitstream as error:
        error.path, error.bit_offset = item.path, item.payload_bit_offset
        raise


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
    if tag not in DATA_TYPES:
        raise MalformedBitstream(
            f"{name} is said to be of an unknown type {tag[:32]!r}", element="topology_data"
        )
    wanted = np.dtype(DATA_TYPES[tag].array_type)
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
    largest = DATA_TYPES[tag].largest
    if largest is not None and values.size and float(np.abs(values).max()) > largest:
        values = np.where(np.isfinite(values), np.clip(values, -largest, largest), values)
    return values.astype(wanted, copy=False)
