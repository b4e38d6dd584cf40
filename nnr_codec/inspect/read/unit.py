# SPDX-License-Identifier: Apache-2.0
"""One unit, sound or damaged: its elements, its faults, and its unclaimed bits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nnr_codec.errors import BitstreamError
from nnr_codec.inspect.read.fault import Fault, actual_text, fault_of
from nnr_codec.model import AnyUnit, Limits, ModelParameterSet, NnrUnitType, Quantization, unit_type_name
from nnr_codec.syntax import SyntaxState, Trace, TraceEvent, UnitSpan, parse_tree, parse_unit

if TYPE_CHECKING:
    from nnr_codec.inspect.read.accounts import PayloadAccount

#: Elements that are content rather than headers.
PAYLOADS = ("nnr_compressed_data_unit_payload", "nnr_partial_unit_payload")
BODIES = (
    "topology_data",
    "nnr_pruning_topology_container",
    "quantization_data",
    "nnr_aggregate_unit_body",
    "nnr_unit_payload",
)


@dataclass(frozen=True)
class Gap:
    """Bits that no element claims."""

    bit_offset: int
    n_bits: int


@dataclass
class UnitReport:
    """One unit of a stream.

    Attributes
    ----------
    span : UnitSpan
        Place in the stream; ``size_bytes`` counts the bytes that exist, which may differ from nnr_unit_size.
    events : list of TraceEvent
        In stream order.
    tree : dict or None
        All elements; None if a fault ended parsing.
    unit : Unit or None
        Meaning of the elements; None if the unit has a fault.
    state : SyntaxState
        State before the unit.
    guess : bool
        The inspector inferred the unit's extent.
    payload : PayloadAccount or None
        Bit counts of the payload; None if it was not decoded.
    """

    span: UnitSpan
    events: list[TraceEvent]
    tree: dict[str, Any] | None
    unit: AnyUnit | None
    state: SyntaxState
    faults: list[Fault] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    guess: bool = False
    payload: PayloadAccount | None = None

    @property
    def type_name(self) -> str:
        """Name of the unit type, ``NNR_NDU``, or ``type 9`` for an unknown one."""
        return unit_type_name(self.span.nnr_unit_type)

    def event(self, element: str) -> TraceEvent | None:
        """Return the first event of an element, None if the element is absent."""
        return next((event for event in self.events if event.element == element), None)

    def value(self, element: str) -> Any:
        """Return the value of an element's first event, None if the element is absent."""
        event = self.event(element)
        return None if event is None else event.value

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the unit's tensors; ``#3`` for an index that refers to no name."""
        names = [e.value for e in self.events if e.element in ("topology_elem_id", "topology_elem_id_list")]
        indices = [
            e.value
            for e in self.events
            if e.element in ("topology_elem_id_index", "topology_elem_id_index_list")
        ]
        references = self.state.reference_list
        names += [references[i] if isinstance(i, int) and i < len(references) else f"#{i}" for i in indices]
        return tuple(str(name) for name in names if name is not None)


@dataclass
class StrayBytes:
    """Bytes of the stream that belong to no unit."""

    byte_offset: int
    size_bytes: int
    faults: list[Fault] = field(default_factory=list)


def examine(buffer: Any, span: UnitSpan, state: SyntaxState, limits: Limits) -> UnitReport:
    """Read one unit. Its faults are part of the report; none is raised."""
    trace = Trace()
    faults: list[Fault] = []
    tree = unit = None
    raised: BitstreamError | None = None
    try:
        tree = parse_tree(buffer, span, state, limits=limits, trace=trace)
    except BitstreamError as error:
        raised = error
    faults = [fault_of(event.fault, event) for event in trace if event.fault is not None]
    if raised is not None and all(event.fault is not raised for event in trace):
        faults.append(fault_of(raised))
    gaps = _gaps(span, trace)
    if not faults:
        unit, fault = _meaning(buffer, span, state, limits, trace)
        if fault is not None:
            faults.append(fault)
    return UnitReport(span, list(trace), tree, unit, state, faults, gaps)


def _meaning(
    buffer: Any, span: UnitSpan, state: SyntaxState, limits: Limits, trace: Trace
) -> tuple[AnyUnit | None, Fault | None]:
    try:
        return parse_unit(buffer, span, state, limits=limits), None
    except BitstreamError as error:
        # Semantic checks compare values with each other, so that no range can be quoted as expected.
        event = trace.by_path(error.path or "")
        return None, replace(fault_of(error), actual=None if event is None else actual_text(event.value))


def _gaps(span: UnitSpan, trace: Trace) -> list[Gap]:
    position, end = 8 * span.byte_offset, 8 * (span.byte_offset + span.size_bytes)
    if trace:
        position = trace[-1].bit_offset + trace[-1].n_bits
    return [Gap(position, end - position)] if position < end else []


def state_after(report: UnitReport) -> SyntaxState:
    """Return the syntax state after a unit; for a faulty unit, as far as its elements define it."""
    state, tree = report.state, report.tree
    if report.unit is not None:
        return state.after(report.unit)
    if tree is None or tree.get("partial_data_counter_present_flag"):
        return state
    kind = tree["nnr_unit_type"]
    if kind == NnrUnitType.NNR_STR:
        return replace(state, general_profile_idc=tree["general_profile_idc"])
    if kind in (NnrUnitType.NNR_MPS, NnrUnitType.NNR_LPS):
        prefix = "mps" if kind == NnrUnitType.NNR_MPS else "lps"
        if f"{prefix}_qp_density" in tree:
            quantization = Quantization(
                tree[f"{prefix}_qp_density"], tree[f"{prefix}_quantization_parameter"]
            )
            state = replace(state, quantization=quantization)
    if kind == NnrUnitType.NNR_MPS:
        mps = ModelParameterSet(
            quantization=state.quantization,
            topology_indexed_reference_flag=bool(tree["mps_topology_indexed_reference_flag"]),
            parent_signalling_enabled_flag=bool(tree.get("mps_parent_signalling_enabled_flag", 0)),
        )
        state = replace(state, mps=mps)
    return state
