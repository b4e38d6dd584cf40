# SPDX-License-Identifier: Apache-2.0
"""Tensors as callers have them: checks, conversion to arrays of the codec, and stored bytes."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnr_codec.codec.element_storage import STORAGE, narrow, opaque_tag, widen
from nnr_codec.errors import NotEncodable
from nnr_codec.model import Limits
from nnr_codec.model.data_types import DATA_TYPES, TAG_OF_NAME
from nnr_codec.transform import Block

#: What the encoder writes, a decoder with its default limits reads.
_DEFAULTS = Limits()
_MAX_NAME_BYTES = _DEFAULTS.max_name_bytes or 0
_MAX_DIMENSIONS = _DEFAULTS.max_dimensions or 0
_MAX_ELEMENTS = _DEFAULTS.max_tensor_elements or 0
_MAX_TOTAL_ELEMENTS = _DEFAULTS.max_total_elements or 0
#: Units of a stream beside those of tensors: parameter sets, description, carried metadata.
_MAX_TENSORS = (_DEFAULTS.max_units or 0) - (1 << 10)
_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
_INT32 = np.iinfo(np.int32)
#: Types without arithmetic here that safetensors has a tag for, by name in PyTorch and ml_dtypes.
_OPAQUE_TAGS = {
    "float8_e8m0fnu": "F8_E8M0",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float4_e2m1fn_x2": "F4",
}

Tensors = Mapping[str, "ArrayLike | Block"]
#: Data type in safetensors' spelling, and shape.
TypeAndShape = tuple[str, tuple[int, ...]]


@runtime_checkable
class DescribedTensors(Protocol):
    """A mapping that knows its tensors without reading them, such as an open model file."""

    def dtype_of(self, name: str) -> str:
        """Return the data type in safetensors' spelling."""

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape."""


def describe_tensors(tensors: Tensors, dtypes: Mapping[str, str]) -> dict[str, TypeAndShape]:
    """Check a model as far as that needs no elements, and return its tensors' types and shapes.

    Raises
    ------
    TypeError
        The model is no mapping, or a name or a tensor has a type that the encoder does not take.
    NotEncodable
        A name or a shape is one that a decoder refuses at its default limits; ``path`` is the name.
    """
    if not _is_mapping(tensors):
        hint = "; pass its state_dict()" if hasattr(tensors, "state_dict") else ""
        raise TypeError(f"tensors is a mapping of names to arrays, not a {type(tensors).__name__}{hint}")
    if len(tensors) > _MAX_TENSORS:
        raise NotEncodable(
            f"a model of {len(tensors)} tensors: a decoder reads {_MAX_TENSORS} at its default limits"
        )
    described: dict[str, TypeAndShape] = {}
    total = 0
    model_file = tensors if isinstance(tensors, DescribedTensors) else None
    for name in tensors:
        _check_name(name)
        if model_file is not None:
            tag, shape = model_file.dtype_of(name), tuple(model_file.shape_of(name))
        else:
            tag, shape = _type_and_shape(name, tensors[name])
        described[name] = dtypes.get(name) or tag, shape
        n_elements = math.prod(shape)
        total += n_elements
        if len(shape) > _MAX_DIMENSIONS or n_elements > _MAX_ELEMENTS or total > _MAX_TOTAL_ELEMENTS:
            raise NotEncodable(
                f"shape {shape}: a decoder reads {_MAX_DIMENSIONS} dimensions, {_MAX_ELEMENTS} elements in a tensor and "
                f"{_MAX_TOTAL_ELEMENTS} in a model at its default limits",
                path=name,
            )
    return described


class TensorsInMemory(dict[str, NDArray[Any]]):
    """Arrays of a model with the types and shapes that they stand for, for searches that encode a model many times.

    Parameters
    ----------
    tensors : mapping of str to array
        Each is read once.
    dtypes : mapping of str to str, optional
        Data types in safetensors' spelling, as of `Encoder.encode`.

    Raises
    ------
    TypeError
        As `describe_tensors`; also for a `Block`.
    NotEncodable
        As `describe_tensors`.
    """

    def __init__(self, tensors: Tensors, dtypes: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._described = describe_tensors(tensors, dtypes or {})
        for name, (tag, _) in self._described.items():
            value = tensors[name]
            if isinstance(value, Block):
                raise TypeError(f"tensor {name!r} is a Block; a search takes arrays")
            self[name] = as_codec_array(name, value, tag)

    def dtype_of(self, name: str) -> str:
        """Return the data type in safetensors' spelling."""
        return self._described[name][0]

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape."""
        return self._described[name][1]

    @property
    def stored_bytes(self) -> int:
        """Size of all elements in their own types."""
        return sum(
            DATA_TYPES[tag].size_bytes * self[name].size if tag in DATA_TYPES else self[name].nbytes
            for name, (tag, _) in self._described.items()
        )


def as_codec_array(name: str, value: ArrayLike, tag: str) -> NDArray[Any]:
    """Return a tensor as the codec computes with it: float32 for the types that NumPy lacks, stored bytes for opaque ones.

    Raises
    ------
    TypeError
        The tensor is sparse, quantised, without data, or an array of objects.
    """
    torch = _torch_of(value)
    array = np.asarray(value) if torch is None else _from_torch(name, value, torch)
    if tag in DATA_TYPES and array.dtype.isbuiltin == 2:
        # bfloat16 and the 8-bit floats of ml_dtypes.
        array = array.astype(np.float32)
    return array


def must_be_carried(array: NDArray[Any], tag: str) -> bool:
    """Return True for arrays that no data unit holds: opaque or empty ones, and values beyond int32 or float32."""
    if tag not in DATA_TYPES or not array.size:
        return True
    if array.dtype.kind in "iu" and array.dtype.itemsize >= 4 and array.dtype != np.int32:
        return int(array.max()) > _INT32.max or int(array.min()) < _INT32.min
    if array.dtype.kind == "f" and array.dtype.itemsize > 4:
        magnitudes = np.abs(array)
        return bool((np.isfinite(magnitudes) & (magnitudes > _LARGEST_FLOAT32)).any())
    return array.dtype.kind not in "iufb"


def stored_bytes(name: str, array: NDArray[Any], tag: str) -> memoryview:
    """Return the elements as a file of their type stores them: little-endian, C order; a view where they are so already."""
    stored = narrow(array, tag, name) if tag in STORAGE else array
    stored = np.ascontiguousarray(stored, stored.dtype.newbyteorder("<"))
    return stored.reshape(-1).view(np.uint8).data if stored.nbytes else memoryview(b"")


def element_bytes(array: NDArray[Any], tag: str) -> int:
    """Return the stored size of an element, or 1 where it is not known."""
    if tag in DATA_TYPES:
        return DATA_TYPES[tag].size_bytes
    return 4 if array.dtype.kind == "c" else array.dtype.itemsize


def _is_mapping(tensors: object) -> bool:
    return isinstance(tensors, Mapping)


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"tensor names are str, not {type(name).__name__}: {name!r:.64}")
    if name.isascii() and len(name) <= _MAX_NAME_BYTES and "\0" not in name:
        return
    if "\0" in name:
        raise NotEncodable("a name with a zero byte cannot be sent", path=repr(name), clause="format 1")
    if len(name.encode("utf-8", "surrogatepass")) > _MAX_NAME_BYTES:
        raise NotEncodable(
            f"a decoder reads names of {_MAX_NAME_BYTES} bytes at its default limits",
            path=f"{name[:32]}...",
            clause="format 1",
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise NotEncodable(
            "a name with a lone surrogate is no UTF-8", path=repr(name), clause="format 1"
        ) from None


def _type_and_shape(name: str, value: ArrayLike | Block) -> TypeAndShape:
    if isinstance(value, Block):
        return "F32", value.shape
    torch = _torch_of(value)
    if torch is not None:
        tensor: Any = value
        _check_torch(name, tensor, torch)
        return _torch_tag(str(tensor.dtype)), tuple(tensor.shape)
    if hasattr(value, "tocsr") and not isinstance(value, np.ndarray):
        raise TypeError(f"tensor {name!r} is a sparse {type(value).__name__}; pass .toarray()")
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise TypeError(
            f"tensor {name!r} is an array of Python objects ({type(value).__name__}), not of numbers"
        )
    return _numpy_tag(array.dtype), array.shape


@cache
def _numpy_tag(dtype: np.dtype[Any]) -> str:
    tag = TAG_OF_NAME.get(dtype.name) or _OPAQUE_TAGS.get(dtype.name)
    if tag is not None:
        return tag
    return f"ML_DTYPES:{dtype.name}" if dtype.isbuiltin == 2 else opaque_tag(dtype)


@cache
def _torch_tag(dtype: str) -> str:
    name = dtype.removeprefix("torch.")
    if name in ("complex64", "complex128"):
        return opaque_tag(np.dtype(name))
    return TAG_OF_NAME.get(name) or _OPAQUE_TAGS.get(name) or f"TORCH:{name}"


def _torch_of(value: object) -> Any:
    """Return the module torch for its tensors, else None; a program that has tensors has imported it."""
    if isinstance(value, np.ndarray):
        return None
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(value, getattr(torch, "Tensor", ())) else None


def _check_torch(name: str, tensor: Any, torch: Any) -> None:
    if tensor.layout != torch.strided:
        layout = str(tensor.layout).removeprefix("torch.")
        raise TypeError(
            f"tensor {name!r} is sparse ({layout}); the encoder takes dense tensors: pass .to_dense()"
        )
    if tensor.is_quantized:
        raise TypeError(f"tensor {name!r} is quantised ({tensor.dtype}); pass .int_repr() or .dequantize()")
    if tensor.is_meta:
        raise TypeError(f"tensor {name!r} is on the meta device and has no elements")


def _from_torch(name: str, value: Any, torch: Any) -> NDArray[Any]:
    _check_torch(name, value, torch)
    tensor = value.detach().cpu().resolve_conj().resolve_neg()
    tag = _torch_tag(str(tensor.dtype))
    if tag in DATA_TYPES and DATA_TYPES[tag].is_widened:
        codes = tensor.contiguous().view(torch.int16 if tag == "BF16" else torch.uint8).numpy()
        return widen(codes.view(STORAGE[tag]), tag)
    if tag in DATA_TYPES or tensor.dtype in (torch.complex64, torch.complex128):
        array: NDArray[Any] = tensor.numpy()
        return array
    octets: NDArray[Any] = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
    return octets
