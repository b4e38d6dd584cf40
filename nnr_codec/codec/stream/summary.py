# SPDX-License-Identifier: Apache-2.0
"""Summary of a stream from its headers, without decoding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from nnr_codec._native import CarriedItem, DataUnit
from nnr_codec.codec.stream.input import StreamSource, opened
from nnr_codec.codec.stream.source_description import SourceDescription, dtype_tag
from nnr_codec.codec.stream.stream_reader import OtherUnit, StreamReader
from nnr_codec.model import Limits, NnrUnitType, PayloadType


@dataclass(frozen=True)
class TensorSummary:
    """One tensor of a stream.

    Attributes
    ----------
    name : str
    shape : tuple of int or None
        None if the stream does not have it.
    dtype : str
        Data type of the source, in safetensors' spelling: "F32", "BF16", "I64".
    payload_type : PayloadType or None
        None for a tensor in carrier units.
    unit_index, unit_offset, unit_bytes : int
        Number, byte offset and size of the unit, parts included. For a carried tensor: number of the unit with the last piece,
        offset of the unit with the first, size of all.
    n_bytes : int or None
        Stored size of a carried tensor.
    """

    name: str
    shape: tuple[int, ...] | None
    dtype: str
    payload_type: PayloadType | None
    unit_index: int = -1
    unit_offset: int = 0
    unit_bytes: int = 0
    n_bytes: int | None = None

    @property
    def n_elements(self) -> int:
        """Number of elements; 0 when the shape is not known."""
        return 0 if self.shape is None else math.prod(self.shape)


@dataclass(frozen=True)
class UnitSummary:
    """One unit of a stream: number, byte offset, size with all parts, and its tensors."""

    index: int
    byte_offset: int
    size_bytes: int
    nnr_unit_type: int
    tensors: tuple[TensorSummary, ...] = ()


@dataclass(frozen=True)
class StreamSummary:
    """Contents of a stream.

    Attributes
    ----------
    size_bytes : int
    general_profile_idc : int
    incremental : bool
        True for one stream of a series of updates.
    kind : str
        Kind of the model file; "" if the stream does not have it.
    metadata : dict of str to str
        Metadata of the model file.
    units : tuple of UnitSummary
    tensors : tuple of TensorSummary
        In source order, as `Decoder.decode` returns them.
    topology : bytes or None
        Serialised ONNX graph without weights.
    attachments : dict of str to bytes
        Attached files.
    """

    size_bytes: int
    general_profile_idc: int
    incremental: bool
    kind: str
    metadata: dict[str, str]
    units: tuple[UnitSummary, ...]
    tensors: tuple[TensorSummary, ...]
    topology: bytes | None = None
    attachments: dict[str, bytes] = field(default_factory=dict)


def describe_stream(
    source: StreamSource,
    *,
    limits: Limits | None = None,
    dimensions: Mapping[str, tuple[int, ...]] | None = None,
) -> StreamSummary:
    """Read names, shapes, types and positions of a stream's tensors.

    Parameters
    ----------
    source : bytes-like, path or binary file
        Only the headers of a file with a path are read.
    limits : Limits, optional
    dimensions : mapping of str to tuple of int, optional
        Shapes of tensors whose dimensions are not in the stream.

    Raises
    ------
    BitstreamError
        A header is wrong.

    Examples
    --------
    >>> import numpy, nnr_codec
    >>> summary = nnr_codec.describe(nnr_codec.encode({"w": numpy.ones((2, 3), numpy.float16)}))
    >>> [(tensor.name, tensor.shape, tensor.dtype) for tensor in summary.tensors]
    [('w', (2, 3), 'F16')]

    Clause: format 2, 3
    """
    limits = limits or Limits()
    # Index, byte offset, type and content of each unit.
    walked: list[tuple[int, int, int, DataUnit | CarriedItem | None]] = []
    with opened(source, limits.max_stream_bytes) as buffer:
        size_bytes = len(buffer)
        reader = StreamReader(buffer, limits, dimensions or {}, headers_only=True)
        for step in reader:
            if isinstance(step, OtherUnit):
                walked.append((step.unit.index, step.unit.byte_offset, step.unit.type, step.item))
            else:
                walked += ((unit.index, unit.byte_offset, int(NnrUnitType.NNR_NDU), unit) for unit in step)
            reader.passed(walked[-1][1])
    topologies = reader.topologies
    ends = [byte_offset for _, byte_offset, _, _ in walked[1:]] + [size_bytes]
    units = []
    for (index, byte_offset, kind, content), end in zip(walked, ends, strict=True):
        tensors: tuple[TensorSummary, ...] = ()
        if isinstance(content, DataUnit):
            tensors = _tensors(content, end - byte_offset, topologies.description)
        elif content is not None:
            start = content.bit_offset // 8
            tensors = (_carried(content, index, start, end - start),)
        units.append(UnitSummary(index, byte_offset, end - byte_offset, kind, tensors))
    return StreamSummary(
        size_bytes,
        reader.general_profile_idc,
        reader.parent_signalling,
        topologies.description.kind,
        topologies.description.metadata,
        tuple(units),
        _in_source_order([tensor for unit in units for tensor in unit.tensors], topologies.followers),
        topologies.topology,
        topologies.attachments,
    )


def _in_source_order(tensors: list[TensorSummary], followers: Mapping[str, str]) -> tuple[TensorSummary, ...]:
    if not followers:
        return tuple(tensors)
    moved = {followers[tensor.name]: tensor for tensor in tensors if tensor.name in followers}
    ordered: list[TensorSummary] = []
    for tensor in tensors:
        if tensor.name in moved:
            ordered.append(moved[tensor.name])
        if tensor.name not in followers:
            ordered.append(tensor)
    return tuple(ordered)


def _carried(item: CarriedItem, index: int, offset: int, unit_bytes: int) -> TensorSummary:
    return TensorSummary(
        item.name, item.shape, item.tag, None, index, offset, unit_bytes, n_bytes=item.n_bytes
    )


def _tensors(unit: DataUnit, unit_bytes: int, description: SourceDescription) -> tuple[TensorSummary, ...]:
    names = unit.names
    # Without dimensions, only the names of a unit are known.
    shapes: tuple[tuple[int, ...] | None, ...] = unit.shapes or (None,) * len(names)
    return tuple(
        TensorSummary(
            name,
            () if math.prod(shape or (0,)) == 1 and description.dtypes.is_scalar(name) else shape,
            dtype_tag(name, unit, description),
            PayloadType(unit.payload_type),
            unit.index,
            unit.byte_offset,
            unit_bytes,
        )
        for name, shape in zip(names, shapes, strict=True)
    )
