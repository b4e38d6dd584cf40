# SPDX-License-Identifier: Apache-2.0
"""Requirements of streams: the capabilities that a decoder needs for them, counted in the model's syntax trace.

In an invalid stream they are counted up to the fault.
"""

from __future__ import annotations

import contextlib
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from nnr_conformance.levels import Capabilities

from spec.model import Field, Session, StreamError

#: Number of one-dimensional tensors that each bit of `compressed_parameter_types` announces: LS, BN, BI.
_VECTORS = {2: 1, 4: 4, 8: 1}
_BLOCK = 3
_REFERENCE_LIST = 6

Shapes = Mapping[str, tuple[int, ...]]


def requirements_of(streams: Sequence[bytes], dimensions: Shapes | None = None) -> Capabilities:
    """Count what the streams of a vector need, and the shapes that the application supplies for them."""
    needs: Counter[str] = Counter()
    log: list[Field] = []
    session = Session(dimensions=dimensions, log=log)
    with contextlib.suppress(StreamError):
        for stream in streams:
            log.clear()
            try:
                session.decode(stream)
            finally:
                # Also of the stream at fault.
                needs |= _count(log, dimensions or {})
    return Capabilities(streams=len(streams), **needs)


def _count(log: Iterable[Field], external: Shapes) -> Counter[str]:
    """Count what one stream needs."""
    needs: Counter[str] = Counter()
    for unit in _units(log):
        listed = [count + 2 for count in _values(unit, "count_topology_elements_minus2")]
        # What is announced counts from there on, also when the fault comes before its size, or the size is 0.
        announces_list = _largest(unit, "nnr_multiple_topology_elements_present_flag") or (
            _largest(unit, "topology_storage_format") == _REFERENCE_LIST
        )
        shape = _shape(unit, external)
        needs |= Counter(
            dimensions=max(_largest(unit, "count_tensor_dimensions"), len(shape or ())),
            names=max(listed, default=2 if announces_list else 1),
            string_bytes=max((len(f.value.encode()) for f in unit if isinstance(f.value, str)), default=0),
            codebook_entries=max(_largest(unit, "codebook_size"), _largest(unit, "codebook_present_flag")),
            # A reserved scan order is malformed in every level.
            scan_order=min(_largest(unit, "scan_order"), 4),
            entry_points=len(_values(unit, "cabac_offset_value")),
            parts=_largest(unit, "partial_data_counter") + 1,
            inflated_bytes=_inflated_bytes(unit),
        )
        elements = _elements(unit, shape)
        needs |= Counter(tensor_elements=max(elements, default=0))
        if not _largest(unit, "partial_data_counter"):
            # Every part of a unit repeats the header; the last one counts.
            needs["stream_elements"] += sum(elements)
    return needs


def _units(log: Iterable[Field]) -> Iterator[list[Field]]:
    unit: list[Field] = []
    for field in log:
        if field.path.endswith(".nnr_unit_size_flag") and unit:
            yield unit
            unit = []
        unit.append(field)
    yield unit


def _shape(unit: Sequence[Field], external: Shapes) -> Sequence[int] | None:
    """Shape that a data unit sends, or that the application supplies under one of its names; None without either.

    Clause: 3.3
    """
    if _largest(unit, "tensor_dimensions_flag"):
        return _values(unit, "tensor_dimensions")
    return next(
        (external[field.value] for field in unit if isinstance(field.value, str) and field.value in external),
        None,
    )


def _elements(unit: Sequence[Field], dimensions: Sequence[int] | None) -> list[int]:
    """Elements of each tensor of a data unit of a shape.

    Clause: 3.4
    """
    if dimensions is None:
        return []
    total, rank, rows = (
        math.prod(dimensions),
        _largest(unit, "decomposition_rank"),
        _largest(unit, "g_number_of_rows"),
    )
    elements = [rows * rank, rank * (total // rows)] if rank and rows else [total]
    if dimensions and _largest(unit, "nnr_compressed_data_unit_payload_type") == _BLOCK:
        types = _largest(unit, "compressed_parameter_types")
        elements += [dimensions[0]] * sum(count for bit, count in _VECTORS.items() if types & bit)
    return elements


def _inflated_bytes(unit: Sequence[Field]) -> int:
    """Bytes that the deflate stream of a unit begins with, whether or not it is valid."""
    if not any(field.path.endswith("_compression_format") and field.value == 1 for field in unit):
        return 0
    sizes = [1]
    for data in (field.value for field in unit if isinstance(field.value, bytes)):
        for window in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
            with contextlib.suppress(zlib.error):
                sizes.append(len(zlib.decompressobj(window).decompress(data, 1 << 29)))
    return max(sizes)


def _values(unit: Iterable[Field], element: str) -> list[int]:
    """Values of an element, or of all members of an array."""
    pattern = re.compile(rf"\.{element}(\[\d+\])?$")
    return [field.value for field in unit if isinstance(field.value, int) and pattern.search(field.path)]


def _largest(unit: Iterable[Field], element: str) -> int:
    return max(_values(unit, element), default=0)
