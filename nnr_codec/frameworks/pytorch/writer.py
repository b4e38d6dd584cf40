# SPDX-License-Identifier: Apache-2.0
"""Writer of PyTorch state dicts; it needs torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import numpy as np

from nnr_codec.codec.element_storage import Array, narrow, opaque_bytes
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.model_file import TensorDescription
from nnr_codec.frameworks.pytorch import composite
from nnr_codec.frameworks.pytorch.values import TORCH_TYPES

_TYPE_OF_TAG = {tag: name for name, (tag, _) in TORCH_TYPES.items()} | {
    "NPZ:<c16": "complex128",
    "ONNX:COMPLEX128": "complex128",
    "TORCH:float4_e2m1fn_x2": "float4_e2m1fn_x2",
}
_LAYOUTS = ("sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc", "nested")


def import_torch() -> Any:
    """Import torch.

    Raises
    ------
    NotEncodable
        It is not installed; the message says how to install it.
    """
    try:
        import torch
    except ImportError:
        raise NotEncodable("writing PyTorch files needs torch: pip install 'nnr_codec[torch]'") from None
    return torch


def write_pytorch(
    file: BinaryIO,
    tensors: Iterable[tuple[str, Array]],
    descriptions: Mapping[str, TensorDescription],
    tied: Mapping[str, str],
) -> None:
    """Write a state dict; names in ``tied`` share their elements with the tensor named.

    Parameters
    ----------
    file : binary file
    tensors : iterable of (name, ndarray)
        In any order. torch needs all of them in memory at once.
    descriptions : mapping of name to TensorDescription
        In the state dict's order.
    tied : mapping of name to name

    Raises
    ------
    NotEncodable
        torch has no such type; ``path`` is the tensor's name.
    """
    torch = import_torch()
    arrived: dict[str, Any] = {}
    for name, array in tensors:
        if name not in tied or tied[name] not in descriptions:
            arrived[name] = tensor_of(array, descriptions[name], name)
        del array
    for name in descriptions:
        if name not in arrived:
            arrived[name] = arrived[tied[name]]
    torch.save({name: arrived[name] for name in descriptions}, file)


def tensor_of(array: Array, description: TensorDescription, name: str) -> Any:
    """Return a torch tensor of a described type.

    Parameters
    ----------
    array : ndarray
        Values, or an opaque tensor's stored bytes.
    description : TensorDescription
    name : str
        For errors.
    """
    torch = import_torch()
    tag, shape = description.dtype, description.shape
    layout = tag.removeprefix("TORCH:")
    if layout in _LAYOUTS or layout.startswith(("qint", "quint")):
        return _composite(opaque_bytes(array, description.size_bytes, name), name)
    type_name = _TYPE_OF_TAG.get(tag)
    dtype = getattr(torch, type_name or "", None)
    if dtype is None:
        raise NotEncodable(f"torch has no type for tensors of type {tag}", path=name)
    if description.is_opaque:
        stored = opaque_bytes(array, description.size_bytes, name)
        if tag == "F4":
            shape = (*shape[:-1], shape[-1] // 2)
    else:
        stored = np.ascontiguousarray(narrow(array, tag, name))
    return _strided(stored.reshape(-1).view(np.uint8), dtype, shape)


def _strided(octets: Array, dtype: Any, shape: tuple[int, ...]) -> Any:
    """Return a contiguous tensor that shares the bytes, if they may be written to."""
    torch = import_torch()
    octets = octets if octets.flags.writeable else octets.copy()
    storage = torch.from_numpy(octets).untyped_storage() if octets.size else torch.UntypedStorage(0)
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= max(extent, 1)
    typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=dtype, _internal=True)
    return torch._utils._rebuild_tensor(typed, 0, shape, tuple(reversed(strides)))


def _composite(octets: Array, name: str) -> Any:
    torch = import_torch()
    header, contents = composite.unpack(octets, name)
    try:
        parts = {
            part: _strided(contents[part], getattr(torch, dtype), tuple(shape))
            for part, (dtype, shape) in header["parts"].items()
            if part != "elements"
        }
        return _assembled(header, contents, parts)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise NotEncodable(f"torch cannot hold the tensor: {reason}", path=name) from None


def _assembled(header: dict[str, Any], contents: Mapping[str, Array], parts: dict[str, Any]) -> Any:
    torch = import_torch()
    layout, shape, dtype = header["layout"], tuple(header["shape"]), getattr(torch, header["dtype"])
    if layout == "strided":
        if header["scheme"].startswith("per_tensor"):
            scale = float.fromhex(header["scale"])
            tensor = torch._empty_affine_quantized(
                shape, scale=scale, zero_point=header["zero_point"], dtype=dtype
            )
        else:
            tensor = torch._empty_per_channel_affine_quantized(
                shape,
                scales=parts["scales"],
                zero_points=parts["zero_points"],
                axis=header["axis"],
                dtype=dtype,
            )
        target = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
        target[: contents["elements"].size].copy_(torch.from_numpy(contents["elements"].copy()))
        return tensor
    if layout == "sparse_coo":
        return torch.sparse_coo_tensor(
            parts["indices"],
            parts["values"],
            shape,
            is_coalesced=header["is_coalesced"] or None,
            check_invariants=True,
        )
    if layout == "nested":
        return torch._nested_view_from_buffer(
            parts["buffer"], parts["sizes"], parts["strides"], parts["offsets"]
        )
    return torch.sparse_compressed_tensor(
        parts["compressed"],
        parts["plain"],
        parts["values"],
        shape,
        layout=getattr(torch, layout),
        check_invariants=True,
    )
