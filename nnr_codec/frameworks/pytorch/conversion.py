# SPDX-License-Identifier: Apache-2.0
"""Conversion of torch tensors in memory to arrays and their descriptions."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nnr_codec.codec.element_storage import STORAGE, Array, widen
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.atomic import temporary_folder
from nnr_codec.frameworks.model_file import TensorDescription
from nnr_codec.frameworks.pytorch.reader import PytorchFile
from nnr_codec.frameworks.pytorch.values import TORCH_TYPES
from nnr_codec.frameworks.pytorch.writer import import_torch


class TensorDict(Mapping[str, Array]):
    """A dictionary of torch tensors as a lazy mapping to arrays, each tensor of the same elements once.

    Parameters
    ----------
    tensors : mapping of str to torch.Tensor

    Attributes
    ----------
    tied : dict[str, str]
        Names that share all their elements with an earlier name; they are not in the mapping.
    order : tuple of str
        All names.
    """

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        torch = import_torch()
        self._tensors = dict(tensors)
        self.order = tuple(self._tensors)
        self.tied: dict[str, str] = {}
        self._descriptions: dict[str, TensorDescription] = {}
        by_elements: dict[tuple[Any, ...], str] = {}
        for name, tensor in self._tensors.items():
            if not isinstance(tensor, torch.Tensor):
                raise TypeError(f"{name!r} is a {type(tensor).__name__}, not a torch.Tensor")
            if tensor.is_meta:
                raise NotEncodable("a tensor on the meta device has no elements", path=name)
            earlier = by_elements.setdefault(_place(tensor) or (name,), name)
            if earlier != name:
                self.tied[name] = earlier
            elif _is_plain(tensor):
                self._descriptions[name] = _description(tensor)
            else:
                with _in_file(tensor) as model:
                    self._descriptions[name] = model.describe("w")

    def __getitem__(self, name: str) -> Array:
        description, tensor = self._descriptions[name], self._tensors[name]
        if not _is_plain(tensor):
            with _in_file(tensor) as model:
                return model["w"]
        stored = _octets(tensor.detach().cpu().resolve_conj().resolve_neg().contiguous())
        if description.is_opaque:
            return stored
        return widen(stored.view(STORAGE[description.dtype]).reshape(description.shape), description.dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self._descriptions)

    def __len__(self) -> int:
        return len(self._descriptions)

    def describe(self, name: str) -> TensorDescription:
        """Return type and shape of one tensor."""
        return self._descriptions[name]

    def dtype_of(self, name: str) -> str:
        """Return the type of one tensor in safetensors' spelling."""
        return self._descriptions[name].dtype

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of one tensor."""
        return self._descriptions[name].shape

    @property
    def dtypes(self) -> dict[str, str]:
        """Every tensor's type."""
        return {name: description.dtype for name, description in self._descriptions.items()}


def _is_plain(tensor: Any) -> bool:
    torch = import_torch()
    name = str(tensor.dtype).removeprefix("torch.")
    is_strided = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_nested
    return bool(is_strided and name in TORCH_TYPES)


def _description(tensor: Any) -> TensorDescription:
    tag, itemsize = TORCH_TYPES[str(tensor.dtype).removeprefix("torch.")]
    shape = tuple(tensor.shape)
    if tag == "F4" and shape:
        return TensorDescription(tag, (*shape[:-1], 2 * shape[-1]))
    if tag == "F4":
        return TensorDescription("TORCH:float4_e2m1fn_x2", shape, 1)
    return TensorDescription(tag, shape, tensor.numel() * itemsize if ":" in tag else None)


def _octets(tensor: Any) -> Array:
    """Return a contiguous tensor's bytes, without a copy."""
    torch = import_torch()
    if not tensor.numel():
        return np.empty(0, np.uint8)
    size = tensor.numel() * tensor.dtype.itemsize
    begin = tensor.storage_offset() * tensor.dtype.itemsize
    octets = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage(), begin, (size,), (1,))
    array: Array = octets.numpy()
    return array


def _place(tensor: Any) -> tuple[Any, ...] | None:
    """Return what is equal for tensors of the same elements; None where that cannot be known."""
    if not _is_plain(tensor) or not tensor.numel():
        return None
    flags = (tensor.is_conj(), tensor.is_neg())
    return (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride(), *flags)


@contextlib.contextmanager
def _in_file(tensor: Any) -> Iterator[PytorchFile]:
    """Write a tensor, "w", to a PyTorch file, whose reader packs tensors of several parts."""
    with temporary_folder() as folder:
        path = os.path.join(folder, "w.pt")
        import_torch().save({"w": tensor.detach().cpu()}, path)
        with PytorchFile(path) as model:
            yield model
