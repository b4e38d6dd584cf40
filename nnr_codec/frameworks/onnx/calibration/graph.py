# SPDX-License-Identifier: Apache-2.0
"""Nodes, inputs and outputs of the main graph of a model, and additional outputs.

Clause: onnx.proto (IR version 13)
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.onnx import schema, wire
from nnr_codec.frameworks.onnx.wire import Field, Run, WireReader

_GRAPH_NODE, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 11, 12
_NODE_INPUT, _NODE_ATTRIBUTE = 1, 5
_ATTRIBUTE_INTEGER = 3


@dataclass(frozen=True)
class Node:
    """Node of a graph.

    Attributes
    ----------
    op_type : str
        Empty for operators outside of ONNX's own domain.
    inputs, outputs : tuple of str
        Names of values; empty for omitted ones.
    attributes : mapping of str to int, tuple of int or bytes
        Integers, lists of integers and strings; others are left out.
    """

    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def integers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Return a list of integers, or the default where the attribute is absent."""
        return tuple(self.attributes.get(name, default))


@dataclass(frozen=True)
class GraphInput:
    """Input of a graph.

    Attributes
    ----------
    name : str
    data_type : int
        `TensorProto.DataType`; 0 for an input that is no tensor.
    shape : tuple of int or None
        None for extents that vary.
    """

    name: str
    data_type: int
    shape: tuple[int | None, ...]


@dataclass
class Graph:
    """Main graph of a model.

    Attributes
    ----------
    nodes : list of Node
    inputs : list of GraphInput
        Without those that are initialisers.
    outputs : list of str
    """

    nodes: list[Node] = field(default_factory=list)
    inputs: list[GraphInput] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, model: bytes) -> Graph:
        """Read the graph of a serialised model or topology.

        Raises
        ------
        NotEncodable
            The bytes are no ONNX model.
        """
        reader = WireReader(io.BytesIO(model), "the model")
        begin, stop, _ = _graph_span(reader)
        graph, initializers = cls(), set()
        for item in reader.fields(begin, stop):
            if item.wire_type != wire.LEN:
                continue
            if item.number == _GRAPH_NODE:
                graph.nodes.append(_node(reader, item))
            elif item.number == _GRAPH_INPUT:
                graph.inputs.append(_input(reader, item))
            elif item.number == _GRAPH_OUTPUT:
                graph.outputs.append(_text(reader, item, 1))
            elif item.number == schema.GRAPH_INITIALIZER:
                initializers.add(_text(reader, item, schema.TENSOR_NAME))
        graph.inputs = [value for value in graph.inputs if value.name not in initializers]
        return graph


def with_outputs(model: bytes, names: Iterable[str]) -> bytes:
    """Return a copy of a serialised model in which more values are outputs.

    Parameters
    ----------
    model : bytes
        Model or topology.
    names : iterable of str
        Values of the main graph that are no outputs yet. ONNX Runtime infers their types.
    """
    begin, stop, start = _graph_span(WireReader(io.BytesIO(model), "the model"))
    outputs = b"".join(wire.field(_GRAPH_OUTPUT, wire.field(1, name.encode())) for name in names)
    graph = model[begin:stop] + outputs
    return model[:start] + wire.field(schema.MODEL_GRAPH, graph) + model[stop:]


def _graph_span(reader: WireReader) -> tuple[int, int, int]:
    """Return begin and stop of the graph's fields, and the start of the graph's tag."""
    for item in reader.fields(0, reader.size):
        if item.number == schema.MODEL_GRAPH and item.wire_type == wire.LEN:
            return item.begin, item.stop, item.start
    raise NotEncodable("not an ONNX model: it has no graph", path=reader.path)


def _node(reader: WireReader, node: Field | Run) -> Node:
    inputs, outputs, op_type, domain = [], [], "", ""
    attributes: dict[str, Any] = {}
    for item in reader.fields(node.begin, node.stop):
        if item.wire_type != wire.LEN:
            continue
        if item.number == _NODE_INPUT:
            inputs.append(reader.text(item))
        elif item.number == schema.NODE_OUTPUT:
            outputs.append(reader.text(item))
        elif item.number == schema.NODE_OP_TYPE:
            op_type = reader.text(item)
        elif item.number == schema.NODE_DOMAIN:
            domain = reader.text(item)
        elif item.number == _NODE_ATTRIBUTE:
            name, value = _attribute(reader, item)
            if value is not None:
                attributes[name] = value
    return Node(op_type if domain in ("", "ai.onnx") else "", tuple(inputs), tuple(outputs), attributes)


def _attribute(
    reader: WireReader, attribute: Field | Run
) -> tuple[str, int | tuple[int, ...] | bytes | None]:
    name, integers = "", list[int]()
    value: int | bytes | None = None
    for item in reader.fields(attribute.begin, attribute.stop):
        if item.number == schema.ATTRIBUTE_NAME and item.wire_type == wire.LEN:
            name = reader.text(item)
        elif item.number == _ATTRIBUTE_INTEGER and isinstance(item, Field):
            value = _signed(item.value)
        elif item.number == schema.ATTRIBUTE_STRING and item.wire_type == wire.LEN:
            value = reader.read(item.begin, item.stop)
        elif item.number == schema.ATTRIBUTE_INTS:
            integers += _integers(reader, item)
    return name, tuple(integers) if integers else value


def _integers(reader: WireReader, item: Field | Run) -> Iterator[int]:
    if isinstance(item, Field) and item.wire_type == wire.VARINT:
        yield _signed(item.value)
        return
    is_packed = item.wire_type == wire.LEN
    codes = np.frombuffer(reader.read(item.begin if is_packed else item.start, item.stop), np.uint8)
    values = wire.decode_varints(codes)
    # Unpacked, every other number is a tag.
    yield from (_signed(int(value)) for value in values[0 if is_packed else 1 :: 1 if is_packed else 2])


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _input(reader: WireReader, value: Field | Run) -> GraphInput:
    name, data_type = _text(reader, value, 1), 0
    shape: list[int | None] = []
    for kind in _messages(reader, value, 2):
        for tensor in _messages(reader, kind, 1):
            for item in reader.fields(tensor.begin, tensor.stop):
                if item.number == 1 and isinstance(item, Field):
                    data_type = item.value
                elif item.number == 2:
                    shape = [_extent(reader, extent) for extent in _messages(reader, item, 1)]
    return GraphInput(name, data_type, tuple(shape))


def _extent(reader: WireReader, extent: Field | Run) -> int | None:
    for item in reader.fields(extent.begin, extent.stop):
        if item.number == 1 and isinstance(item, Field) and 0 < item.value < 1 << 31:
            return item.value
    return None


def _messages(reader: WireReader, parent: Field | Run, number: int) -> Iterator[Field | Run]:
    for item in reader.fields(parent.begin, parent.stop):
        if item.number == number and item.wire_type == wire.LEN:
            yield item


def _text(reader: WireReader, parent: Field | Run, number: int) -> str:
    return next((reader.text(item) for item in _messages(reader, parent, number)), "")
