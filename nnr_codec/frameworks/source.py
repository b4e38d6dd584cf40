# SPDX-License-Identifier: Apache-2.0
"""What every reader of model files looks like from outside."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nnr_codec.codec.element_storage import STORAGE

Source = TypeVar("Source", bound="ModelSource")


@dataclass(frozen=True)
class TensorDescription:
    """Type and shape of a tensor, known without reading its elements."""

    dtype: str  #: in safetensors' spelling: "F32", "BF16", "I64", "BOOL"
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of the elements in a file; 0 for types this package cannot store."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count * STORAGE[self.dtype].itemsize if self.dtype in STORAGE else 0


class ModelSource(Mapping[str, npt.NDArray[Any]]):
    """The tensors of a model file, each read when asked for.

    Iteration gives names in the file's order. ``source[name]`` reads one tensor as a C-contiguous array in
    native byte order; bfloat16 and 8-bit floats arrive as float32, exactly. A source is a context manager,
    and its reading is safe from several threads.

    Attributes
    ----------
    kind : str
        "safetensors", "npz", "pytorch" or "onnx": what ``save_model`` takes to write the same kind again.
    path : str
        The file it was opened from.
    metadata : dict[str, str]
        The file's own free-form metadata.
    tied : dict[str, str]
        Names that share all their elements with an earlier name: ``{"decoder.weight": "encoder.weight"}``.
    left_out : tuple[str, ...]
        Entries of the file that are no tensors of the model, such as a checkpoint's optimizer state.
    shards : tuple[int, ...]
        For each name the number of the file that holds it, from 0; empty when there is only one file.
    """

    kind: str = ""

    def __init__(self, path: str, descriptions: dict[str, TensorDescription]) -> None:
        self.path = path
        self.metadata: dict[str, str] = {}
        self.tied: dict[str, str] = {}
        self.left_out: tuple[str, ...] = ()
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
        """All tensors' names in the file's order."""
        return tuple(self._descriptions)

    def describe(self, name: str) -> TensorDescription:
        """Type and shape of one tensor, without reading it."""
        return self._descriptions[name]

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Shape of one tensor, without reading it."""
        return self._descriptions[name].shape

    def dtype_of(self, name: str) -> str:
        """Type of one tensor in safetensors' spelling, without reading it."""
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

    def topology(self) -> bytes | None:
        """Serialise the model without its weights, where the file holds it; it serves as ``template``."""
        return None

    def close(self) -> None:
        """Release the file. Arrays already read stay valid."""

    def __enter__(self: Source) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
