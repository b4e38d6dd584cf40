# SPDX-License-Identifier: Apache-2.0
"""ONNX models as model files: every stored element is a tensor or stays in the topology."""

from __future__ import annotations

import os

from nnr_codec.codec.element_storage import STORAGE, Array, widen
from nnr_codec.frameworks.model_file import ModelFile, TensorDescription
from nnr_codec.frameworks.onnx import schema
from nnr_codec.frameworks.onnx.elements import ElementReader
from nnr_codec.frameworks.onnx.metadata import take_metadata
from nnr_codec.frameworks.onnx.names import Stored, assign_names
from nnr_codec.frameworks.onnx.parse import read_tree
from nnr_codec.frameworks.onnx.render import Piece, emptied, render
from nnr_codec.frameworks.onnx.thresholds import stays_in_graph
from nnr_codec.frameworks.onnx.tree import Tensor, ValueList
from nnr_codec.frameworks.onnx.wire import WireReader


class OnnxFile(ModelFile):
    """The tensors an ONNX model stores, wherever they are.

    Initialisers, dense and sparse, of all graphs; attributes of all nodes, in subgraphs and functions too; and
    external data. Small tensors stay in the topology, where they are exact. Nothing but the graph is held in
    memory.

    Attributes
    ----------
    external_files : tuple of str
        Files of external data, relative to the model's folder.
    """

    kind = "onnx"

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by close()
        try:
            super().__init__(path, {})
            reader = WireReader(self._file, path)
            self._tree = read_tree(reader)
            self._elements = ElementReader(reader, os.path.dirname(os.path.abspath(path)))
            self._stored: dict[str, Stored] = {}
            self._inline: dict[str, Stored] = {}
            self.metadata = take_metadata(self._tree, path)
            spans: dict[object, str] = {}
            places = assign_names(self._tree)
            for name, place in places.items():
                self._add(name, place.element, spans)
            elements = (place.element for place in places.values())
            externals = (element.external for element in elements if isinstance(element, Tensor))
            self.external_files = tuple(dict.fromkeys(e.location for e in externals if e is not None))
        except BaseException:
            self._file.close()
            raise

    @property
    def paths(self) -> tuple[str, ...]:
        """The model and its files of external data."""
        folder = os.path.dirname(self.path)
        return (self.path, *(os.path.join(folder, location) for location in self.external_files))

    def _add(self, name: str, element: Stored, spans: dict[object, str]) -> None:
        self._elements.check(element)
        if isinstance(element, Tensor) and not element.is_stored:
            return
        description = describe(element)
        if isinstance(element, Tensor) and stays_in_graph(description.dtype, element.n_bytes):
            self._inline[name] = element
            return
        self._stored[name] = element
        self._descriptions[name] = description
        if isinstance(element, Tensor) and element.external is not None:
            span = (element.external, description)
            if span in spans:
                self.tied[name] = spans[span]
            else:
                spans[span] = name

    def _read(self, name: str) -> Array:
        description = self._descriptions[name]
        octets = self._elements.read(self._stored[name])
        if description.is_opaque:
            return octets
        tag, shape = description.dtype, description.shape
        if tag == "BOOL":
            flags: Array = (octets != 0).reshape(shape)
            return flags
        return widen(octets.view(STORAGE[tag]).reshape(shape), tag)

    def read_stored(self, name: str) -> Array:
        """Read a tensor's elements as the file stores them.

        Returns
        -------
        uint8[n_bytes]
        """
        return self._elements.read(self._stored[name])

    def topology(self) -> bytes:
        """Serialise the model without the elements of its tensors, and without ``metadata``.

        Tensors that stay in the graph keep theirs, in the model if they were in another file.
        """
        pieces = render(self._tree, self._fill_topology)
        return b"".join(piece for piece in pieces if isinstance(piece, bytes))

    def _fill_topology(self, element: Stored) -> list[Piece]:
        if element.name in self._stored:
            return emptied(element)
        if element.name in self._inline:
            return [self._elements.fields(element)]
        return [element.head]

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def describe(element: Stored) -> TensorDescription:
    """Describe a tensor or list; what travels as fields has a size of its own.

    Returns
    -------
    TensorDescription
    """
    if isinstance(element, ValueList):
        return TensorDescription(schema.LIST_TAG, (element.n_bytes,), element.n_bytes)
    tag = schema.tag_of_type(element.data_type)
    n_bytes = None if tag in STORAGE else element.n_bytes
    return TensorDescription(tag, element.dims, n_bytes)
