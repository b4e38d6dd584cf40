# SPDX-License-Identifier: Apache-2.0
"""A model to be filled with tensors: a topology, or a model file with elements of its own."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from types import TracebackType
from typing import BinaryIO

from nnr_codec.frameworks.onnx.elements import Bytes, ElementReader
from nnr_codec.frameworks.onnx.metadata import put_metadata, take_metadata
from nnr_codec.frameworks.onnx.names import assign_names
from nnr_codec.frameworks.onnx.parse import read_tree
from nnr_codec.frameworks.onnx.wire import WireReader


class Template:
    """The tree of a template, with names for what it stores or lacks.

    Attributes
    ----------
    tree : Message
    places : dict of str to Place
    """

    def __init__(self, file: BinaryIO, path: str, folder: str | None) -> None:
        self._file = file
        reader = WireReader(file, path)
        self.tree = read_tree(reader)
        self.places = assign_names(self.tree)
        self._elements = ElementReader(reader, folder)
        self._path = path

    @classmethod
    def open(cls, template: str | os.PathLike[str] | bytes) -> Template:
        """Open a model file, or a serialised model without external data."""
        if isinstance(template, bytes):
            return cls(io.BytesIO(template), "the topology", None)
        path = os.fspath(template)
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by __exit__
        try:
            return cls(file, path, os.path.dirname(os.path.abspath(path)))
        except BaseException:
            file.close()
            raise

    def replace_metadata(self, metadata: Mapping[str, str]) -> None:
        """Give the model this metadata, unless it is empty."""
        if metadata:
            take_metadata(self.tree, self._path)
            put_metadata(self.tree, metadata)

    def check(self, name: str) -> None:
        """Check that the template's own elements can be read."""
        self._elements.check(self.places[name].element)

    def read(self, name: str) -> Bytes:
        """Read elements of the template's own."""
        return self._elements.read(self.places[name].element)

    def fields(self, name: str) -> bytes:
        """Read all fields of a tensor that keeps its elements."""
        return self._elements.fields(self.places[name].element)

    def __enter__(self) -> Template:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
