# SPDX-License-Identifier: Apache-2.0
"""Values of PyTorch's pickles: types, storages, tensors, NumPy arrays, placeholders."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: torch's type names with the tag and the bytes per element. Types that pack elements count their bytes.
TORCH_TYPES: dict[str, tuple[str, int]] = {
    "bool": ("BOOL", 1),
    "uint8": ("U8", 1),
    "int8": ("I8", 1),
    "uint16": ("U16", 2),
    "int16": ("I16", 2),
    "uint32": ("U32", 4),
    "int32": ("I32", 4),
    "uint64": ("U64", 8),
    "int64": ("I64", 8),
    "float16": ("F16", 2),
    "bfloat16": ("BF16", 2),
    "float32": ("F32", 4),
    "float64": ("F64", 8),
    "float8_e4m3fn": ("F8_E4M3", 1),
    "float8_e5m2": ("F8_E5M2", 1),
    "float8_e4m3fnuz": ("F8_E4M3FNUZ", 1),
    "float8_e5m2fnuz": ("F8_E5M2FNUZ", 1),
    "float8_e8m0fnu": ("F8_E8M0", 1),
    "float4_e2m1fn_x2": ("F4", 1),
    "complex64": ("C64", 8),
    "complex128": ("TORCH:complex128", 16),
    "complex32": ("TORCH:complex32", 4),
    **{name: (f"TORCH:{name}", 1) for name in ("qint8", "quint8", "quint4x2", "quint2x4")},
    "qint32": ("TORCH:qint32", 4),
    **{name: (f"TORCH:{name}", 1) for name in ("bits8", "bits1x8", "bits2x4", "bits4x2")},
    "bits16": ("TORCH:bits16", 2),
    **{f"{sign}int{bits}": (f"TORCH:{sign}int{bits}", 1) for sign in ("", "u") for bits in range(1, 8)},
}
STORAGE_TYPES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
    "UntypedStorage": "",
    "TypedStorage": "",
}
#: Elements packed in each byte of types that count elements, not bytes, in a tensor's shape.
PACKED = {"quint4x2": 2, "quint2x4": 4}
#: Repeated elements (strides of 0) may not expand a view beyond its storage by more than this.
_MAX_EXPANDED_ELEMENTS = 1 << 26


@dataclass(frozen=True)
class DType:
    """A torch.dtype."""

    name: str


@dataclass(frozen=True)
class Constant:
    """Another named constant of torch: a layout, a quantisation scheme, a memory format."""

    name: str


@dataclass(frozen=True)
class StorageType:
    """A storage class; its type is empty when the storage counts bytes."""

    dtype: str


@dataclass(eq=False)
class Storage:
    """A run of elements in the file, which tensors view."""

    key: str
    dtype: str  #: empty for a storage of bytes
    n_bytes: int
    offset_bytes: int = 0  #: legacy files: begin of a view within the storage of this key


@dataclass(eq=False)
class Tensor:
    """A tensor whose elements are still in the file.

    Strided tensors have a storage; the other layouts have parts. A tensor on the meta device has neither.
    """

    dtype: str
    shape: tuple[int, ...]
    storage: Storage | None = None
    offset: int = 0  #: in elements
    strides: tuple[int, ...] = ()  #: in elements
    layout: str = "strided"
    quantizer: dict[str, Any] | None = None
    parts: dict[str, Tensor] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    is_conjugate: bool = False
    is_negative: bool = False
    array: np.ndarray[Any, Any] | None = None  #: elements that were in the pickle itself

    @property
    def n_elements(self) -> int:
        """Number of elements of the dense shape."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes per stored element."""
        return TORCH_TYPES[self.dtype][1]

    @property
    def is_plain(self) -> bool:
        """True for strided tensors without quantisation parameters."""
        return self.layout == "strided" and self.quantizer is None

    def span(self) -> tuple[int, int]:
        """Return the first element in the storage and the number of elements from it to the last."""
        if not self.n_elements:
            return self.offset, 0
        reach = sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
        return self.offset, reach + 1


def strided_tensor(
    storage: Storage, dtype: str, offset: object, shape: object, strides: object, **fields: Any
) -> Tensor:
    """Return a tensor that lies within its storage.

    Raises
    ------
    ValueError
        Offset, shape or strides are no counts, or lead out of the storage.
    """
    extents, steps = _counts(shape), _counts(strides)
    if len(extents) != len(steps) or len(extents) > 64 or dtype not in TORCH_TYPES:
        raise ValueError("shape and strides do not fit")
    tensor = Tensor(dtype, extents, storage, _count(offset), steps, **fields)
    begin, length = tensor.span()
    packing = PACKED.get(dtype, 1)
    n_stored = storage.n_bytes // tensor.itemsize * packing
    if length and begin + length > n_stored:
        raise ValueError("the tensor leads out of its storage")
    if math.prod(max(n, 1) for n in extents) > n_stored + _MAX_EXPANDED_ELEMENTS and tensor.n_elements:
        raise ValueError("the tensor repeats its elements too often")
    if math.prod(max(n, 1) for n in extents) >= 1 << 60:
        raise ValueError("the shape is beyond what can be held")
    return tensor


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 60:
        raise ValueError(f"{value!r} is no count")
    return value


def _counts(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple | list):
        raise TypeError("a shape is a tuple")
    return tuple(_count(value) for value in values)


def checked_shape(values: object) -> tuple[int, ...]:
    """Return a shape of at most 64 extents whose product fits a machine word."""
    shape = _counts(values)
    if len(shape) > 64 or math.prod(max(n, 1) for n in shape) >= 1 << 60:
        raise ValueError("the shape is beyond what can be held")
    return shape


class Placeholder:
    """Inert instance of a class that the unpickler does not know: it keeps its arguments and state."""

    type_name = ""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.arguments = arguments
        self.state: Any = named or None
        self.entries: dict[Any, Any] = {}
        self.items: list[Any] = []

    def __new__(cls, *arguments: Any, **named: Any) -> Placeholder:
        """Return an instance that is complete without ``__init__``, which pickles may skip."""
        self = super().__new__(cls)
        Placeholder.__init__(self, *arguments, **named)
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries[key] = value

    def append(self, item: Any) -> None:
        """Keep an item."""
        self.items.append(item)

    def extend(self, items: Any) -> None:
        """Keep items."""
        self.items.extend(items)

    add = append

    def update(self, items: Any) -> None:
        """Keep items or entries."""
        if isinstance(items, dict):
            self.entries.update(items)
        else:
            self.items.extend(items)


class NumpyType:
    """A NumPy type under construction."""

    def __init__(self, code: object = "V0", *flags: object) -> None:
        del flags
        if not isinstance(code, str) or len(code) > 16:
            raise ValueError("structured NumPy types are not read")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(order)


class NumpyArray:
    """A NumPy array under construction."""

    def __init__(self) -> None:
        self.array: np.ndarray[Any, Any] | None = None
        self.tensor: Tensor | None = None  #: the array as a tensor, once it was asked for

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, content = state
        if not isinstance(dtype, NumpyType) or dtype.dtype.hasobject or not isinstance(content, bytes):
            return
        flat = np.frombuffer(content, dtype.dtype)
        extents = checked_shape(shape)
        self.array = flat.reshape(extents[::-1]).T if is_fortran else flat.reshape(extents)
