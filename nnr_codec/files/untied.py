# SPDX-License-Identifier: Apache-2.0
"""Model files without the names that share another tensor's elements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from nnr_codec.frameworks import ModelFile


class UntiedModel(Mapping[str, NDArray[Any]]):
    """A model file in which each element stands once: names tied to another tensor are missing.

    Parameters
    ----------
    model : ModelFile
    """

    def __init__(self, model: ModelFile) -> None:
        self._model = model
        self._names = [name for name in model.names() if name not in model.tied]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._model[name]

    def dtype_of(self, name: str) -> str:
        """Return the data type of a tensor without reading it."""
        return self._model.dtype_of(name)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor without reading it."""
        return self._model.shape_of(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
