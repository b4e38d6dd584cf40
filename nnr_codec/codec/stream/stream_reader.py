# SPDX-License-Identifier: Apache-2.0
"""Reader of a stream's headers in order: batches of data units from the native walk, and what topology units hold."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from nnr_codec import _native
from nnr_codec.codec.stream.deadline import Deadline
from nnr_codec.codec.stream.faults import error_of
from nnr_codec.codec.stream.input import PagesRead
from nnr_codec.codec.stream.topology_reader import TopologyReader
from nnr_codec.model import Limits

#: Largest number of elements in a batch of several units: some milliseconds of work, half a megabyte. Smaller batches switch
#: more often between Python and native code, which evict each other's caches.
BATCH_ELEMENTS = 1 << 17
#: Largest number of units in a batch. It starts small, so that threads get work early, and doubles.
_FIRST_UNITS, _MOST_UNITS = 4, 256


class OtherUnit(NamedTuple):
    """A unit that is no data unit.

    Attributes
    ----------
    unit : StreamUnit
    item : CarriedItem or None
        The carried tensor that the unit completes.
    piece : str or None
        Name of the carried tensor that the unit holds a piece of.
    """

    unit: _native.StreamUnit
    item: _native.CarriedItem | None
    piece: str | None


class StreamReader:
    """Reader that walks over a stream once.

    Parameters
    ----------
    buffer : memoryview
        The whole stream.
    limits : Limits
    dimensions : mapping of str to tuple of int
        Shapes of tensors whose dimensions are not in the stream.
    wanted : collection of str, optional
        Tensors to read; units that cannot hold one of them are passed over. Empty: the content of no carried tensor is kept.
    places : list of (offset, size, number), optional
        Positions of the units to read: those with the wanted tensors and the parameter sets before them.
    deadline : Deadline, optional
        Deadline of the call; by default it starts now.
    headers_only : bool
        Read all headers, and keep the content of no carried tensor. Shapes that nobody knows are no fault.

    Attributes
    ----------
    topologies : TopologyReader
        Contents of the topology units so far: description, graph, attachments.
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
        headers_only: bool = False,
    ) -> None:
        names = None if wanted is None else [_encoded(unit) for name in wanted for unit in unit_names(name)]
        self._walk = _native.StreamWalk(buffer, limits, checked_shapes(dimensions), names, not headers_only)
        self._places = places
        self._pages = PagesRead(buffer)
        self._deadline = deadline or Deadline(limits)
        self.topologies = TopologyReader(limits, buffer.nbytes, () if headers_only else wanted)

    def __iter__(self) -> Iterator[_native.UnitBatch | OtherUnit]:
        """Yield the data units in batches, and the other units between them.

        Raises
        ------
        BitstreamError

        Clause: format 2, 3
        """
        if self._places is None:
            yield from self._units()
        for start, size, index in self._places or ():
            self._walk.seek(start, start + size, index)
            yield from self._units()
        self.topologies.finish()

    def _units(self) -> Iterator[_native.UnitBatch | OtherUnit]:
        room = _FIRST_UNITS
        while (step := self._walk.next(BATCH_ELEMENTS, room)) is not None:
            if isinstance(step, _native.Fault):
                raise error_of(step, self._walk)
            if isinstance(step, _native.StreamUnit):
                self._deadline.check(f"nnr_unit[{step.index}]", step.byte_offset)
                yield self._other(step)
            else:
                room = min(2 * room, _MOST_UNITS)
                if len(step):
                    self._deadline.check(f"nnr_unit[{step[0].index}]", step[0].byte_offset)
                    yield step
                else:
                    # A long way over units that are not wanted.
                    self._deadline.check("nnr_bitstream", self._walk.position)
                    self._pages.passed(self._walk.position)
            del step

    def _other(self, unit: _native.StreamUnit) -> OtherUnit:
        if unit.content is None:
            return OtherUnit(unit, None, None)
        topologies = self.topologies
        n_names = len(topologies.names)
        place = (unit.index, unit.byte_offset)
        item = topologies.add(unit.content, unit.storage_format, place, self._walk.total_elements)
        if len(topologies.names) != n_names:
            self._walk.set_full_names([_encoded(name) for name in topologies.names.values()])
        return OtherUnit(unit, item, item.name if item is not None else topologies.open_tensor)

    def passed(self, byte_offset: int) -> None:
        """Release the memory of the stream before a position, whose units are decoded."""
        self._pages.passed(byte_offset)

    def check_time(self, unit: _native.DataUnit) -> None:
        """Raise LimitExceeded after the deadline, at the position of a unit; the walk may be far ahead."""
        self._deadline.check(f"nnr_unit[{unit.index}]", unit.byte_offset)

    @property
    def general_profile_idc(self) -> int:
        """Profile of the stream; 0 before its start unit."""
        return self._walk.general_profile_idc or 0

    @property
    def parent_signalling(self) -> bool:
        """True for one stream of a series of updates."""
        return self._walk.parent_signalling


def checked_shapes(dimensions: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return shapes by name as native code takes them.

    Raises
    ------
    TypeError
        A dimension is no integer.
    ValueError
        A dimension is negative.
    """
    shapes = {name: tuple(map(operator.index, shape)) for name, shape in dimensions.items()}
    for name, shape in shapes.items():
        if any(dimension < 0 for dimension in shape):
            raise ValueError(f"a dimension of {name} is negative: {shape}")
    return shapes


def unit_names(name: str) -> tuple[str, ...]:
    """Return the names that a tensor may have in units: its own, or those of its two factors."""
    return name, f"{name}_G", f"{name}_H"


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")
