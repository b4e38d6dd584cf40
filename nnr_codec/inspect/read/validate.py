# SPDX-License-Identifier: Apache-2.0
"""Validation of streams: the first error, or warnings about odd choices. Every unit is read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from nnr_codec.codec.decode.values import carried_values
from nnr_codec.codec.stream.checksum import verify_checksum
from nnr_codec.codec.stream.deadline import Deadline
from nnr_codec.codec.stream.input import StreamSource, opened
from nnr_codec.codec.stream.topology_reader import CarriedItem
from nnr_codec.codec.stream.update_tree import UpdateTree
from nnr_codec.errors import BitstreamError, LimitExceeded, UnsupportedBitstream
from nnr_codec.inspect.read.oddities import (
    Oddity,
    carriage_oddity,
    element_oddity,
    framing_oddities,
    payload_oddities,
    unit_oddities,
)
from nnr_codec.inspect.read.reference_decoder import decode_in_turn
from nnr_codec.inspect.read.reference_reader import DataUnitInStream, ReferenceReader
from nnr_codec.model import Limits, NnrUnitType
from nnr_codec.syntax import Trace, TraceEvent, UnitSpan


class Severity(Enum):
    """Severity of a finding.

    An error makes the stream invalid. A warning does not. Unchecked ends the check without a verdict: the stream exceeds
    the limits or uses a feature that the specification does not describe.
    """

    ERROR = "error"
    WARNING = "warning"
    UNCHECKED = "unchecked"


@dataclass(frozen=True)
class Finding:
    """One finding about a stream.

    Attributes
    ----------
    severity : Severity
    message : str
    path : str
        ``nnr_unit[3].scan_order``.
    bit_offset : int or None
        Absolute in its stream.
    clause : str
        Clause of the specification in ``spec/``.
    stream : int
        0-based number of the stream in a sequence of updates.
    """

    severity: Severity
    message: str
    path: str
    bit_offset: int | None
    clause: str
    stream: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the finding in JSON's types."""
        return {**asdict(self), "severity": self.severity.value}


def validate(
    streams: StreamSource | Sequence[StreamSource], *, limits: Limits | None = None
) -> list[Finding]:
    """Check a stream, or a sequence of updates.

    Parameters
    ----------
    streams : bytes-like, path or binary file, or a sequence of them
        A sequence is a series of updates in the order of decoding.
    limits : Limits, optional
        Bounds on the cost of each stream.

    Returns
    -------
    list of Finding
        Warnings in stream order. An error ends the check, and so does content beyond the limits or outside the
        specification; that finding comes last and is the only one about its stream.

    Raises
    ------
    OSError
        A file cannot be read.

    Clause: format 2 to 5
    """
    limits = limits or Limits()
    findings: list[Finding] = []
    updates = UpdateTree(limits)
    series = streams if isinstance(streams, list | tuple) else [streams]
    for number, stream in enumerate(series):
        check = _StreamCheck(limits, updates)
        try:
            check.run(stream)
        except BitstreamError as error:
            return [*findings, _finding_of(error, number)]
        findings += (
            Finding(Severity.WARNING, oddity.message, oddity.path, oddity.bit_offset, oddity.clause, number)
            for oddity in sorted(check.oddities, key=lambda oddity: oddity.bit_offset)
        )
    return findings


def _finding_of(error: BitstreamError, number: int) -> Finding:
    unchecked = isinstance(error, LimitExceeded | UnsupportedBitstream)
    return Finding(
        Severity.UNCHECKED if unchecked else Severity.ERROR,
        f"{type(error).__name__}: {error.message}",
        error.path or "nnr_bitstream",
        error.bit_offset,
        (error.clause or "").removeprefix("format "),
        number,
    )


class _StreamCheck:
    """One pass over a stream that reads, decodes and collects oddities."""

    def __init__(self, limits: Limits, updates: UpdateTree) -> None:
        self._limits = limits
        self._updates = updates
        self._events: dict[str, dict[str, TraceEvent]] = {}  # by unit path and element; the first of each
        self._names: set[str] = set()
        self._carriage: TraceEvent | None = None
        self._n_topology_units = 0
        self.oddities: list[Oddity] = []

    def run(self, stream: StreamSource) -> None:
        """Check the stream; raise as a decoder does.

        Raises
        ------
        BitstreamError
        """
        deadline = Deadline(self._limits)
        with opened(stream, self._limits.max_stream_bytes) as buffer:
            verify_checksum(buffer, self._limits, deadline, required=False)
            reader = ReferenceReader(buffer, self._limits, {}, deadline=deadline, traced=self._take_trace)
            for unit in reader.tensors():
                if isinstance(unit, CarriedItem):
                    carried_values(unit)
                    self._names.add(unit.name)
                else:
                    self._check_unit(unit, reader)
            reader.topologies.check_followers(self._names)
        self.oddities += carriage_oddity(self._carriage, self._n_topology_units)

    def _take_trace(self, span: UnitSpan, trace: Trace) -> None:
        self.oddities += framing_oddities(span)
        self._n_topology_units += span.nnr_unit_type == NnrUnitType.NNR_TPL
        events = self._events[span.path] = {}
        for event in trace:
            events.setdefault(event.element, event)
            oddity = element_oddity(event)
            if oddity is not None:
                self.oddities.append(oddity)
            if event.element == "topology_carriage_flag":
                self._carriage = event

    def _check_unit(self, unit: DataUnitInStream, reader: ReferenceReader) -> None:
        events = self._events[unit.path]

        def at(element: str) -> tuple[str, int]:
            event = events.get(element)
            return (unit.path, unit.payload_bit_offset) if event is None else (event.path, event.bit_offset)

        tensors, predecessors = decode_in_turn(unit, reader, self._updates)
        independent = events.get("independently_decodable_flag")
        self.oddities += unit_oddities(
            unit,
            at,
            repeated_names=self._names & set(unit.names),
            predecessors=predecessors,
            independent=independent is not None and bool(independent.value),
        )
        self.oddities += payload_oddities(unit, tensors, at)
        self._names |= set(unit.names)
        # Their values are views of the stream, and no other unit needs them.
        self._events.clear()
