# SPDX-License-Identifier: Apache-2.0
"""What a source's tensors were before they became float32 and int32, carried beside them in the stream.

The format knows float32 values and 32-bit integers. Everything else a model file has to say - half precision, scalars,
empty tensors, free-form metadata - goes as JSON into a topology unit of unrecognised format, which a conforming decoder
ignores and the peer skips (it takes unknown unit types for errors). The content is an object, or, where names repeat so that
it is shorter, a text: the same object deflated, in base 85, because the peer reads every topology as UTF-8.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from nnr_codec.errors import BitstreamError, LimitExceeded, MalformedBitstream
from nnr_codec.model import DataUnitHeader, Limits, PayloadType, TopologyStorageFormat, TopologyUnit
from nnr_codec.model.data_types import OUTPUT_FORMATS
from nnr_codec.syntax import inflate

T = TypeVar("T")

_LARGEST_STRIDES = 1 << 48
#: Dimensions of an empty tensor: fewer than any NumPy takes.
_MOST_DIMENSIONS = 32

_KEY = "nnr_codec.source"

# Data types in safetensors' spelling; what a tensor is when nothing is said of it.
_PLAIN = {"F32", "I32"}


@dataclass
class SourceDescription:
    """The part of a model that the standard has no place for.

    Attributes
    ----------
    kind : str
        "safetensors", "npz", "pytorch", "onnx", or "" for arrays from memory.
    metadata : dict of str to str
        The file's own.
    dtypes : dict of str to str
        Tensor name to data type in safetensors' spelling, where it is neither F32 nor I32.
    scalars : dict of str to None
        Tensors of no dimensions, sent with one: a set that keeps its order.
    empty : dict of str to (dtype, shape)
        Tensors without elements, which no data unit can hold.
    order : list of str
        Names in the source's order, when empty tensors interrupt that of the units.
    """

    kind: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    scalars: dict[str, None] = field(default_factory=dict)
    empty: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)

    def is_trivial(self) -> bool:
        """Whether there is nothing to say."""
        return not (self.kind or self.metadata or self.dtypes or self.scalars or self.empty)

    def to_unit(self) -> TopologyUnit:
        """Return the topology unit that carries this."""
        by_dtype: dict[str, list[str]] = {}
        for name, dtype in self.dtypes.items():
            by_dtype.setdefault(dtype, []).append(name)
        content: dict[str, object] = {}
        for key, value in (
            ("kind", self.kind),
            ("metadata", self.metadata),
            ("dtypes", by_dtype),
            ("scalars", list(self.scalars)),
            ("empty", {name: [dtype, *shape] for name, (dtype, shape) in self.empty.items()}),
            ("order", self.order if self.empty else []),
        ):
            if value:
                content[key] = value
        text = min((_as_json(content), _as_json(_packed(content))), key=len)
        return TopologyUnit(storage_format=TopologyStorageFormat.NNR_TPL_UNREC, topology_data=text.encode())

    @classmethod
    def from_unit(
        cls,
        unit: TopologyUnit,
        *,
        limits: Limits | None = None,
        path: str | None = None,
        bit_offset: int | None = None,
    ) -> SourceDescription | None:
        """Return the description in a topology unit, or None when it carries something else.

        Raises
        ------
        MalformedBitstream
            It starts like a description and is none.
        LimitExceeded
            It inflates to more than ``max_topology_bytes``.
        """
        text = bytes(unit.topology_data)
        if unit.storage_format != TopologyStorageFormat.NNR_TPL_UNREC or not text.startswith(
            f'{{"{_KEY}":'.encode()
        ):
            return None
        try:
            content = json.loads(text)[_KEY]
            if isinstance(content, str):
                content = _unpacked(content, limits or Limits())
            return cls(
                kind=_text(content.get("kind", "")),
                metadata={_text(k): _text(v) for k, v in content.get("metadata", {}).items()},
                dtypes={_text(n): _text(d) for d, names in content.get("dtypes", {}).items() for n in names},
                scalars=dict.fromkeys(_text(n) for n in content.get("scalars", [])),
                empty={
                    _text(n): (_text(d), _empty_shape(shape))
                    for n, (d, *shape) in content.get("empty", {}).items()
                },
                order=[_text(n) for n in content.get("order", [])],
            )
        except (BitstreamError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            wrong = LimitExceeded if isinstance(error, LimitExceeded) else MalformedBitstream
            raise wrong(
                f"the source description cannot be read: {error}",
                path=None if path is None else f"{path}.topology_data",
                bit_offset=bit_offset,
                element="topology_data",
                clause="format 2",
            ) from error


def _as_json(content: object) -> str:
    return json.dumps({_KEY: content}, separators=(",", ":"))


def _packed(content: object) -> str:
    text = json.dumps(content, separators=(",", ":"))
    return base64.b85encode(zlib.compress(text.encode(), 9)).decode()


def _unpacked(text: str, limits: Limits) -> dict[str, Any]:
    content = json.loads(inflate(base64.b85decode(text), limits, "topology_data"))
    if not isinstance(content, dict):
        raise TypeError("it is no object")
    return content


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} is not a text")
    return value


def _empty_shape(shape: list[object]) -> tuple[int, ...]:
    # Counted first: what follows takes time that grows with the square of the length.
    if len(shape) > _MOST_DIMENSIONS:
        raise ValueError(f"an empty tensor of {len(shape)} dimensions")
    extents = tuple(extent for extent in shape if type(extent) is int and 0 <= extent < 1 << 31)
    # NumPy takes no shape whose strides would overflow, though there be nothing in it.
    strides = math.prod(extent or 1 for extent in extents)
    if len(extents) != len(shape) or 0 not in extents or strides > _LARGEST_STRIDES:
        raise ValueError(f"{shape!r} is not the shape of an empty tensor")
    return extents


def describe(
    names: Mapping[str, tuple[str, tuple[int, ...]]], kind: str, metadata: Mapping[str, str]
) -> SourceDescription:
    """Return the description of tensors given as name to (dtype, shape)."""
    description = SourceDescription(kind=kind, metadata=dict(metadata), order=list(names))
    for name, (dtype, shape) in names.items():
        if 0 in shape:
            description.empty[name] = (dtype, shape)
            continue
        if dtype not in _PLAIN:
            description.dtypes[name] = dtype
        if shape == ():
            description.scalars[name] = None
    return description


def in_source_order(
    coded: Iterable[tuple[str, T]], description: SourceDescription, empty: Mapping[str, T]
) -> Iterator[tuple[str, T]]:
    """Yield what is in the units, and the empty tensors, which are in none, where the source had them.

    Parameters
    ----------
    coded : iterable of (name, anything)
        In the order of the units.
    description : SourceDescription
    empty : mapping of name to anything
        The empty tensors that are wanted.
    """
    order = iter(description.order)
    known = frozenset(description.order)
    for name, value in coded:
        if name in known:
            for earlier in order:
                if earlier == name:
                    break
                if earlier in empty:
                    yield earlier, empty[earlier]
        yield name, value
        # A loop's variable would keep a tensor while the next one is decoded.
        del value
    for name in order:
        if name in empty:
            yield name, empty[name]


def dtype_tag(name: str, header: DataUnitHeader, description: SourceDescription | None) -> str:
    """Return the type a tensor has in its source: what the source says, the unit says, or its payload is.

    Clause: format 3, 4
    """
    if description is not None and name in description.dtypes:
        return description.dtypes[name]
    if header.decompressed_data_format is not None:
        return OUTPUT_FORMATS[header.decompressed_data_format][0]
    return "I32" if header.payload_type is PayloadType.NNR_PT_INT else "F32"
