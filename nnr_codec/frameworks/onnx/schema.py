# SPDX-License-Identifier: Apache-2.0
"""The part of ONNX's messages that leads to stored tensors, and its element types.

Clause: onnx.proto (IR version 13)
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """Messages on the way from the model to a tensor."""

    MODEL = "model"
    TRAINING = "training"
    GRAPH = "graph"
    FUNCTION = "function"
    NODE = "node"
    ATTRIBUTE = "attribute"
    SPARSE = "sparse"
    TENSOR = "tensor"


class Child(NamedTuple):
    """A field that holds a message."""

    kind: Kind
    label: str  #: the field's name in onnx.proto
    repeated: bool = False


#: For each message the fields that can hold tensors, by number.
CHILDREN: dict[Kind, dict[int, Child]] = {
    Kind.MODEL: {
        7: Child(Kind.GRAPH, "graph"),
        20: Child(Kind.TRAINING, "training_info", repeated=True),
        25: Child(Kind.FUNCTION, "function", repeated=True),
    },
    Kind.TRAINING: {1: Child(Kind.GRAPH, "initialization"), 2: Child(Kind.GRAPH, "algorithm")},
    Kind.GRAPH: {
        1: Child(Kind.NODE, "node", repeated=True),
        5: Child(Kind.TENSOR, "initializer", repeated=True),
        15: Child(Kind.SPARSE, "sparse_initializer", repeated=True),
    },
    Kind.FUNCTION: {
        7: Child(Kind.NODE, "node", repeated=True),
        11: Child(Kind.ATTRIBUTE, "attribute_proto", repeated=True),
    },
    Kind.NODE: {5: Child(Kind.ATTRIBUTE, "attribute", repeated=True)},
    Kind.ATTRIBUTE: {
        5: Child(Kind.TENSOR, "t"),
        6: Child(Kind.GRAPH, "g"),
        10: Child(Kind.TENSOR, "tensors", repeated=True),
        11: Child(Kind.GRAPH, "graphs", repeated=True),
        22: Child(Kind.SPARSE, "sparse_tensor"),
        23: Child(Kind.SPARSE, "sparse_tensors", repeated=True),
    },
    Kind.SPARSE: {1: Child(Kind.TENSOR, "values"), 2: Child(Kind.TENSOR, "indices")},
}

MODEL_GRAPH, MODEL_METADATA = 7, 14
GRAPH_INITIALIZER = 5
NODE_OUTPUT, NODE_OP_TYPE, NODE_DOMAIN = 2, 4, 7
ATTRIBUTE_NAME, ATTRIBUTE_TYPE, ATTRIBUTE_TENSOR = 1, 20, 5
ATTRIBUTE_STRING, ATTRIBUTE_FLOATS, ATTRIBUTE_INTS, ATTRIBUTE_STRINGS = 4, 7, 8, 9
#: Values an attribute holds beside messages.
ATTRIBUTE_LISTS = frozenset({ATTRIBUTE_STRING, ATTRIBUTE_FLOATS, ATTRIBUTE_INTS, ATTRIBUTE_STRINGS})
ATTRIBUTE_TYPE_TENSOR = 4
TENSOR_DIMS, TENSOR_DATA_TYPE, TENSOR_NAME = 1, 2, 8
TENSOR_RAW_DATA, TENSOR_EXTERNAL, TENSOR_LOCATION = 9, 13, 14
TENSOR_FLOATS, TENSOR_INT32S, TENSOR_STRINGS, TENSOR_INT64S, TENSOR_DOUBLES, TENSOR_UINT64S = (
    4,
    5,
    6,
    7,
    10,
    11,
)
#: Fields that hold a tensor's elements.
TENSOR_ELEMENTS = frozenset({4, 5, 6, 7, 9, 10, 11})
LOCATION_EXTERNAL = 1

#: A field number that ONNX does not use, in tensors and attributes of a topology: the bytes of the fields taken out, where
#: type and shape do not tell them. Parsers keep or skip it, as they do with all unknown fields.
TAKEN_OUT = 15938

FLOAT, INT64 = 1, 7


class ElementType(NamedTuple):
    """One of `TensorProto.DataType`."""

    tag: str  #: safetensors' spelling where it has one
    bits: int  #: bits of an element in ``raw_data``
    field: int  #: the field for elements that are not in ``raw_data``


ELEMENT_TYPES: dict[int, ElementType] = {
    1: ElementType("F32", 32, TENSOR_FLOATS),
    2: ElementType("U8", 8, TENSOR_INT32S),
    3: ElementType("I8", 8, TENSOR_INT32S),
    4: ElementType("U16", 16, TENSOR_INT32S),
    5: ElementType("I16", 16, TENSOR_INT32S),
    6: ElementType("I32", 32, TENSOR_INT32S),
    7: ElementType("I64", 64, TENSOR_INT64S),
    9: ElementType("BOOL", 8, TENSOR_INT32S),
    10: ElementType("F16", 16, TENSOR_INT32S),
    11: ElementType("F64", 64, TENSOR_DOUBLES),
    12: ElementType("U32", 32, TENSOR_UINT64S),
    13: ElementType("U64", 64, TENSOR_UINT64S),
    14: ElementType("C64", 64, TENSOR_FLOATS),
    15: ElementType("ONNX:COMPLEX128", 128, TENSOR_DOUBLES),
    16: ElementType("BF16", 16, TENSOR_INT32S),
    17: ElementType("F8_E4M3", 8, TENSOR_INT32S),
    18: ElementType("F8_E4M3FNUZ", 8, TENSOR_INT32S),
    19: ElementType("F8_E5M2", 8, TENSOR_INT32S),
    20: ElementType("F8_E5M2FNUZ", 8, TENSOR_INT32S),
    21: ElementType("ONNX:UINT4", 4, TENSOR_INT32S),
    22: ElementType("ONNX:INT4", 4, TENSOR_INT32S),
    23: ElementType("F4", 4, TENSOR_INT32S),
    24: ElementType("F8_E8M0", 8, TENSOR_INT32S),
    25: ElementType("ONNX:UINT2", 2, TENSOR_INT32S),
    26: ElementType("ONNX:INT2", 2, TENSOR_INT32S),
    27: ElementType("F6_E2M3", 6, TENSOR_INT32S),
    28: ElementType("F6_E3M2", 6, TENSOR_INT32S),
}
#: Strings and types that came after this table: their fields travel as they are.
STRING_TAG, UNKNOWN_TAG, LIST_TAG = "ONNX:STRING", "ONNX:TYPE{}", "ONNX:ATTRIBUTE"
STRING = 8


def tag_of_type(data_type: int) -> str:
    """Name an element type by its number in ONNX.

    >>> tag_of_type(16), tag_of_type(22), tag_of_type(99)
    ('BF16', 'ONNX:INT4', 'ONNX:TYPE99')
    """
    if data_type in ELEMENT_TYPES:
        return ELEMENT_TYPES[data_type].tag
    return STRING_TAG if data_type == STRING else UNKNOWN_TAG.format(data_type)
