# SPDX-License-Identifier: Apache-2.0
"""Reader of a stream whose headers the grammar itself parses, with a trace: for validation, and tests of the native walk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from nnr_codec.codec.stream.deadline import Deadline
from nnr_codec.codec.stream.topology_reader import CarriedItem, TopologyReader
from nnr_codec.errors import BitstreamError, MalformedBitstream, UnsupportedBitstream
from nnr_codec.model import (
    AggregateUnit,
    DataUnit,
    DataUnitHeader,
    Limits,
    ModelParameterSet,
    NnrUnitType,
    PartialUnit,
    Quantization,
    TopologyUnit,
)
from nnr_codec.model.unit_layout import PlannedTensor, plan_unit
from nnr_codec.syntax import (
    JoinedUnitSpan,
    PartPlaces,
    SyntaxState,
    Trace,
    UnitSpan,
    iter_units,
    locate,
)
from nnr_codec.syntax.data_unit_meaning import tensor_sizes


@dataclass(slots=True)
class DataUnitInStream:
    """Data unit with the state that its decoding needs; the payload is not read yet.

    Do not change it. It is not frozen, because frozen instances take three times as long to create.
    """

    path: str
    unit_bytes: int
    payload_bit_offset: int
    header: DataUnitHeader
    payload: bytes | memoryview
    names: tuple[str, ...]
    shape: tuple[int, ...]
    general_profile_idc: int
    quantization: Quantization | None
    places: PartPlaces | None = None  # positions of the parts of a unit that was joined from parts
    _plan: list[PlannedTensor] | None = field(default=None, compare=False, repr=False)

    def locate(self, error: BitstreamError) -> None:
        """Convert the bit offset of an error in a payload joined from parts to one in the stream."""
        if self.places is not None and error.bit_offset is not None:
            error.bit_offset = self.places.absolute(error.bit_offset)

    @property
    def plan(self) -> list[PlannedTensor]:
        """Tensors in the order of their data."""
        if self._plan is not None:
            return self._plan
        try:
            self._plan = plan_unit(self.header, self.shape, self.names)
            return self._plan
        except BitstreamError as error:
            error.path = self.path if error.path is None else error.path
            error.bit_offset = self.payload_bit_offset if error.bit_offset is None else error.bit_offset
            self.locate(error)
            raise


class ReferenceReader:
    """Reader that walks over a stream once, unit by unit.

    Parameters
    ----------
    buffer : memoryview
        The whole stream.
    limits : Limits
    dimensions : mapping of str to tuple of int
        Shapes of tensors whose dimensions are not in the stream.
    deadline : Deadline, optional
        Deadline of the call; by default it starts now.
    traced : callable, optional
        Receives the trace of each unit or part that is read; see `iter_units`.

    Attributes
    ----------
    state : SyntaxState
        State before the last unit if that is a data unit, else after it.
    topologies : TopologyReader
        Contents of the topology units so far: description, graph, attachments.
    """

    def __init__(
        self,
        buffer: memoryview,
        limits: Limits,
        dimensions: Mapping[str, tuple[int, ...]],
        *,
        deadline: Deadline | None = None,
        traced: Callable[[UnitSpan, Trace], object] | None = None,
    ) -> None:
        self._buffer = buffer
        self._limits = limits
        self._dimensions = dimensions
        self._deadline = deadline or Deadline(limits)
        self._traced = traced
        self.state = SyntaxState()
        # Elements of tensors whose dimensions are not in the stream.
        self._given_elements = 0
        self._span = UnitSpan(0, 0, 0, 0)
        self.topologies = TopologyReader(limits, buffer.nbytes)

    def data_units(self) -> Iterator[DataUnitInStream]:
        """Yield the data units like `tensors`, without the carried tensors."""
        return (unit for unit in self.tensors() if isinstance(unit, DataUnitInStream))

    def tensors(self) -> Iterator[DataUnitInStream | CarriedItem]:
        """Yield the data units and the carried tensors.

        Raises
        ------
        BitstreamError

        Clause: format 2, 3
        """
        units = iter_units(self._buffer, limits=self._limits, traced=self._traced)
        for span, unit, state in units:
            self._deadline.check(span.path, span.byte_offset)
            self.state, self._span = state, span
            if isinstance(unit, DataUnit):
                yield self._data_unit(span, unit)
                continue
            if isinstance(unit, AggregateUnit) or (
                isinstance(unit, PartialUnit) and unit.nnr_unit_type == NnrUnitType.NNR_AGG
            ):
                # Its header is not public. Skipping the unit would lose tensors without notice.
                raise UnsupportedBitstream(
                    "aggregate units are not decoded",
                    path=span.path,
                    bit_offset=8 * span.byte_offset,
                    element="nnr_unit_type",
                    clause="format 2",
                )
            if isinstance(unit, TopologyUnit):
                place = (span.index, span.byte_offset)
                item = self.topologies.add(
                    unit.topology_data, unit.storage_format, place, state.total_elements
                )
                if item is not None:
                    yield item
                    del item
            self.state = self.state.after(unit)
        self.topologies.finish()

    def locate(self, error: BitstreamError) -> None:
        """Add path and bit offset to an error about an element of the last unit."""
        locate(error, self._buffer, self._span, self.state, self._limits)

    def check_time(self, unit: DataUnitInStream) -> None:
        """Raise LimitExceeded after the deadline, at the position of this unit; the reader may be far ahead."""
        self._deadline.check(unit.path, unit.payload_bit_offset // 8)

    def _check_given_shape(
        self, header: DataUnitHeader, shape: tuple[int, ...], path: str, payload_bit_offset: int
    ) -> None:
        header = replace(header, tensor_dimensions=shape)
        state = replace(self.state, total_elements=self.state.total_elements + self._given_elements)
        try:
            state.check_size(header, self._buffer.nbytes, self._limits)
        except BitstreamError as error:
            error.fill_place(path=path, bit_offset=payload_bit_offset)
            raise
        self._given_elements += sum(tensor_sizes(header))

    @property
    def parent_signalling(self) -> bool:
        """True for one stream of a series of updates."""
        return isinstance(self.state.mps, ModelParameterSet) and self.state.mps.parent_signalling_enabled_flag

    def _data_unit(self, span: UnitSpan, unit: DataUnit) -> DataUnitInStream:
        header = unit.header
        places = span.places if isinstance(span, JoinedUnitSpan) else None
        # In a unit joined from parts, positions count from the start of the joined unit until `locate` converts them.
        start = 0 if places is not None else span.byte_offset
        size = span.joined_bytes if isinstance(span, JoinedUnitSpan) else span.size_bytes
        payload_bit_offset = 8 * (start + size - len(unit.payload))
        place = payload_bit_offset if places is None else places.absolute(payload_bit_offset)
        names = tensor_names(header, self.state, span, self.topologies.names)
        shape = header.tensor_dimensions
        if shape is None:
            shape = self._dimensions.get(names[0])
            if shape is None:
                raise MalformedBitstream(
                    "the stream does not give this tensor's dimensions; pass them as `dimensions`",
                    path=f"{span.path}.tensor_dimensions_flag",
                    bit_offset=place,
                    element="tensor_dimensions",
                    clause="format 3",
                )
            self._check_given_shape(header, tuple(shape), span.path, place)
        return DataUnitInStream(
            span.path,
            span.size_bytes,
            payload_bit_offset,
            header,
            unit.payload,
            names,
            shape,
            self.state.general_profile_idc or 0,
            self.state.quantization,
            places,
        )


def tensor_names(
    header: DataUnitHeader, state: SyntaxState, span: UnitSpan, full_names: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the names of a unit's tensors, and resolve indices and short names.

    Parameters
    ----------
    header : DataUnitHeader
    state : SyntaxState
    span : UnitSpan
    full_names : mapping of str to str
        Full names by short name; empty if the units have full names.

    Raises
    ------
    MalformedBitstream
        An index is beyond the list, or a short name is unknown.

    Clause: format 3
    """
    if header.topology_elem_ids:
        if not full_names:
            return header.topology_elem_ids
        for name in header.topology_elem_ids:
            if name not in full_names:
                raise MalformedBitstream(
                    f"{name[:64]!r} stands for none of {len(full_names)} full names",
                    path=f"{span.path}.topology_elem_id",
                    bit_offset=8 * span.byte_offset,
                    element="topology_elem_id",
                    clause="format 3",
                )
        return tuple(full_names[name] for name in header.topology_elem_ids)
    names = state.reference_list
    for index in header.topology_elem_id_indices:
        if index >= len(names):
            raise MalformedBitstream(
                f"index {index} into a list of {len(names)} topology elements",
                path=f"{span.path}.topology_elem_id_index",
                bit_offset=8 * span.byte_offset,
                element="topology_elem_id_index",
                clause="format 3",
            )
    return tuple(names[index] for index in header.topology_elem_id_indices)
