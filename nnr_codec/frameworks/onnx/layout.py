# SPDX-License-Identifier: Apache-2.0
"""Places of all elements in the files of a model, planned before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nnr_codec.codec.element_storage import STORAGE, Array, narrow
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.model_file import TensorDescription
from nnr_codec.frameworks.onnx import schema
from nnr_codec.frameworks.onnx.elements import Bytes
from nnr_codec.frameworks.onnx.names import Place, Stored
from nnr_codec.frameworks.onnx.render import Hole, Piece, hole, reference, render
from nnr_codec.frameworks.onnx.template import Template
from nnr_codec.frameworks.onnx.tree import Tensor

#: Smaller tensors stay in the model when it has external data, as is customary.
MIN_EXTERNAL_BYTES = 1024
#: Runtimes map external data, page by page.
_PAGE_BYTES = 4096
_CACHE_LINE_BYTES = 64


class Room(NamedTuple):
    """Place of a tensor's elements in the model file, or in the file of external data."""

    offset: int
    size: int
    is_external: bool


@dataclass
class Layout:
    """Plan of a model's files.

    Attributes
    ----------
    pieces : list of bytes or Hole
        The model file.
    rooms : dict of str to Room
        For the tensors that arrive, and those that the template brings.
    size : int
        Bytes of the model file.
    data_size : int
        Bytes of the external data.
    """

    pieces: list[Piece] = field(default_factory=list)
    rooms: dict[str, Room] = field(default_factory=dict)
    size: int = 0
    data_size: int = 0
    _elements: dict[str, Stored] = field(default_factory=dict)
    _arriving: set[str] = field(default_factory=set)
    _shared: set[str] = field(default_factory=set)

    def stored(self, name: str, array: Array) -> Bytes:
        """Convert a tensor to what the file stores, and check that it fits.

        Parameters
        ----------
        name : str
        array : ndarray
            Of the template's shape; of opaque tensors anything of as many bytes.

        Returns
        -------
        uint8[size]
        """
        element = self._elements[name]
        tag = schema.LIST_TAG if not isinstance(element, Tensor) else schema.tag_of_type(element.data_type)
        if isinstance(element, Tensor) and tag in STORAGE:
            if array.shape != element.dims:
                raise NotEncodable(f"the ONNX template has shape {list(element.dims)} here", path=name)
            array = narrow(array, tag, name)
        elif array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and not np.little_endian):
            array = array.astype(array.dtype.newbyteorder("<"))
        octets: Bytes = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        if len(octets) != self.rooms[name].size:
            raise NotEncodable(
                f"the tensor has {len(octets)} bytes, and the ONNX template room for {self.rooms[name].size}",
                path=name,
            )
        return octets

    def take(self, name: str) -> Room | None:
        """Return the room of a tensor that has arrived; None when it shares that of another."""
        if name not in self._arriving:
            raise NotEncodable("the tensor arrives otherwise than announced", path=name)
        self._arriving.remove(name)
        return None if name in self._shared else self.rooms[name]

    def fill(
        self,
        model: Template,
        tensors: Iterable[tuple[str, Array]],
        write: Callable[[str, Room, Bytes], None],
    ) -> None:
        """Write all elements, one tensor at a time: those that arrive, then the template's own.

        Parameters
        ----------
        model : Template
            The one the layout was planned for.
        tensors : iterable of (name, ndarray)
        write : callable of str, Room and uint8[size]

        Raises
        ------
        NotEncodable
            A tensor arrives otherwise than announced, or not at all; ``path`` is its name.
        """
        own = self.rooms.keys() - self._arriving
        for name, array in tensors:
            room = self.take(name)
            if room is not None:
                write(name, room, self.stored(name, array))
            # A loop's variable would keep it while the next one is made.
            del array
        if self._arriving:
            raise NotEncodable("an announced tensor did not arrive", path=min(self._arriving))
        for name in sorted(own):
            write(name, self.rooms[name], model.read(name))


def plan(
    model: Template,
    descriptions: Mapping[str, TensorDescription],
    *,
    location: str = "",
    is_external: Callable[[Place], bool] | None = None,
    tied: Mapping[str, str] | None = None,
) -> Layout:
    """Plan the files of a model.

    Parameters
    ----------
    model : Template
    descriptions : mapping of name to TensorDescription
        The tensors that will arrive.
    location : str, optional
        Name of the file of external data.
    is_external : callable of Place, optional
        Selects the tensors that go to that file, among those of at least ``MIN_EXTERNAL_BYTES``.
    tied : mapping of name to name, optional
        Tensors that share another's elements where those are external.

    Raises
    ------
    NotEncodable
        A tensor is unknown to the template, or the template needs one that will not arrive.
    """
    for name in descriptions:
        if name not in model.places:
            raise NotEncodable("the ONNX template has no tensor of this name", path=name)
    layout = Layout()
    aliases = tied or {}

    def fill(element: Stored) -> list[Piece]:
        name, place = element.name, model.places[element.name]
        arrives = name in descriptions
        if arrives:
            _check_shape(element, descriptions[name])
            layout._arriving.add(name)
        else:
            if element.lacks_elements:
                raise NotEncodable("the ONNX model needs this tensor, which did not arrive", path=name)
            if not element.is_stored:
                return [element.head]
            model.check(name)
            if element.n_bytes < MIN_EXTERNAL_BYTES:
                return [model.fields(name)]
        size = element.n_bytes
        if arrives and element.is_verbatim:
            size = descriptions[name].n_bytes or size
        layout._elements[name] = element
        if is_external is None or not _may_be_external(element) or not is_external(place):
            layout.rooms[name] = Room(0, size, is_external=False)
            return hole(element, size)
        room = layout.rooms.get(aliases.get(name, ""))
        if arrives and room is not None and room.is_external and room.size == size:
            layout._shared.add(name)
        else:
            alignment = _PAGE_BYTES if size >= _PAGE_BYTES else _CACHE_LINE_BYTES
            offset = -(-layout.data_size // alignment) * alignment
            room = Room(offset, size, is_external=True)
            layout.data_size = offset + size
        layout.rooms[name] = room
        return reference(element, location, room.offset, size)

    layout.pieces = render(model.tree, fill)
    for piece in layout.pieces:
        if isinstance(piece, Hole):
            layout.rooms[piece.name] = Room(layout.size, piece.size, is_external=False)
            layout.size += piece.size
        else:
            layout.size += len(piece)
    return layout


def _check_shape(element: Stored, description: TensorDescription) -> None:
    if not isinstance(element, Tensor) or description.shape == element.dims:
        return
    is_opaque = schema.tag_of_type(element.data_type) not in STORAGE
    # A stream may describe opaque elements by their bytes alone.
    if not is_opaque or description.shape != (element.n_bytes,):
        raise NotEncodable(f"the ONNX template has shape {list(element.dims)} here", path=element.name)


def _may_be_external(element: Stored) -> bool:
    return isinstance(element, Tensor) and not element.is_verbatim and element.n_bytes >= MIN_EXTERNAL_BYTES
