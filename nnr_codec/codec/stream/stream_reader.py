# SPDX-License-Identifier: Apache-2.0
"""Data units and carried tensors of a stream in order, each with all that decoding it needs from the units before."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from nnr_codec.codec.stream.carrier_reader import CarriedItem
from nnr_codec.codec.stream.deadline import Deadline
from nnr_codec.codec.stream.input import PagesRead
from nnr_codec.codec.stream.topology_reader import TopologyReader
from nnr_codec.errors import BitstreamError, LimitExceeded, MalformedBitstream, UnsupportedBitstream
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
    iter_unit_spans,
    iter_units,
    locate,
    quick_name,
)


@dataclass(slots=True)
class DataUnitInStream:
    """A data unit and its surroundings; nothing of its payload has been read.

    Not frozen: there is one for each tensor, and frozen ones take three times as long to make. Nobody changes it.
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
    places: PartPlaces | None = None  # of the payload's pieces, where the unit came in parts
    _plan: list[PlannedTensor] | None = field(default=None, compare=False, repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        # Views of a stream cannot go to another process; its piece can.
        own = (
            self.path,
            self.unit_bytes,
            self.payload_bit_offset,
            self.header,
            bytes(self.payload),
            self.names,
        )
        return DataUnitInStream, (*own, self.shape, self.general_profile_idc, self.quantization, self.places)

    def locate(self, error: BitstreamError) -> None:
        """Turn a position in a payload joined from parts into its place in the stream."""
        if self.places is not None and error.bit_offset is not None:
            error.bit_offset = self.places.absolute(error.bit_offset)

    @property
    def plan(self) -> list[PlannedTensor]:
        """The tensors in the order of their data."""
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


class StreamReader:
    """Walks over a stream once, unit by unit.

    Parameters
    ----------
    buffer : memoryview
        The whole stream.
    limits : Limits
    dimensions : mapping of str to tuple of int
        Shapes of tensors whose dimensions are not in the stream.
    wanted : set of str, optional
        Only these tensors are: units that certainly hold none of them are passed by unread.
    places : list of (offset, size, number), optional
        Where the units with the wanted tensors are, and the parameter sets before them; no others are looked at.
    deadline : Deadline, optional
        When the call that this belongs to began; by default now.
    traced : callable, optional
        Receives the trace of each unit or part that is read; see `iter_units`.

    Attributes
    ----------
    state : SyntaxState
        What was known before the last data unit, or is behind the last other unit.
    topologies : TopologyReader
        What the topology units so far hold: description, graph, attachments.
    """

    def __init__(
        self,
        buffer: memoryview,
        limits: Limits,
        dimensions: Mapping[str, tuple[int, ...]],
        *,
        wanted: set[str] | None = None,
        places: list[tuple[int, int, int]] | None = None,
        deadline: Deadline | None = None,
        traced: Callable[[UnitSpan, Trace], object] | None = None,
    ) -> None:
        self._buffer = buffer
        self._pages = PagesRead(buffer)
        self._wanted = (
            None if wanted is None else {unit.encode() for name in wanted for unit in unit_names(name)}
        )
        self._places = places
        self._limits = limits
        self._dimensions = dimensions
        self._deadline = deadline or Deadline(limits)
        self._traced = traced
        self.state = SyntaxState()
        self._span = UnitSpan(0, 0, 0, 0)
        self.topologies = TopologyReader(
            limits, buffer.nbytes, None if wanted is None else wanted.__contains__
        )

    def data_units(self) -> Iterator[DataUnitInStream]:
        """Yield the data units without the carried tensors between them; else as `tensors`."""
        return (unit for unit in self.tensors() if isinstance(unit, DataUnitInStream))

    def tensors(self) -> Iterator[DataUnitInStream | CarriedItem]:
        """Yield the data units and the carried tensors.

        Raises
        ------
        BitstreamError

        Clause: format 2, 3
        """
        units = iter_units(self._buffer, limits=self._limits, spans=self._spans(), traced=self._traced)
        for span, unit, state in units:
            self._deadline.check(span.path, span.byte_offset)
            self.state, self._span = state, span
            if isinstance(unit, DataUnit):
                yield self._data_unit(span, unit)
                continue
            if isinstance(unit, AggregateUnit) or (
                isinstance(unit, PartialUnit) and unit.nnr_unit_type == NnrUnitType.NNR_AGG
            ):
                # What it holds is in no peer's reach and its header is not public: skipping it would lose tensors.
                raise UnsupportedBitstream(
                    "aggregate units are not decoded",
                    path=span.path,
                    bit_offset=8 * span.byte_offset,
                    element="nnr_unit_type",
                    clause="format 2",
                )
            if isinstance(unit, TopologyUnit):
                item = self.topologies.add(unit, span, state.total_elements)
                if item is not None:
                    yield item
                    del item
            self.state = self.state.after(unit)
        self.topologies.finish()

    def _spans(self) -> Iterator[UnitSpan]:
        if self._places is not None:
            for start, size, index in self._places:
                yield from iter_unit_spans(
                    self._buffer, self._limits, start=start, end=start + size, index=index
                )
            return
        for span in iter_unit_spans(self._buffer, self._limits):
            self._deadline.check(span.path, span.byte_offset)
            if self._wanted is not None:
                self._pages.passed(span.byte_offset)
                if self._tells_names and not self._may_hold_wanted(span):
                    continue
            yield span

    def _may_hold_wanted(self, span: UnitSpan) -> bool:
        name = quick_name(self._buffer, span)
        return name is None or self._wanted is None or name in self._wanted

    @property
    def _tells_names(self) -> bool:
        """Whether units can be told by the names in them: not if these are short, nor if later updates need them all."""
        mps = self.state.mps
        return (
            mps is not None
            and not self.topologies.names
            and not mps.topology_indexed_reference_flag
            and not mps.parent_signalling_enabled_flag
        )

    def locate(self, error: BitstreamError) -> None:
        """Complete an error about an element of the unit read last."""
        locate(error, self._buffer, self._span, self.state, self._limits)

    def passed(self, unit: DataUnitInStream | CarriedItem) -> None:
        """Give back the memory of all units up to this one, which is decoded."""
        if isinstance(unit, CarriedItem):
            # Its own units follow this place; they are copied already, and the next call gives them back.
            self._pages.passed(unit.payload_bit_offset // 8)
        elif unit.places is None:
            self._pages.passed(unit.payload_bit_offset // 8 + len(unit.payload))

    def check_time(self, unit: DataUnitInStream | CarriedItem) -> None:
        """Raise LimitExceeded when the caller's time is over; reading may be far ahead of the unit."""
        self._deadline.check(unit.path, unit.payload_bit_offset // 8)

    @property
    def parent_signalling(self) -> bool:
        """Whether the stream is one of a series of updates."""
        return isinstance(self.state.mps, ModelParameterSet) and self.state.mps.parent_signalling_enabled_flag

    def _data_unit(self, span: UnitSpan, unit: DataUnit) -> DataUnitInStream:
        header = unit.header
        places = span.places if isinstance(span, JoinedUnitSpan) else None
        # In a unit joined from parts positions count from its own start, until they are told.
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
                    "the stream does not give this tensor's dimensions and nobody else did",
                    path=f"{span.path}.tensor_dimensions_flag",
                    bit_offset=place,
                    element="tensor_dimensions",
                    clause="format 3",
                )
            limit = self._limits.max_tensor_elements
            if limit is not None and math.prod(shape) > limit:
                raise LimitExceeded(
                    f"a tensor of {math.prod(shape)} elements", path=span.path, bit_offset=place
                )
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


def unit_names(name: str) -> tuple[str, ...]:
    """Return the names under which a tensor may be sent: its own, or those of a weight's two factors."""
    return name, f"{name}_G", f"{name}_H"


def tensor_names(
    header: DataUnitHeader, state: SyntaxState, span: UnitSpan, full_names: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the names of a unit's tensors, which it gives or refers to.

    Parameters
    ----------
    header : DataUnitHeader
    state : SyntaxState
    span : UnitSpan
    full_names : mapping of str to str
        Full names by the short ones in units; empty where units have the full ones.

    Raises
    ------
    MalformedBitstream
        An index beyond the list, or a short name that stands for none.

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
