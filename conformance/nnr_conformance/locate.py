# SPDX-License-Identifier: Apache-2.0
"""Place of a wrong rejection: the element or level that a decoder read when it gave up a valid stream."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nnr_conformance.answer import Rejection
from nnr_conformance.divergence import Divergence, first_difference
from nnr_conformance.layers import Comparison


def locate_rejection(comparison: Comparison, rejection: Rejection | None) -> Divergence | None:
    """Locate the fault of a decoder that rejects a valid vector.

    The first wrong level of a partial output is the best evidence; without one, the bit of the rejection is mapped to the
    level that begins there, by the stored bit arrays, or to the syntax element that holds it, by the stored trace.

    Returns
    -------
    Divergence or None
        None if the decoder reports neither partial output nor a bit.
    """
    divergence = _first_wrong_level(comparison)
    if divergence is not None or rejection is None or rejection.bit_offset is None:
        return divergence
    n_streams = len(comparison.vector.streams)
    stream = rejection.stream if rejection.stream is not None else 0 if n_streams == 1 else None
    if stream is None or stream >= n_streams:
        return None
    return _element_at(comparison, stream, rejection.bit_offset) or _level_at(
        comparison, stream, rejection.bit_offset
    )


def _first_wrong_level(comparison: Comparison) -> Divergence | None:
    for entry in comparison.vector.expect.levels or ():
        if entry.stream >= len(comparison.answers):
            break
        actual = comparison.answers[entry.stream].levels.get(entry.tensor)
        stored = comparison.arrays.get(f"{entry.stream}/level:{entry.tensor}")
        if actual is None or stored is None or actual.shape != stored.shape or actual.dtype != stored.dtype:
            continue
        difference = first_difference(
            stored, actual, layer="levels", bits=comparison.arrays.get(f"{entry.stream}/bit:{entry.tensor}"),
            stream=entry.stream, tensor=entry.tensor,
        )  # fmt: skip
        if difference is not None:
            return replace(difference, message="the first level of the partial output that differs")
    return None


def _element_at(comparison: Comparison, stream: int, bit: int) -> Divergence | None:
    """Find the line of the stored trace whose element holds a bit."""
    traces = comparison.vector.expect.traces
    if traces is None:
        return None
    for line in comparison.suite.read(traces[stream]).decode("utf-8").splitlines():
        begin, n_bits, element, value = line.split("\t", 3)
        if int(begin) <= bit < int(begin) + int(n_bits):
            return Divergence(layer="verdict", message="a valid stream is rejected at this element", stream=stream,
                              unit=_unit_at(comparison, stream, bit), path=element, bit=int(begin), expected=value)  # fmt: skip
    return None


def _level_at(comparison: Comparison, stream: int, bit: int) -> Divergence | None:
    """Find the last level that begins at a bit or before."""
    latest: tuple[int, str, tuple[int, ...]] | None = None
    for entry in comparison.vector.expect.levels or ():
        bits = comparison.arrays.get(f"{stream}/bit:{entry.tensor}") if entry.stream == stream else None
        if bits is None or not ((bits > 0) & (bits <= bit)).any():
            continue
        start = int(bits[(bits > 0) & (bits <= bit)].max())
        if latest is None or start > latest[0]:
            flat = int(np.flatnonzero(bits.reshape(-1) == start)[0])
            latest = start, entry.tensor, tuple(int(i) for i in np.unravel_index(flat, bits.shape))
    if latest is None or _unit_at(comparison, stream, latest[0] - 1) != _unit_at(comparison, stream, bit - 1):
        unit = _unit_at(comparison, stream, bit)
        message = "a valid stream is rejected before the first level, or in data without levels"
        return Divergence(layer="verdict", message=message, stream=stream, unit=unit, bit=bit)
    start, tensor, index = latest
    return Divergence(layer="verdict", message="a valid stream is rejected at this level, or a little later", stream=stream,
                      unit=_unit_at(comparison, stream, start - 1), tensor=tensor, index=index, bit=start)  # fmt: skip


def _unit_at(comparison: Comparison, stream: int, bit: int) -> int | None:
    units = (comparison.vector.expect.units or ())[stream : stream + 1]
    for number, unit in enumerate(units[0] if units else ()):
        if 8 * unit.byte_offset <= bit < 8 * (unit.byte_offset + unit.nnr_unit_size):
            return number
    return None
