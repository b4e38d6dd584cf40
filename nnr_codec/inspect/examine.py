# SPDX-License-Identifier: Apache-2.0
"""One unit, whatever its state: every element that can be told apart, every fault, every unclaimed bit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nnr_codec.errors import BitstreamError
from nnr_codec.inspect.fault import Fault, fault_of, found_text
from nnr_codec.model import AnyUnit, Limits, ModelParameterSet, NnrUnitType, Quantization
from nnr_codec.syntax import SyntaxState, Trace, TraceEvent, UnitSpan, parse_tree, parse_unit

if TYPE_CHECKING:
    from nnr_codec.inspect.payload import PayloadReport

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
    """What there is to say of one unit.

    Attributes
    ----------
    span : UnitSpan
        Its place; ``size_bytes`` is what is there, which may differ from what the unit says.
    events : list of TraceEvent
        In stream order.
    tree : dict or None
        All elements, None where they could not be told apart to the end.
    unit : Unit or None
        What it means, None where something is wrong with it.
    state : SyntaxState
        Before the unit.
    guess : bool
        Whether its place is a guess.
    payload : PayloadReport or None
        Accounts of the codeword, where it was looked at.
    """

    span: UnitSpan
    events: list[TraceEvent]
    tree: dict[str, Any] | None
    unit: AnyUnit | None
    state: SyntaxState
    faults: list[Fault] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    guess: bool = False
    payload: PayloadReport | None = None

    @property
    def type_name(self) -> str:
        """``NNR_NDU``, or the number of an unknown type."""
        return unit_type_name(self.span.nnr_unit_type)

    def event(self, element: str) -> TraceEvent | None:
        """Return the first event of an element."""
        return next((event for event in self.events if event.element == element), None)

    def value(self, element: str) -> Any:
        """Return an element's value, None where it is absent."""
        event = self.event(element)
        return None if event is None else event.value

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its tensors, or references by index."""
        found = [e.value for e in self.events if e.element in ("topology_elem_id", "topology_elem_id_list")]
        indices = [
            e.value
            for e in self.events
            if e.element in ("topology_elem_id_index", "topology_elem_id_index_list")
        ]
        references = self.state.reference_list
        found += [references[i] if isinstance(i, int) and i < len(references) else f"#{i}" for i in indices]
        return tuple(str(name) for name in found if name is not None)


@dataclass
class StrayBytes:
    """A stretch of the stream that is in no unit."""

    byte_offset: int
    size_bytes: int
    faults: list[Fault] = field(default_factory=list)


def unit_type_name(nnr_unit_type: int) -> str:
    """Return the standard's name of a type of unit.

    >>> unit_type_name(5), unit_type_name(9)
    ('NNR_NDU', 'type 9')
    """
    try:
        return NnrUnitType(nnr_unit_type).name
    except ValueError:
        return f"type {nnr_unit_type}"


def examine(buffer: Any, span: UnitSpan, state: SyntaxState, limits: Limits) -> UnitReport:
    """Read one unit. Nothing is raised for what is wrong with it."""
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
        # What a value means is checked against other values, so that no range says what was expected.
        event = trace.by_path(error.path or "")
        return None, replace(fault_of(error), found=None if event is None else found_text(event.value))


def _gaps(span: UnitSpan, trace: Trace) -> list[Gap]:
    position, end = 8 * span.byte_offset, 8 * (span.byte_offset + span.size_bytes)
    if trace:
        position = trace[-1].bit_offset + trace[-1].n_bits
    return [Gap(position, end - position)] if position < end else []


def state_after(report: UnitReport) -> SyntaxState:
    """Return the state behind a unit, as far as it can be known of a faulty one."""
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
