# SPDX-License-Identifier: Apache-2.0
"""Conversion of decoded values to the data type and shape of the source."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec._native import CarriedItem, DataUnit, apply_patch, convert_elements
from nnr_codec.codec.decode.quantized_tensor import QuantizedTensor
from nnr_codec.codec.element_storage import STORAGE, numpy_type, widen
from nnr_codec.codec.stream.topology_reader import SourceOfUnits, fault_in
from nnr_codec.codec.stream.type_rules import TypeRules
from nnr_codec.errors import MalformedBitstream
from nnr_codec.model import DecompressedDataFormat
from nnr_codec.model.data_types import DATA_TYPES, OUTPUT_FORMATS


def source_tensors(
    unit: DataUnit,
    tensors: list[NDArray[Any] | QuantizedTensor],
    source: SourceOfUnits,
    dequantize: bool,
    as_coded: Collection[str] = (),
) -> dict[str, Any]:
    """Return the tensors of a unit by name, as they were in the source.

    Parameters
    ----------
    unit : DataUnit
    tensors : list of array or QuantizedTensor
        In the order of names.
    source : SourceOfUnits
        What the topology units before say about types and values. The patches of the unit are removed.
    dequantize : bool
        False returns `QuantizedTensor` for quantised tensors, except for patched ones.
    as_coded : collection of str
        Tensors that stay float32 whatever the type of the source.

    Raises
    ------
    MalformedBitstream
        A data type cannot hold the values, or a patch is damaged.

    Clause: format 3, 4
    """
    dtypes, patches = source.types, source.patches
    by_name: dict[str, Any] = dict(zip(unit.names, tensors, strict=True))
    if not dequantize and not patches:
        return by_name
    for name, value in by_name.items():
        patch = patches.pop(name, None)
        if not dequantize and patch is None:
            continue
        # Levels cannot represent the elements of a patch.
        values = value.dequantize() if isinstance(value, QuantizedTensor) else value
        if patch is not None:
            _patch_values(values, patch)
        tag = dtypes.get(name)
        by_name[name] = values if name in as_coded else _source_values(values, unit, dtypes, name, tag)
        if dequantize and tag is not None:
            dtypes.note(name, tag)
    return by_name


def _source_values(
    values: NDArray[Any], unit: DataUnit, dtypes: TypeRules, name: str, tag: str | None
) -> NDArray[Any]:
    """Return values in the data type of the source, or in that of the unit's format field."""
    try:
        if values.size == 1 and dtypes.is_scalar(name):
            values = values.reshape(())
        if tag is not None:
            return restored(values, tag, name)
        declared = unit.output_format
        if declared is not None:
            tag, bits = OUTPUT_FORMATS[DecompressedDataFormat(declared)]
            return restored(values, tag, name, bits)
    except MalformedBitstream as error:
        error.path, error.bit_offset = f"nnr_unit[{unit.index}] ({name})", unit.payload_bit_offset
        raise
    return values


def carried_values(item: CarriedItem) -> NDArray[Any]:
    """Return a carried tensor as an array of its data type and shape.

    Returns
    -------
    ndarray
        NumPy's type if it has one, float32 for floats that it lacks, else the stored bytes as ``uint8[n_bytes]``.

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
        raise fault_in(
            item, f"{item.name[:64]!r} has {item.n_bytes} bytes for shape {item.shape} of {item.tag[:32]}"
        )
    return widen(stored.view(dtype).reshape(item.shape), item.tag)


def _patch_values(values: NDArray[Any], patch: CarriedItem) -> None:
    """Put the elements of a patch into the values of its tensor, float32."""
    if values.dtype != np.float32 or not apply_patch(patch.content, values.reshape(-1)):
        raise fault_in(patch, "the patch is damaged or does not fit its tensor")


def restored(values: NDArray[Any], tag: str, name: str, bits: int = 0) -> NDArray[Any]:
    """Return values in a type given in safetensors' spelling.

    Parameters
    ----------
    values : float32 or int32[...]
    tag : str
    bits : int
        Width of integers that are narrower than their type; 0 otherwise.

    Raises
    ------
    MalformedBitstream
        The type is unknown, or an integer type cannot hold the values.
    """
    if tag not in DATA_TYPES:
        raise MalformedBitstream(
            f"{name} is said to be of an unknown type {tag[:32]!r}", element="topology_data"
        )
    largest = DATA_TYPES[tag].largest
    if largest is not None and DATA_TYPES[tag].is_widened:
        # The comparison is False for NaN, which a patch may bring.
        if values.size and not float(np.abs(values).max()) <= largest:
            values = np.where(np.isfinite(values), np.clip(values, -largest, largest), values)
        return values.astype(np.float32, copy=False)
    wanted = np.dtype(DATA_TYPES[tag].array_type)
    if wanted == values.dtype:
        return values
    elements = np.empty(values.shape, wanted)
    if not convert_elements(values, tag, bits, elements):
        raise MalformedBitstream(
            f"{name} has values that {tag} cannot hold", element="nnr_decompressed_data_format"
        )
    return elements
