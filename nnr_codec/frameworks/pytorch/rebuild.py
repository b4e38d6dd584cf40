# SPDX-License-Identifier: Apache-2.0
"""Safe counterparts of the functions that PyTorch's pickles call to rebuild tensors."""

from __future__ import annotations

from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

import numpy as np

from nnr_codec.codec.element_storage import tag_of
from nnr_codec.frameworks.pytorch.values import (
    TORCH_TYPES,
    Constant,
    DType,
    NumpyArray,
    Placeholder,
    Storage,
    Tensor,
    checked_shape,
    strided_tensor,
)

_TYPE_OF_TAG = {tag: name for name, (tag, _) in TORCH_TYPES.items()}


def tensor_v2(
    storage: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    requires_grad: Any = False,
    hooks: Any = None,
    metadata: Any = None,
) -> Tensor:
    """Rebuild a strided tensor of its storage's type."""
    del requires_grad, hooks
    if not isinstance(storage, Storage):
        raise UnpicklingError("a tensor without a storage")
    flags = metadata if isinstance(metadata, dict) else {}
    return strided_tensor(
        storage,
        storage.dtype or "uint8",
        offset,
        shape,
        strides,
        is_conjugate=bool(flags.get("conj")),
        is_negative=bool(flags.get("neg")),
    )


def tensor_v3(
    storage: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    """Rebuild a strided tensor of a type that has no storage class."""
    del requires_grad, hooks, metadata
    if not isinstance(storage, Storage) or not isinstance(dtype, DType):
        raise UnpicklingError("a tensor without a storage or type")
    return strided_tensor(storage, dtype.name, offset, shape, strides)


def quantized(storage: Any, offset: Any, shape: Any, strides: Any, quantizer: Any, *unused: Any) -> Tensor:
    """Rebuild a quantised tensor with the parameters of its levels."""
    del unused
    if not isinstance(storage, Storage) or not isinstance(quantizer, tuple | list):
        raise UnpicklingError("a quantised tensor without storage or parameters")
    scheme, *values = quantizer
    if not isinstance(scheme, Constant):
        raise UnpicklingError("an unknown quantisation scheme")
    properties: dict[str, Any] = {"scheme": scheme.name}
    parts: dict[str, Tensor] = {}
    if scheme.name.startswith("per_tensor"):
        scale, zero_point = values
        properties.update(scale=float(scale).hex(), zero_point=int(zero_point))
    else:
        scales, zero_points, axis = values
        properties["axis"] = int(axis)
        parts = {"scales": _as_tensor(scales, "float64"), "zero_points": _as_tensor(zero_points, "int64")}
    return strided_tensor(storage, storage.dtype, offset, shape, strides, quantizer=properties, parts=parts)


def sparse(layout: Any, parts: Any, *unused: Any) -> Tensor:
    """Rebuild a sparse tensor from its indices and values."""
    del unused
    name = layout.name if isinstance(layout, Constant) else str(layout).removeprefix("torch.")
    if name == "sparse_coo":
        indices, values, shape, *flags = parts
        named = {"indices": indices, "values": values}
        properties: dict[str, Any] = {"is_coalesced": bool(flags[0]) if flags else False}
    elif name in ("sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc"):
        compressed, plain, values, shape, *_ = parts
        named, properties = {"compressed": compressed, "plain": plain, "values": values}, {}
    else:
        raise UnpicklingError(f"an unknown layout {name}")
    return _composite(name, shape, named, values, properties)


def sparse_csr(compressed: Any, plain: Any, values: Any, shape: Any, *unused: Any) -> Tensor:
    """Rebuild a sparse tensor by rows, as files before the other compressed layouts have it."""
    del unused
    return sparse("sparse_csr", (compressed, plain, values, shape))


def nested(buffer: Any, sizes: Any, strides: Any, offsets: Any, *unused: Any) -> Tensor:
    """Rebuild a nested tensor from its elements and the shapes of its components."""
    del unused
    named = {"buffer": buffer, "sizes": sizes, "strides": strides, "offsets": offsets}
    shape = buffer.shape if isinstance(buffer, Tensor) else ()
    return _composite("nested", shape, named, buffer, {})


def meta(dtype: Any, shape: Any, *unused: Any) -> Tensor:
    """Rebuild a tensor without elements."""
    del unused
    name = dtype.name if isinstance(dtype, DType) else "float32"
    return Tensor(name, checked_shape(shape), layout="meta")


def from_numpy(array: Any, dtype: Any, *unused: Any) -> Any:
    """Rebuild a device's tensor, whose elements lie in the pickle as a NumPy array."""
    del unused
    tensor = numpy_tensor(array)
    if tensor is None or not isinstance(dtype, DType):
        raise UnpicklingError("a device's tensor without elements")
    if TORCH_TYPES[dtype.name][0] != TORCH_TYPES[tensor.dtype][0]:
        # bfloat16 and the like travel as float32 and are converted on loading.
        tensor.properties["dtype"] = dtype.name
    return tensor


def numpy_tensor(value: Any) -> Any:
    """Return a NumPy array as a `Tensor`; None when it has no counterpart in torch."""
    array = value.array if isinstance(value, NumpyArray) else None
    if array is None or value.tensor is not None:
        return value.tensor if array is not None else None
    name = _TYPE_OF_TAG.get(tag_of(array.dtype) or "")
    if name is None:
        return None
    little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    value.tensor = Tensor(name, array.shape, array=little.reshape(array.shape))
    return value.tensor


def parameter(value: Any = None, *unused: Any) -> Any:
    """Rebuild a parameter: its tensor."""
    del unused
    return value


def from_type(function: Any, type_: Any, arguments: Any, state: Any = None, *unused: Any) -> Any:
    """Rebuild an instance of a tensor subclass: its tensor, or a placeholder with the state that holds them."""
    del type_, unused
    if any(function is known for known in FUNCTIONS.values()) and isinstance(arguments, tuple | list):
        value = function(*arguments)
        if isinstance(value, Placeholder) and value.state is None:
            value.state = state
        return value
    instance = Placeholder(*(arguments if isinstance(arguments, tuple | list) else ()))
    instance.state = state
    return instance


def wrapper_subclass(*arguments: Any) -> Placeholder:
    """Rebuild the shell of a tensor subclass that consists of other tensors."""
    return Placeholder(*arguments)


def _composite(
    layout: str, shape: Any, parts: dict[str, Any], values: Any, properties: dict[str, Any]
) -> Tensor:
    if not all(isinstance(part, Tensor) and part.is_plain for part in parts.values()):
        raise UnpicklingError(f"a {layout} tensor without its parts")
    return Tensor(values.dtype, checked_shape(shape), layout=layout, parts=parts, properties=properties)


def _as_tensor(values: Any, dtype: str) -> Tensor:
    if isinstance(values, Tensor):
        return values
    array = np.array(values, {"float64": "<f8", "int64": "<i8"}[dtype])
    return Tensor(dtype, array.shape, array=array)


FUNCTIONS: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor"): tensor_v2,
    ("torch._utils", "_rebuild_tensor_v2"): tensor_v2,
    ("torch._utils", "_rebuild_tensor_v3"): tensor_v3,
    ("torch._utils", "_rebuild_qtensor"): quantized,
    ("torch._utils", "_rebuild_sparse_tensor"): sparse,
    ("torch._utils", "_rebuild_sparse_csr_tensor"): sparse_csr,
    ("torch._utils", "_rebuild_nested_tensor"): nested,
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): meta,
    ("torch._utils", "_rebuild_device_tensor_from_numpy"): from_numpy,
    ("torch._utils", "_rebuild_xla_tensor"): from_numpy,
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"): parameter,
    ("torch._utils", "_rebuild_parameter"): parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): parameter,
    ("torch._utils", "_rebuild_wrapper_subclass"): wrapper_subclass,
    ("torch._tensor", "_rebuild_from_type"): from_type,
    ("torch._tensor", "_rebuild_from_type_v2"): from_type,
    ("torch.nn.parameter", "Parameter"): parameter,
    ("torch.nn.parameter", "Buffer"): parameter,
}
