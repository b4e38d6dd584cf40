# SPDX-License-Identifier: Apache-2.0
"""Reader of PyTorch files: each tensor's elements are read on access."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnr_codec.codec.element_storage import STORAGE, Array, widen
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.model_file import ModelFile, TensorDescription
from nnr_codec.frameworks.pytorch import composite
from nnr_codec.frameworks.pytorch.archive import open_archive
from nnr_codec.frameworks.pytorch.checkpoint import Checkpoint, Selection
from nnr_codec.frameworks.pytorch.values import PACKED, TORCH_TYPES, Tensor


class PytorchFile(ModelFile):
    """A state dict, the state dict inside a checkpoint, a pickled module, or a TorchScript archive.

    `checkpoint` has the rule by which a checkpoint's model is chosen; the other entries' names are in
    ``left_out``. Tensors that share all their elements are tied; views of part of a storage are tensors of
    their own.

    Parameters
    ----------
    path : str
    key : str, optional
        The entry that is the model; "." for everything.
    optimizer : bool
        Include optimizer state.
    """

    kind = "pytorch"

    def __init__(self, path: str, *, key: str | None = None, optimizer: bool = False) -> None:
        super().__init__(path, {})
        self._archive = open_archive(path)
        try:
            selection = Checkpoint(self._archive.root, path).select(key, optimizer=optimizer)
            self._add_constants(selection)
        except BaseException:
            self._archive.close()
            raise
        self._tensors = selection.tensors
        self.left_out = tuple(selection.left_out)
        if self._archive.is_script:
            self.notes = ("a TorchScript archive: its weights are read, its code is not",)
        same_elements: dict[tuple[Any, ...], str] = {}
        for name, tensor in self._tensors.items():
            self._descriptions[name] = _description(tensor)
            if tensor.storage is not None and tensor.n_elements and tensor.is_plain:
                place = (tensor.storage.key, tensor.storage.offset_bytes, tensor.offset)
                layout = (tensor.dtype, tensor.shape, tensor.strides, tensor.is_conjugate, tensor.is_negative)
                earlier = same_elements.setdefault((*place, *layout), name)
                if earlier != name:
                    self.tied[name] = earlier

    def _add_constants(self, selection: Selection) -> None:
        constants = self._archive.constants
        for index, value in enumerate(constants if isinstance(constants, tuple | list) else ()):
            if isinstance(value, Tensor) and value.layout != "meta":
                selection.tensors.setdefault(f"constants.{index}", value)

    def _read(self, name: str) -> Array:
        tensor, description = self._tensors[name], self._descriptions[name]
        try:
            if tensor.is_plain:
                stored = self._elements(tensor)
            else:
                parts = {part: self._elements(value).reshape(-1) for part, value in _parts(tensor).items()}
                return composite.pack(tensor, parts)
        except NotEncodable as error:
            error.path = f"{self.path}: {name}"
            raise
        if description.is_opaque:
            return stored.reshape(-1)
        values = stored.view(STORAGE[description.dtype]).reshape(description.shape)
        return widen(values, description.dtype)

    def _elements(self, tensor: Tensor) -> Array:
        """Return a strided tensor's stored bytes in C order and little-endian, uint8[n_bytes]."""
        if tensor.array is not None:
            octets: Array = np.frombuffer(tensor.array.tobytes(), np.uint8).copy()
            return octets
        if tensor.storage is None:
            raise NotEncodable("the tensor has no elements")
        begin, length = tensor.span()
        packing, itemsize = PACKED.get(tensor.dtype, 1), tensor.itemsize
        if packing > 1:
            # Elements in parts of bytes are stored whole and contiguous.
            return self._archive.read(tensor.storage, 0, -(-length // packing))
        octets = self._archive.read(tensor.storage, begin * itemsize, length * itemsize)
        if not length:
            return octets
        strides = tuple(stride * itemsize for stride in tensor.strides)
        items = np.ndarray(tensor.shape, f"V{itemsize}", octets.data, 0, strides)
        stored = np.frombuffer(items.tobytes(), np.uint8)
        return _native(stored.copy(), tensor, little_endian=self._archive.is_little_endian)

    def close(self) -> None:
        """Release the file."""
        self._archive.close()


def _native(stored: Array, tensor: Tensor, *, little_endian: bool) -> Array:
    """Undo a storage's byte order, and a view's conjugation and negation."""
    is_complex = tensor.dtype.startswith("complex")
    width = tensor.itemsize // (2 if is_complex else 1)
    if not little_endian and width > 1:
        stored = stored.view(f"u{width}").byteswap().view(np.uint8)
    signs = stored.reshape(-1, width)[:, -1]
    if tensor.is_negative and (is_complex or "float" in tensor.dtype):
        signs ^= np.uint8(0x80)
    if tensor.is_conjugate and is_complex:
        signs[1::2] ^= np.uint8(0x80)
    return stored


def _parts(tensor: Tensor) -> dict[str, Tensor]:
    if tensor.layout != "strided":
        return tensor.parts
    elements = Tensor(tensor.dtype, tensor.shape, tensor.storage, tensor.offset, tensor.strides)
    return {"elements": elements, **tensor.parts}


def _description(tensor: Tensor) -> TensorDescription:
    if not tensor.is_plain:
        return TensorDescription(composite.tag_of(tensor), tensor.shape, composite.size_bytes(tensor))
    tag, itemsize = TORCH_TYPES[tensor.dtype]
    if tag == "F4":
        # torch counts pairs of 4-bit floats, safetensors elements.
        if not tensor.shape:
            return TensorDescription("TORCH:float4_e2m1fn_x2", tensor.shape, 1)
        return TensorDescription(tag, (*tensor.shape[:-1], 2 * tensor.shape[-1]))
    if ":" not in tag:
        return TensorDescription(tag, tensor.shape)
    return TensorDescription(tag, tensor.shape, tensor.n_elements * itemsize)
