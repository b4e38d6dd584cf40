# SPDX-License-Identifier: Apache-2.0
"""Reading a `TensorProto`: type, shape and place of its elements, not the elements."""

from __future__ import annotations

import math

import numpy as np

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.onnx import schema, wire
from nnr_codec.frameworks.onnx.tree import External, Tensor
from nnr_codec.frameworks.onnx.wire import Field, Run, WireReader

#: NumPy's limit.
MAX_DIMENSIONS = 64
MAX_ELEMENTS = 1 << 60
_MAX_SHAPE_BYTES = 4096


def read_tensor(reader: WireReader, number: int, index: int, begin: int, stop: int) -> Tensor:
    """Read a tensor's fields.

    Parameters
    ----------
    reader : WireReader
    number, index : int
        Field number in the parent, and the place among its fields of that number.
    begin, stop : int
        Offsets of the message.

    Raises
    ------
    NotEncodable
        The fields are malformed or contradict one another; ``path`` names the file and the tensor.
    """
    tensor = Tensor(number, index)
    head: list[bytes] = []
    dims: list[int] = []
    entries: dict[str, str] = {}
    is_external = False
    for item in reader.fields(begin, stop):
        if item.number in schema.TENSOR_ELEMENTS:
            append_run(tensor.runs, item, strings=schema.TENSOR_STRINGS)
            continue
        if item.number == schema.TENSOR_EXTERNAL and item.wire_type == wire.LEN:
            key, text = _entry(reader, item)
            entries[key] = text
            continue
        if isinstance(item, Field) and item.wire_type == wire.VARINT:
            if item.number == schema.TENSOR_LOCATION:
                is_external = item.value == schema.LOCATION_EXTERNAL
                continue
            if item.number == schema.TAKEN_OUT:
                tensor.taken_out = item.value
                continue
            if item.number == schema.TENSOR_DATA_TYPE:
                tensor.data_type = item.value
        if item.number == schema.TENSOR_DIMS:
            dims += _dims(reader, item)
        elif item.number == schema.TENSOR_NAME and item.wire_type == wire.LEN:
            tensor.own_name = reader.text(item)
        head.append(reader.read(item.start, item.stop))
    tensor.head, tensor.dims = b"".join(head), tuple(dims)
    if len(dims) > MAX_DIMENSIONS or math.prod(max(extent, 1) for extent in dims) >= MAX_ELEMENTS:
        raise _fault(reader, tensor, "its shape is beyond what can be held")
    if is_external:
        # A tensor in a file ignores what lies in the model.
        tensor.runs, tensor.external = [], _external(reader, entries, tensor)
    elif len(tensor.runs) > 1 and any(run.number == schema.TENSOR_RAW_DATA for run in tensor.runs):
        raise _fault(reader, tensor, "it has elements in more than one field")
    elif tensor.taken_out is None:
        tensor.extent = (begin, stop)
    return tensor


def append_run(runs: list[Run], item: Field | Run, *, strings: int) -> None:
    """Append a field of elements; scalars and strings that follow one another become one run.

    Parameters
    ----------
    runs : list of Run
    item : Field or Run
    strings : int
        Number of the field whose LEN values are elements.
    """
    last = runs[-1] if runs else None
    if (
        last is not None
        and (last.number, last.wire_type, last.stop) == (item.number, item.wire_type, item.start)
        and (item.wire_type != wire.LEN or item.number == strings)
    ):
        runs[-1] = last._replace(stop=item.stop)
    else:
        runs.append(Run(item.number, item.wire_type, item.start, item.begin, item.stop))


def _dims(reader: WireReader, item: Field | Run) -> list[int]:
    if isinstance(item, Field) and item.wire_type == wire.VARINT:
        return [item.value]
    if item.wire_type in (wire.VARINT, wire.LEN) and item.stop - item.start <= _MAX_SHAPE_BYTES:
        is_packed = item.wire_type == wire.LEN
        try:
            codes = reader.read(item.begin if is_packed else item.start, item.stop)
            extents = wire.decode_varints(np.frombuffer(codes, np.uint8))
            # Unpacked, every other number is a tag.
            return [int(extent) for extent in extents[0 if is_packed else 1 :: 1 if is_packed else 2]]
        except ValueError:
            pass
    raise NotEncodable(
        f"not an ONNX model: a tensor's shape is malformed, at byte {item.start}", path=reader.path
    )


def _entry(reader: WireReader, item: Field | Run) -> tuple[str, str]:
    texts = {1: "", 2: ""}
    for part in reader.fields(item.begin, item.stop):
        if part.number in texts and part.wire_type == wire.LEN:
            texts[part.number] = reader.text(part)
    return texts[1], texts[2]


def _external(reader: WireReader, entries: dict[str, str], tensor: Tensor) -> External:
    numbers: dict[str, int] = {}
    for key in ("offset", "length"):
        text = entries.get(key, "")
        if text and not (text.isascii() and text.isdigit() and len(text) < 20):
            raise _fault(reader, tensor, f"the {key} of its external data is {text[:40]!r}")
        if text:
            numbers[key] = int(text)
    if not entries.get("location"):
        raise _fault(reader, tensor, "its external data has no location")
    return External(entries["location"], numbers.get("offset", 0), numbers.get("length"))


def _fault(reader: WireReader, tensor: Tensor, reason: str) -> NotEncodable:
    place = f"{reader.path}: {tensor.own_name}" if tensor.own_name else reader.path
    return NotEncodable(f"the tensor cannot be read: {reason}", path=place)
