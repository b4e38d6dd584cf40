# SPDX-License-Identifier: Apache-2.0
"""Interface of all model file readers: a lazy mapping of tensor names to arrays."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nnr_codec.codec.element_storage import STORAGE, bits_per_element
from nnr_codec.frameworks.attachments import Attachments

AnyModelFile = TypeVar("AnyModelFile", bound="ModelFile")


@dataclass(frozen=True)
class TensorDescription:
    """Type and shape of a tensor, known without reading its elements.

    A tensor without arithmetic is opaque: its array is the stored bytes, ``uint8[size_bytes]``.
    """

    dtype: str  #: in safetensors' spelling ("F32", "BF16", "F4"), else with a prefix ("GGUF:Q4_1", "NPZ:<U5")
    shape: tuple[int, ...]
    n_bytes: int | None = None  #: stored size, where it does not follow from type and shape

    @property
    def is_opaque(self) -> bool:
        """True when the tensor's array is its stored bytes.

        >>> TensorDescription("BF16", (3,)).is_opaque, TensorDescription("F4", (4,)).is_opaque
        (False, True)
        """
        return self.dtype not in STORAGE

    @property
    def size_bytes(self) -> int:
        """Bytes of the elements in a file.

        >>> TensorDescription("F4", (3, 2)).size_bytes, TensorDescription("GGUF:Q4_1", (32,), 20).size_bytes
        (3, 20)
        """
        if self.n_bytes is not None:
            return self.n_bytes
        return -(-math.prod(self.shape) * (bits_per_element(self.dtype) or 0) // 8)


class ModelFile(Mapping[str, npt.NDArray[Any]]):
    """The tensors of a model file, each read on access.

    Iteration yields names in the file's order. ``model[name]`` reads one tensor as a C-contiguous array in
    native byte order; bfloat16 and 8-bit floats arrive as float32, exactly. Types without arithmetic (complex
    numbers, 4-bit floats, strings, quantisation blocks) arrive as their stored bytes, little-endian, in a
    ``uint8`` vector; `describe` gives their type and shape. A model file is a context manager, and reading is
    safe from several threads.

    Attributes
    ----------
    kind : str
        "safetensors", "npz", "pytorch", "onnx", "gguf" or "keras": the value ``save_model`` takes to write the
        same kind again.
    path : str
        The file it was opened from.
    metadata : dict[str, str]
        The file's free-form metadata.
    tied : dict[str, str]
        Names that share all their elements with an earlier name: ``{"decoder.weight": "encoder.weight"}``.
    is_folder : bool
        True for a folder of weights, configuration and tokenizer files.
    left_out : tuple[str, ...]
        Entries of the file that are no tensors of the model, such as a checkpoint's optimizer state.
    notes : tuple[str, ...]
        Sentences about the file that its user should read, such as tensors missing from an index.
    attachments : mapping of str to bytes
        Files that belong to the model, such as ``config.json``; each is read on access.
    shards : tuple[int, ...]
        For each name the number of the file that holds it, from 0; empty for a single file.
    """

    kind: str = ""

    def __init__(self, path: str, descriptions: dict[str, TensorDescription]) -> None:
        self.path = path
        self.metadata: dict[str, str] = {}
        self.tied: dict[str, str] = {}
        self.left_out: tuple[str, ...] = ()
        self.is_folder = False
        self.notes: tuple[str, ...] = ()
        self.attachments: Attachments = Attachments()
        self.shards: tuple[int, ...] = ()
        self._descriptions = descriptions

    @abstractmethod
    def _read(self, name: str) -> npt.NDArray[Any]:
        """Read a tensor that is known to exist."""

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        if name not in self._descriptions:
            raise KeyError(name)
        array = np.asarray(self._read(name))
        # ascontiguousarray would give a scalar one dimension.
        return array if array.flags.c_contiguous else array.copy(order="C")

    def __iter__(self) -> Iterator[str]:
        return iter(self._descriptions)

    def __len__(self) -> int:
        return len(self._descriptions)

    def __contains__(self, name: object) -> bool:
        return name in self._descriptions

    def names(self) -> tuple[str, ...]:
        """Return all tensors' names in the file's order."""
        return tuple(self._descriptions)

    def describe(self, name: str) -> TensorDescription:
        """Return type and shape of one tensor, without reading it."""
        return self._descriptions[name]

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of one tensor, without reading it."""
        return self._descriptions[name].shape

    def dtype_of(self, name: str) -> str:
        """Return the type of one tensor in safetensors' spelling, without reading it."""
        return self._descriptions[name].dtype

    @property
    def dtypes(self) -> dict[str, str]:
        """Every tensor's type, for ``save_model``."""
        return {name: description.dtype for name, description in self._descriptions.items()}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor's shape, for ``save_model``."""
        return {name: description.shape for name, description in self._descriptions.items()}

    @property
    def size_bytes(self) -> int:
        """Bytes of all elements as the file stores them, tied tensors once."""
        return sum(d.size_bytes for name, d in self._descriptions.items() if name not in self.tied)

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file the tensors are read from."""
        return (self.path,)

    def topology(self) -> bytes | None:
        """Serialise the model without its weights, where the file holds it; it serves as ``template``."""
        return None

    def close(self) -> None:
        """Release the file. Arrays already read stay valid."""

    def __enter__(self: AnyModelFile) -> AnyModelFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
