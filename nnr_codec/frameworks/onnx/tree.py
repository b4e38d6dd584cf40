# SPDX-License-Identifier: Apache-2.0
"""An ONNX model as a tree: its stored tensors apart, all other bytes as they are in the file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Union

from nnr_codec.frameworks.onnx import schema, wire
from nnr_codec.frameworks.onnx.schema import Kind
from nnr_codec.frameworks.onnx.wire import Run


@dataclass(frozen=True)
class External:
    """Elements in a file beside the model."""

    location: str  #: path relative to the model's folder, with forward slashes
    offset: int = 0
    length: int | None = None  #: None: as many bytes as the tensor has


@dataclass
class Tensor:
    """A `TensorProto`, or an attribute's list of values that is written as one.

    Attributes
    ----------
    number : int
        Field number in the parent message.
    index : int
        Place among the parent's fields of that number.
    head : bytes
        All fields but elements, external data and ``TAKEN_OUT``.
    runs : list of Run
        Fields of elements in the model file; empty where the elements are external or taken out.
    extent : tuple of int, or None
        Offsets of all fields in the model file, where they hold the elements.
    taken_out : int or None
        Bytes of the fields taken out, from a topology.
    name : str
        Unique in the model; set by ``names.assign_names``.
    """

    number: int
    index: int
    head: bytes = b""
    own_name: str = ""
    dims: tuple[int, ...] = ()
    data_type: int = 0
    runs: list[Run] = field(default_factory=list)
    external: External | None = None
    extent: tuple[int, int] | None = None
    taken_out: int | None = None
    name: str = ""

    @property
    def is_verbatim(self) -> bool:
        """True for strings and unknown types, whose elements travel as the fields that hold them."""
        return self.data_type not in schema.ELEMENT_TYPES

    @property
    def n_elements(self) -> int:
        """Number of elements by the shape."""
        return math.prod(self.dims)

    @property
    def n_bytes(self) -> int:
        """Bytes of the elements in ``raw_data`` or an external file; of verbatim ones, those of their fields."""
        if not self.is_verbatim:
            return (self.n_elements * schema.ELEMENT_TYPES[self.data_type].bits + 7) // 8
        if self.external is not None:
            length = self.external.length or 0
            return length + len(wire.length_prefix(schema.TENSOR_RAW_DATA, length))
        return sum(run.stop - run.start for run in self.runs) if self.runs else self.taken_out or 0

    @property
    def is_stored(self) -> bool:
        """True when the model holds the elements, or refers to them."""
        return bool(self.runs) or self.external is not None

    @property
    def lacks_elements(self) -> bool:
        """True when there should be elements and are none."""
        if self.is_stored:
            return False
        return self.taken_out is not None or (not self.is_verbatim and self.n_elements > 0)


@dataclass
class ValueList:
    """An attribute's large ``s``, ``floats``, ``ints`` or ``strings``, or the mark where a topology had it."""

    runs: list[Run]
    taken_out: int | None = None
    name: str = ""
    head: bytes = b""  #: the attribute's other fields are parts of their own

    @property
    def is_verbatim(self) -> bool:
        """The values travel as the fields that hold them."""
        return True

    @property
    def n_bytes(self) -> int:
        """Bytes of the fields."""
        return sum(run.stop - run.start for run in self.runs) if self.runs else self.taken_out or 0

    @property
    def is_stored(self) -> bool:
        """True when the model holds the values."""
        return bool(self.runs)

    @property
    def lacks_elements(self) -> bool:
        """True when the values were taken out."""
        return not self.runs


@dataclass
class Message:
    """A message that holds tensors. ``parts`` gives all its bytes in order."""

    kind: Kind
    number: int
    index: int
    parts: list[Part] = field(default_factory=list)
    label: str = ""  #: of a node its first output, of an attribute its name
    op_type: str = ""  #: of a node
    domain: str = ""  #: of a node

    @property
    def is_constant(self) -> bool:
        """True for a Constant node of ONNX itself."""
        return self.op_type == "Constant" and self.domain in ("", "ai.onnx")


Part = Union[bytes, "Message", Tensor, ValueList]
