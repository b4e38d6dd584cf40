# SPDX-License-Identifier: Apache-2.0
"""Faults of the native walk and decoder as errors."""

from __future__ import annotations

from contextlib import suppress

from nnr_codec import _native
from nnr_codec.errors import (
    BitstreamError,
    LimitExceeded,
    MalformedBitstream,
    TruncatedBitstream,
    UnsupportedBitstream,
)
from nnr_codec.model import ModelParameterSet
from nnr_codec.syntax import SyntaxState, Trace, UnitSpan, parse_tree

_CLASSES: dict[str, type[BitstreamError]] = {
    "truncated": TruncatedBitstream,
    "malformed": MalformedBitstream,
    "unsupported": UnsupportedBitstream,
    "limit": LimitExceeded,
}


def error_of(fault: _native.Fault, walk: _native.StreamWalk | None = None) -> BitstreamError:
    """Return the error for a fault.

    Parameters
    ----------
    fault : Fault
    walk : StreamWalk, optional
        The walk that stopped at the fault. It completes the path of an element inside a list or a nested table.
    """
    element = (
        "payload"
        if fault.element == "nnr_compressed_data_unit_payload" and fault.has_payload
        else fault.element
    )
    return _CLASSES[fault.status](
        fault.text,
        path=_path_of(fault, walk),
        bit_offset=fault.bit_offset,
        element=element or None,
        clause=fault.clause or None,
    )


def _path_of(fault: _native.Fault, walk: _native.StreamWalk | None) -> str:
    if fault.unit is None:
        return "nnr_bitstream"
    unit = f"nnr_unit[{fault.unit}]"
    if fault.tensor is not None:
        return f"{unit}.tensor[{fault.tensor}]"
    if fault.has_payload or not fault.element:
        return unit
    if walk is not None:
        for event in trace_of(walk, fault.unit):
            if event.element == fault.element and walk.place_of(event.bit_offset) == fault.bit_offset:
                # A fault of the list as a whole has the place of its first entry.
                return event.path if event.fault is not None else event.path.removesuffix("[0]")
    return f"{unit}.{fault.element}"


def trace_of(walk: _native.StreamWalk, index: int) -> Trace:
    """Trace the unit at work of a walk, up to a fault; bit offsets count from the unit's first bit."""
    trace = Trace()
    octets = walk.unit_bytes()
    if octets:
        header_offset = 4 if octets[0] & 0x80 else 2
        span = UnitSpan(index, 0, len(octets), octets[header_offset] >> 2, header_offset)
        with suppress(BitstreamError):
            parse_tree(octets, span, _state_of(walk), trace=trace)
    return trace


def _state_of(walk: _native.StreamWalk) -> SyntaxState:
    parameters = ModelParameterSet(
        topology_indexed_reference_flag=walk.indexed_references,
        parent_signalling_enabled_flag=walk.parent_signalling,
    )
    return SyntaxState(walk.general_profile_idc, mps=parameters, reference_list=tuple(walk.reference_list))
