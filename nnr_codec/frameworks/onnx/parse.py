# SPDX-License-Identifier: Apache-2.0
"""Reading the tree of a model: messages, attributes and their lists."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.onnx import schema, wire
from nnr_codec.frameworks.onnx.schema import CHILDREN, Kind
from nnr_codec.frameworks.onnx.tensor_fields import append_run, read_tensor
from nnr_codec.frameworks.onnx.thresholds import MIN_FLOAT_BYTES, MIN_LIST_BYTES, MIN_OTHER_BYTES
from nnr_codec.frameworks.onnx.tree import Message, Part, Tensor, ValueList
from nnr_codec.frameworks.onnx.wire import Field, Run, WireReader

#: Protocol-buffer libraries refuse messages nested deeper.
MAX_DEPTH = 100


class _ConstantList(NamedTuple):
    """A Constant's list of values, and the tensor it is equivalent to."""

    number: int
    tensor_number: int  #: the field of a tensor for such elements
    data_type: int
    element_bytes: int
    min_bytes: int  #: bytes of elements from which it becomes a tensor


_CONSTANT_LISTS = {
    "value_floats": _ConstantList(
        schema.ATTRIBUTE_FLOATS, schema.TENSOR_FLOATS, schema.FLOAT, 4, MIN_FLOAT_BYTES
    ),
    "value_ints": _ConstantList(
        schema.ATTRIBUTE_INTS, schema.TENSOR_INT64S, schema.INT64, 8, MIN_OTHER_BYTES
    ),
}


def read_tree(reader: WireReader) -> Message:
    """Read a model.

    Raises
    ------
    NotEncodable
        The file is no ONNX model, or damaged.
    """
    model = _message(reader, Kind.MODEL, 0, 0, 0, reader.size, 0)
    if not any(isinstance(part, Message) and part.number == schema.MODEL_GRAPH for part in model.parts):
        raise NotEncodable("not an ONNX model: it has no graph", path=reader.path)
    return model


def _message(
    reader: WireReader, kind: Kind, number: int, index: int, begin: int, stop: int, depth: int
) -> Message:
    """Read a message other than a tensor."""
    if depth > MAX_DEPTH:
        raise NotEncodable("the model's graphs are nested too deeply", path=reader.path)
    message = Message(kind, number, index)
    children = CHILDREN[kind]
    counts: dict[int, int] = {}
    copied = begin
    list_bytes, is_marked = 0, False
    for item in reader.fields(begin, stop):
        child = children.get(item.number)
        if child is None:
            if kind is Kind.NODE or kind is Kind.ATTRIBUTE:
                _note_label(reader, message, item)
                if kind is Kind.ATTRIBUTE:
                    list_bytes += item.stop - item.start if item.number in schema.ATTRIBUTE_LISTS else 0
                    is_marked |= item.number == schema.TAKEN_OUT
            continue
        place = counts.get(item.number, 0)
        counts[item.number] = place + 1
        if item.wire_type != wire.LEN or (place and not child.repeated):
            problem = "no message" if item.wire_type != wire.LEN else "there twice"
            raise NotEncodable(
                f"not an ONNX model: {child.label} is {problem}, at byte {item.start}", path=reader.path
            )
        part: Message | Tensor
        if child.kind is Kind.TENSOR:
            part = read_tensor(reader, item.number, place, item.begin, item.stop)
        else:
            part = _message(reader, child.kind, item.number, place, item.begin, item.stop, depth + 1)
            if kind is not Kind.MODEL and all(isinstance(p, bytes) for p in part.parts):
                continue
        message.parts += [*_bytes(reader, copied, item.start), part]
        copied = item.stop
    message.parts += _bytes(reader, copied, stop)
    if kind is Kind.ATTRIBUTE and (is_marked or list_bytes >= _min_list_bytes(message.label)):
        _separate_lists(reader, message, begin, stop)
    elif message.is_constant:
        message.parts = [_constant(reader, part) for part in message.parts]
    return message


def _bytes(reader: WireReader, begin: int, stop: int) -> list[Part]:
    return [reader.read(begin, stop)] if begin < stop else []


def _note_label(reader: WireReader, message: Message, item: Field | Run) -> None:
    if item.wire_type != wire.LEN:
        return
    if message.kind is Kind.ATTRIBUTE:
        if item.number == schema.ATTRIBUTE_NAME:
            message.label = reader.text(item)
    elif item.number == schema.NODE_OP_TYPE:
        message.op_type = reader.text(item)
    elif item.number == schema.NODE_DOMAIN:
        message.domain = reader.text(item)
    elif item.number == schema.NODE_OUTPUT and not message.label:
        message.label = reader.text(item)


def _min_list_bytes(label: str) -> int:
    return MIN_FLOAT_BYTES if label in _CONSTANT_LISTS else MIN_LIST_BYTES


def _separate_lists(reader: WireReader, attribute: Message, begin: int, stop: int) -> None:
    """Give an attribute's list, or the mark of a list that was taken out, a part of its own."""
    values = ValueList([])
    children = [part for part in attribute.parts if isinstance(part, Message | Tensor)]
    is_part = {(part.number, part.index) for part in children}
    counts: dict[int, int] = {}
    rest: list[bytes] = []
    for item in reader.fields(begin, stop):
        place = counts.get(item.number, 0)
        counts[item.number] = place + 1
        if item.number in schema.ATTRIBUTE_LISTS:
            append_run(values.runs, item, strings=schema.ATTRIBUTE_STRINGS)
        elif item.number == schema.TAKEN_OUT and isinstance(item, Field):
            values.taken_out = item.value
        elif (item.number, place) not in is_part:
            rest.append(reader.read(item.start, item.stop))
    attribute.parts = [b"".join(rest), *children, values]


def _constant(reader: WireReader, part: Part) -> Part:
    """Turn a Constant's large list of floats or integers into the tensor of one dimension that it means."""
    if not isinstance(part, Message) or part.label not in _CONSTANT_LISTS:
        return part
    equivalent = _CONSTANT_LISTS[part.label]
    lists = [p for p in part.parts if isinstance(p, ValueList)]
    if not lists or not lists[0].runs or any(run.number != equivalent.number for run in lists[0].runs):
        return part
    runs = lists[0].runs
    count = sum(_count_values(reader, run, fixed=equivalent.data_type == schema.FLOAT) for run in runs)
    if count * equivalent.element_bytes < equivalent.min_bytes:
        attribute = b"".join(p for p in part.parts if isinstance(p, bytes))
        plain = b"".join(reader.read(run.start, run.stop) for run in runs)
        return replace(part, parts=[attribute + plain])
    tensor = Tensor(schema.ATTRIBUTE_TENSOR, 0, dims=(count,), data_type=equivalent.data_type)
    tensor.runs = [run._replace(number=equivalent.tensor_number) for run in runs]
    tensor.head = wire.field(schema.TENSOR_DIMS, count)
    tensor.head += wire.field(schema.TENSOR_DATA_TYPE, equivalent.data_type)
    head = wire.field(schema.ATTRIBUTE_NAME, b"value")
    head += wire.field(schema.ATTRIBUTE_TYPE, schema.ATTRIBUTE_TYPE_TENSOR)
    return replace(part, parts=[head, tensor], label="value")


def _count_values(reader: WireReader, run: Run, *, fixed: bool) -> int:
    if fixed:
        return (run.stop - run.begin) // 4 if run.wire_type == wire.LEN else (run.stop - run.start) // 5
    begin = run.begin if run.wire_type == wire.LEN else run.start
    codes = np.frombuffer(reader.read(begin, run.stop), np.uint8)
    ends = int(np.count_nonzero(codes < 0x80))
    return ends if run.wire_type == wire.LEN else ends // 2
