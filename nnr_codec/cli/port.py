# SPDX-License-Identifier: Apache-2.0
"""All that the commands ask of the codec, in one place; tests put fakes here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy.typing as npt

from nnr_codec.frameworks.origin import Origin
from nnr_codec.model import AnyUnit, DataUnit, TopologyUnit

Tensors = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class PlacedUnit:
    """A unit with its headers parsed, and where it lies."""

    byte_offset: int
    size_bytes: int
    unit: AnyUnit


def encode(
    tensors: Tensors,
    options: Mapping[str, Any],
    *,
    file: BinaryIO,
    origin: bytes,
    on_tensor: Callable[[str], None],
) -> None:
    """Encode tensor by tensor into a file; ``options`` are fields of ``EncoderConfig``."""
    import nnr_codec

    config = nnr_codec.EncoderConfig(**options)
    nnr_codec.encode(tensors, config, file=file, progress=on_tensor, topology_data=origin)


def decode(
    path: str, names: Sequence[str] | None, *, threads: int | None, on_tensor: Callable[[str], None]
) -> dict[str, npt.NDArray[Any]]:
    """Decode a stream, or the named tensors alone."""
    import nnr_codec

    return dict(nnr_codec.decode(path, names=names, threads=threads, progress=on_tensor))


def read_units(path: str) -> Iterator[PlacedUnit]:
    """Walk over a stream's units without decoding payloads."""
    import mmap

    from nnr_codec.syntax import SyntaxState, iter_unit_spans, parse_unit

    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            from nnr_codec.errors import TruncatedBitstream

            raise TruncatedBitstream("the file is empty", path=path, bit_offset=0)
        buffer = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        state = SyntaxState()
        for span in iter_unit_spans(buffer):
            unit = parse_unit(buffer, span, state)
            state = state.after(unit)
            yield PlacedUnit(span.byte_offset, span.size_bytes, unit)


def read_origin(path: str) -> Origin:
    """Find the description of the original file; an empty one where there is none."""
    for placed in read_units(path):
        if isinstance(placed.unit, TopologyUnit):
            origin = Origin.from_bytes(bytes(placed.unit.topology_data))
            if origin is not None:
                return origin
        if isinstance(placed.unit, DataUnit):
            break
    return Origin()


def names_in(placed: PlacedUnit) -> tuple[str, ...]:
    """Name the tensors that a unit carries."""
    return placed.unit.header.topology_elem_ids if isinstance(placed.unit, DataUnit) else ()
