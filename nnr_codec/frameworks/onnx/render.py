# SPDX-License-Identifier: Apache-2.0
"""Serialisation of a tree, with or without holes for elements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nnr_codec.frameworks.onnx import schema, wire
from nnr_codec.frameworks.onnx.tree import Message, Tensor, ValueList


@dataclass(frozen=True)
class Hole:
    """Room for a tensor's bytes."""

    name: str
    size: int


Piece = bytes | Hole
#: Gives the fields of a tensor, or those of an attribute that hold its list.
Filling = Callable[[Tensor | ValueList], list[Piece]]


def render(model: Message, filling: Filling) -> list[Piece]:
    """Serialise a model.

    Parameters
    ----------
    model : Message
    filling : callable of Tensor or ValueList
        Gives all fields of the tensor, or those of the attribute that hold the list.

    Returns
    -------
    list of bytes or Hole
        In the file's order. Lengths of messages count the holes.
    """
    return _body(model, filling)[0]


def _body(message: Message, filling: Filling) -> tuple[list[Piece], int]:
    pieces: list[Piece] = []
    size = 0
    for part in message.parts:
        if isinstance(part, bytes):
            inner: list[Piece] = [part]
            length = len(part)
        elif isinstance(part, ValueList):
            inner = filling(part)
            length = size_of(inner)
        else:
            if isinstance(part, Tensor):
                inner = filling(part)
                length = size_of(inner)
            else:
                inner, length = _body(part, filling)
            prefix = wire.length_prefix(part.number, length)
            inner.insert(0, prefix)
            length += len(prefix)
        pieces += inner
        size += length
    return pieces, size


def size_of(pieces: list[Piece]) -> int:
    """Bytes of pieces and holes together."""
    return sum(piece.size if isinstance(piece, Hole) else len(piece) for piece in pieces)


def emptied(element: Tensor | ValueList) -> list[Piece]:
    """Filling of a topology: nothing, or the size where type and shape do not tell it."""
    return [element.head, wire.field(schema.TAKEN_OUT, element.n_bytes) if element.is_verbatim else b""]


def hole(element: Tensor | ValueList, size: int) -> list[Piece]:
    """Filling of a model whose elements, of ``size`` bytes, are in it."""
    room = Hole(element.name, size)
    prefix = b"" if element.is_verbatim else wire.length_prefix(schema.TENSOR_RAW_DATA, size)
    return [element.head, prefix, room]


def reference(element: Tensor | ValueList, location: str, offset: int, length: int) -> list[Piece]:
    """Filling of a tensor whose elements are in another file."""
    entries = {"location": location, "offset": str(offset), "length": str(length)}
    fields = [
        wire.field(schema.TENSOR_EXTERNAL, wire.field(1, key.encode()) + wire.field(2, text.encode()))
        for key, text in entries.items()
    ]
    return [element.head + b"".join(fields) + wire.field(schema.TENSOR_LOCATION, schema.LOCATION_EXTERNAL)]
