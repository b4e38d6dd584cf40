# SPDX-License-Identifier: Apache-2.0
"""Batches of data units: a call into the native core costs as much as a small tensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nnr_codec.codec.stream.carrier_reader import CarriedItem
from nnr_codec.codec.stream.stream_reader import DataUnitInStream
from nnr_codec.errors import BitstreamError

#: Elements of a batch of several units: some milliseconds of work and half a megabyte. Python and the native core take turns by
#: the batch, and each finds the processor's caches full of the other's: a quarter of this costs resnet56 six per cent.
BATCH_ELEMENTS = 1 << 17
#: Units of a batch, however small: few at first, so that threads have something to do soon.
_FIRST_UNITS, _MOST_UNITS = 4, 64


class UnitBatch(NamedTuple):
    """Units to be decoded in one call, and the carried tensors between them."""

    units: tuple[DataUnitInStream | CarriedItem, ...]
    n_elements: int  # of all their tensors

    @property
    def coded(self) -> tuple[DataUnitInStream, ...]:
        """The data units."""
        return tuple(unit for unit in self.units if isinstance(unit, DataUnitInStream))


def batched(units: Iterator[DataUnitInStream | CarriedItem]) -> Iterator[UnitBatch]:
    """Group units, in order: small ones together, a large one alone.

    An error of `units` comes out behind the units before it, as if they were taken one by one.
    """
    batch: list[DataUnitInStream | CarriedItem] = []
    n_elements = 0
    room = _FIRST_UNITS
    error: BitstreamError | None = None
    while True:
        try:
            unit = next(units, None)
            size = 0 if unit is None else _n_elements(unit)
        except BitstreamError as fault:
            unit, size, error = None, 0, fault
        if batch and (unit is None or n_elements + size > BATCH_ELEMENTS or len(batch) == room):
            yield UnitBatch(tuple(batch), n_elements)
            batch, n_elements = [], 0
            room = min(2 * room, _MOST_UNITS)
        if error is not None:
            raise error
        if unit is None:
            return
        batch.append(unit)
        n_elements += size


def _n_elements(unit: DataUnitInStream | CarriedItem) -> int:
    if isinstance(unit, CarriedItem):
        return unit.n_elements
    return sum(t.rows * t.width for t in unit.plan)
