# SPDX-License-Identifier: Apache-2.0
"""Summary of a stream from its headers: nothing is decoded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from nnr_codec.codec.stream.carrier_reader import CarriedItem
from nnr_codec.codec.stream.deadline import Deadline
from nnr_codec.codec.stream.input import PagesRead, StreamSource, opened
from nnr_codec.codec.stream.source_description import SourceDescription, dtype_tag
from nnr_codec.codec.stream.stream_reader import tensor_names
from nnr_codec.codec.stream.topology_reader import TopologyReader
from nnr_codec.errors import BitstreamError
from nnr_codec.model import DataUnit, DataUnitHeader, Limits, PayloadType, TopologyUnit
from nnr_codec.model.unit_layout import plan_unit
from nnr_codec.syntax import SyntaxState, UnitSpan, iter_units


@dataclass(frozen=True)
class TensorSummary:
    """One tensor of a stream.

    Attributes
    ----------
    name : str
    shape : tuple of int or None
        None when the stream does not give it.
    dtype : str
        Of the source, in safetensors' spelling: "F32", "BF16", "I64".
    payload_type : PayloadType or None
        None for a tensor in carrier units.
    unit_index, unit_offset, unit_bytes : int
        The unit that holds it: its number, its place in the stream, and its size with all its parts. For a carried tensor the
        number of the last unit with a piece of it, the place of the first, and the size of all.
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
    """One unit of a stream: its number, its place and size with all its parts, and the tensors it carries."""

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
        Whether the stream is one of a series of updates.
    kind : str
        Kind of file it was made from, "" when the stream does not say.
    metadata : dict of str to str
        That file's own.
    units : tuple of UnitSummary
    tensors : tuple of TensorSummary
        In the order of the source, which is that of `Decoder.decode`.
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
    """Read names, shapes, types and places of a stream's tensors.

    Parameters
    ----------
    source : bytes-like, path or binary file
        Of a path, only the headers are read.
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
    walked: list[tuple[UnitSpan, DataUnitHeader | None, tuple[str, ...]]] = []
    carried: dict[
        int, tuple[CarriedItem, int]
    ] = {}  # by number of the last piece's unit, with the first one's offset
    with opened(source, limits.max_stream_bytes) as buffer:
        size_bytes = len(buffer)
        topologies = TopologyReader(limits, size_bytes, frozenset[str]().__contains__)
        state = SyntaxState()
        pages, deadline = PagesRead(buffer), Deadline(limits)
        for span, unit, state in iter_units(buffer, limits=limits):
            deadline.check(span.path, span.byte_offset)
            pages.passed(span.byte_offset)
            if isinstance(unit, DataUnit):
                walked.append((span, unit.header, tensor_names(unit.header, state, span, topologies.names)))
            else:
                walked.append((span, None, ()))
            if isinstance(unit, TopologyUnit):
                item = topologies.add(unit, span, state.total_elements)
                if item is not None:
                    carried[span.index] = item, item.payload_bit_offset // 8
            state = state.after(unit)
        topologies.finish()
    description = topologies.description
    ends = [span.byte_offset for span, _, _ in walked[1:]] + [size_bytes]
    units = []
    for (span, header, names), end in zip(walked, ends, strict=True):
        unit_bytes = end - span.byte_offset
        tensors: tuple[TensorSummary, ...] = ()
        if header is not None:
            tensors = _tensors(span, unit_bytes, header, names, description, dimensions or {})
        elif span.index in carried:
            item, start = carried[span.index]
            tensors = (_carried(item, span, start, end - start),)
        units.append(UnitSummary(span.index, span.byte_offset, unit_bytes, span.nnr_unit_type, tensors))
    return StreamSummary(
        size_bytes,
        state.general_profile_idc or 0,
        state.mps is not None and state.mps.parent_signalling_enabled_flag,
        description.kind,
        description.metadata,
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


def _carried(item: CarriedItem, span: UnitSpan, offset: int, unit_bytes: int) -> TensorSummary:
    return TensorSummary(
        item.name, item.shape, item.tag, None, span.index, offset, unit_bytes, n_bytes=item.n_bytes
    )


def _tensors(
    span: UnitSpan,
    unit_bytes: int,
    header: DataUnitHeader,
    names: tuple[str, ...],
    description: SourceDescription,
    dimensions: Mapping[str, tuple[int, ...]],
) -> tuple[TensorSummary, ...]:
    unit_shape = header.tensor_dimensions or dimensions.get(names[0])
    shapes: dict[int, tuple[int, ...] | None] = dict.fromkeys(range(len(names)))
    if unit_shape is not None:
        try:
            shapes = {planned.name_index: planned.shape for planned in plan_unit(header, unit_shape, names)}
        except BitstreamError as error:
            error.path = span.path if error.path is None else error.path
            error.bit_offset = 8 * span.byte_offset if error.bit_offset is None else error.bit_offset
            raise
    return tuple(
        TensorSummary(
            name,
            ()
            if math.prod(shapes[index] or (0,)) == 1 and description.dtypes.is_scalar(name)
            else shapes[index],
            dtype_tag(name, header, description),
            header.payload_type,
            span.index,
            span.byte_offset,
            unit_bytes,
        )
        for index, name in enumerate(names)
    )
