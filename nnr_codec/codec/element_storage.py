# SPDX-License-Identifier: Apache-2.0
"""Tensor types by their safetensors names, and the ones NumPy lacks.

bfloat16 and the 8-bit floats travel through this package as float32, which holds each of their values
exactly; their tag names the type to store. Types without arithmetic are opaque: their stored bytes travel as
``uint8[n_bytes]``. Shapes: any.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from nnr_codec.errors import NotEncodable
from nnr_codec.model.data_types import DATA_TYPES

Array = npt.NDArray[Any]

#: Stored element type of each tag: little-endian on every machine; unsigned codes for the types that NumPy lacks.
STORAGE: dict[str, np.dtype[Any]] = {
    tag: np.dtype(f"<u{data_type.size_bytes}" if data_type.is_widened else data_type.name).newbyteorder("<")
    for tag, data_type in DATA_TYPES.items()
}
#: Tags whose storage is bits of a type NumPy does not have.
WIDENED = frozenset(tag for tag, data_type in DATA_TYPES.items() if data_type.is_widened)

#: Bits per element of the opaque types that safetensors names.
OPAQUE_BITS = {
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "C64": 64,
}
#: Opaque tags with an equal NumPy type; one type has a tag for each kind of file.
NUMPY_OF_OPAQUE: dict[str, np.dtype[Any]] = {
    "C64": np.dtype("<c8"),
    "NPZ:<c16": np.dtype("<c16"),
    "TORCH:complex128": np.dtype("<c16"),
    "ONNX:COMPLEX128": np.dtype("<c16"),
}

_TAG_OF_NUMPY = {(dtype.kind, dtype.itemsize): tag for tag, dtype in STORAGE.items() if tag not in WIDENED}
# Elements converted at once.
_PIECE = 1 << 16


def bits_per_element(tag: str) -> int | None:
    """Return the stored size of an element in bits; None when it does not follow from the tag.

    >>> bits_per_element("BF16"), bits_per_element("F6_E2M3"), bits_per_element("NPZ:<U5")
    (16, 6, None)
    """
    if tag in STORAGE:
        return 8 * STORAGE[tag].itemsize
    if tag in NUMPY_OF_OPAQUE:
        return 8 * NUMPY_OF_OPAQUE[tag].itemsize
    return OPAQUE_BITS.get(tag)


def tag_of(dtype: np.dtype[Any]) -> str | None:
    """Return the tag of a NumPy type; None when no tensor type with arithmetic corresponds to it.

    >>> tag_of(np.dtype(">f4")), tag_of(np.dtype("complex64"))
    ('F32', None)
    """
    return _TAG_OF_NUMPY.get((dtype.kind, dtype.itemsize))


@functools.cache
def numpy_type(tag: str) -> np.dtype[Any] | None:
    """Return the NumPy type of a tag without arithmetic here; None where NumPy has none.

    >>> numpy_type("C64"), numpy_type("NPZ:<U5"), numpy_type("F4"), numpy_type("NPZ:|O")
    (dtype('complex64'), dtype('<U5'), None, None)
    """
    if tag in NUMPY_OF_OPAQUE:
        return NUMPY_OF_OPAQUE[tag]
    prefix, _, description = tag.partition(":")
    if prefix != "NPZ":
        return None
    try:
        dtype = np.dtype(description)
    except (TypeError, ValueError, SyntaxError):
        return None
    return None if dtype.hasobject or dtype.subdtype is not None else dtype


def opaque_tag(dtype: np.dtype[Any]) -> str:
    """Return the tag of a type that has none with arithmetic: its own where safetensors has one, else NumPy's description.

    >>> opaque_tag(np.dtype("complex64")), opaque_tag(np.dtype("complex128"))
    ('C64', 'NPZ:<c16')
    """
    for tag, numpy_dtype in NUMPY_OF_OPAQUE.items():
        if dtype == numpy_dtype:
            return tag
    return f"NPZ:{dtype.newbyteorder('<').str}"


def widen(stored: Array, tag: str) -> Array:
    """Convert stored elements to values NumPy computes with.

    Parameters
    ----------
    stored : ndarray of ``STORAGE[tag]``
    tag : str

    Returns
    -------
    ndarray
        ``stored`` itself in native byte order, or float32 for the types in ``WIDENED``. Exact.
    """
    if tag == "BF16":
        single: Array = (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return single
    if tag in WIDENED:
        return _float8_values(tag)[stored]
    return stored.astype(stored.dtype.newbyteorder("="), copy=False)


def narrow(values: Array, tag: str, name: str) -> Array:
    """Convert values to the stored elements of type ``tag``; the inverse of ``widen``.

    Floats are rounded to the nearest value, ties to even, and finite values beyond the type's range become
    its largest one: a quantisation error must not turn a large weight into infinity. Integers must fit
    exactly.

    Raises
    ------
    NotEncodable
        The values are no integers of the wanted type; ``path`` is the tensor's name.
    """
    if tag not in STORAGE:
        raise NotEncodable(f"tensors of type {tag} are not supported", path=name)
    if tag in WIDENED:
        single = _to_float(values, np.dtype(np.float32), name)
        return _to_bfloat16(single) if tag == "BF16" else _to_float8(single, tag)
    dtype = STORAGE[tag]
    if values.dtype == dtype:
        return values
    return _to_float(values, dtype, name) if dtype.kind == "f" else _to_integer(values, dtype, name)


def opaque_bytes(array: Array, n_bytes: int, name: str) -> Array:
    """Return the stored bytes of an opaque tensor.

    Parameters
    ----------
    array : ndarray
        The bytes themselves, uint8[n_bytes], or an array of a NumPy type with that many bytes (complex64).
    n_bytes : int
    name : str

    Returns
    -------
    uint8[n_bytes], little-endian, C order

    Raises
    ------
    NotEncodable
        The array has another size or holds Python objects; ``path`` is the tensor's name.
    """
    if array.dtype.hasobject or array.nbytes != n_bytes:
        raise NotEncodable(f"the tensor has {array.nbytes} bytes instead of {n_bytes}", path=name)
    if array.dtype == np.uint8 and array.ndim == 1 and array.flags.c_contiguous:
        return array
    little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    return np.frombuffer(little.tobytes(), np.uint8)


def stored_elements(array: Array, tag: str, n_bytes: int, name: str) -> Array:
    """Return what a file stores for a tensor, as ``STORAGE[tag]`` or, for opaque types, as bytes."""
    return narrow(array, tag, name) if tag in STORAGE else opaque_bytes(array, n_bytes, name)


def _to_float(values: Array, dtype: np.dtype[Any], name: str) -> Array:
    if values.dtype.kind not in "fiub":
        raise NotEncodable(f"a tensor of type {values.dtype} cannot be stored as {dtype}", path=name)
    with np.errstate(over="ignore"):
        rounded = values.astype(dtype)
    overflow = np.isinf(rounded) & np.isfinite(values)
    if overflow.any():
        rounded = np.where(overflow, np.copysign(np.finfo(dtype).max, values), rounded).astype(dtype)
    return rounded


def _to_integer(values: Array, dtype: np.dtype[Any], name: str) -> Array:
    if values.dtype.kind not in "fiub":
        raise NotEncodable(f"a tensor of type {values.dtype} cannot be stored as {dtype}", path=name)
    with np.errstate(invalid="ignore"):
        cast = values.astype(dtype)
        back = cast.astype(values.dtype)
    # The sign catches what wraps around and back, such as -1 in an unsigned type.
    if not (np.array_equal(back, values) and np.array_equal(cast < 0, values < 0)):
        raise NotEncodable(f"values of type {values.dtype} do not fit {dtype} exactly", path=name)
    return cast


def _to_bfloat16(values: Array) -> Array:
    flat = np.ascontiguousarray(values).reshape(-1)
    codes: Array = np.empty(flat.size, STORAGE["BF16"])
    # In pieces, because the intermediate results of a whole tensor take several times its memory.
    for start in range(0, flat.size, _PIECE):
        part = slice(start, start + _PIECE)
        codes[part] = _bfloat16_codes(flat[part])
    return codes.reshape(values.shape)


def _bfloat16_codes(values: Array) -> Array:
    bits = values.view(np.uint32)
    upper = bits >> np.uint32(16)
    # Adding half, less one when the kept part is even, rounds to nearest even; a carry moves the exponent on.
    rounded = (bits + (np.uint32(0x7FFF) + (upper & np.uint32(1)))) >> np.uint32(16)
    largest = (upper & np.uint32(0x8000)) | np.uint32(0x7F7F)
    rounded = np.where(((rounded & 0x7FFF) == 0x7F80) & np.isfinite(values), largest, rounded)
    # A NaN keeps its upper bits; one whose payload lay in the lower bits alone would become an infinity.
    quiet = np.where((upper & np.uint32(0x7F)) == 0, upper | np.uint32(0x40), upper)
    codes: Array = np.where(np.isnan(values), quiet, rounded)
    return codes


@functools.cache
def _float8_values(tag: str) -> npt.NDArray[np.float32]:
    codes = np.arange(256)
    exponent_bits, mantissa_bits, bias = (4, 3, 7) if tag == "F8_E4M3" else (5, 2, 15)
    mantissa = codes & ((1 << mantissa_bits) - 1)
    exponent = (codes >> mantissa_bits) & ((1 << exponent_bits) - 1)
    fraction = np.where(exponent > 0, mantissa + (1 << mantissa_bits), mantissa)
    magnitude = np.ldexp(fraction.astype(np.float64), np.maximum(exponent, 1) - bias - mantissa_bits)
    if tag == "F8_E4M3":
        magnitude[(codes & 0x7F) == 0x7F] = np.nan
    else:
        magnitude[exponent == 31] = np.where(mantissa[exponent == 31] == 0, np.inf, np.nan)
    values: npt.NDArray[np.float32] = np.where(codes >= 128, -magnitude, magnitude).astype(np.float32)
    return values


def _to_float8(values: Array, tag: str) -> Array:
    ladder = _float8_values(tag)[:128]
    finite = ladder[np.isfinite(ladder)].astype(np.float64)
    magnitude = np.abs(values.astype(np.float64))
    above = np.searchsorted(finite, magnitude).clip(1, len(finite) - 1)
    below = above - 1
    middle = (finite[above] + finite[below]) / 2
    up = (magnitude > middle) | ((magnitude == middle) & (above % 2 == 0))
    code = np.where(up, above, below)
    special = 0x7F if tag == "F8_E4M3" else 0x7C
    code = np.where(np.isinf(values), special, np.where(np.isnan(values), 0x7F, code))
    return (code | np.where(np.signbit(values), 0x80, 0)).astype(np.uint8)
