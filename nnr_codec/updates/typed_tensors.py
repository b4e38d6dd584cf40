# SPDX-License-Identifier: Apache-2.0
"""Mappings of tensors with data types and shapes, and the identity of a model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnr_codec.codec.element_storage import opaque_tag, tag_of

Array = NDArray[Any]


@runtime_checkable
class TypedTensors(Protocol):
    """Lazy mapping of names to tensors, with types and shapes that are known without reading elements."""

    def __getitem__(self, name: str, /) -> Array: ...

    def __contains__(self, name: object, /) -> bool: ...

    def __iter__(self) -> Iterator[str]: ...

    def __len__(self) -> int: ...

    def dtype_of(self, name: str) -> str:
        """Return the data type of a tensor, in safetensors' spelling."""

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""


class ArrayTensors(Mapping[str, Array]):
    """Typed tensors in memory.

    Parameters
    ----------
    arrays : mapping of str to array
    dtypes : mapping of str to str, optional
        Data types in safetensors' spelling of arrays of a wider type (bfloat16 in float32).
    """

    def __init__(self, arrays: Mapping[str, ArrayLike], dtypes: Mapping[str, str] | None = None) -> None:
        self._arrays = {name: np.asarray(array) for name, array in arrays.items()}
        self._dtypes = dict(dtypes or {})

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def dtype_of(self, name: str) -> str:
        """Return the data type of a tensor, in safetensors' spelling."""
        dtype = self._arrays[name].dtype
        return self._dtypes.get(name) or tag_of(dtype) or opaque_tag(dtype)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return self._arrays[name].shape


def as_typed(tensors: TypedTensors | Mapping[str, ArrayLike]) -> TypedTensors:
    """Return tensors with types and shapes; arrays in memory are wrapped."""
    return tensors if isinstance(tensors, TypedTensors) else ArrayTensors(tensors)


def model_digest(tensors: TypedTensors) -> bytes:
    """Return the SHA-256 that identifies a model: names, data types, shapes and elements, in the order of names.

    A model has the same digest whichever file holds it. Tensors are read one at a time.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        head = f"{name}\0{tensors.dtype_of(name)}\0{tensors.shape_of(name)}\0{array.nbytes}\0"
        digest.update(head.encode("utf-8", "surrogatepass"))
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1).view(np.uint8).data)
    return digest.digest()
