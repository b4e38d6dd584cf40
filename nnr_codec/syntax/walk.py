# SPDX-License-Identifier: Apache-2.0
"""Parsing, building and tracing of units with the syntax tables.

A tree is the raw level: nested dicts and lists of ``{element: value}`` as coded, including forbidden values. A unit is the
meaning: a dataclass that satisfies all requirements of the format.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from nnr_codec.errors import BitstreamError, InternalError, MalformedBitstream, NotEncodable
from nnr_codec.model import (
    AggregateUnit,
    AnyUnit,
    DataUnit,
    LayerParameterSet,
    Limits,
    ModelParameterSet,
    NnrUnitType,
    PartialUnit,
    QuantizationUnit,
    StartUnit,
    TopologyUnit,
    UnknownUnit,
)
from nnr_codec.syntax import generated
from nnr_codec.syntax.data_unit_meaning import data_unit, data_unit_header, data_unit_tree
from nnr_codec.syntax.grammar import Tree
from nnr_codec.syntax.layer_parameter_set import layer_parameter_set, layer_parameter_set_tree
from nnr_codec.syntax.model_parameter_set import model_parameter_set, model_parameter_set_tree
from nnr_codec.syntax.quantization_unit import quantization_unit, quantization_unit_tree
from nnr_codec.syntax.start_unit import start_unit, start_unit_tree
from nnr_codec.syntax.state import SyntaxState, check_tensor_sizes
from nnr_codec.syntax.stream import UnitSpan, size_field
from nnr_codec.syntax.streams import SyntaxReader, SyntaxWriter
from nnr_codec.syntax.topology_unit import topology_unit, topology_unit_tree
from nnr_codec.syntax.trace import Trace
from nnr_codec.syntax.unit import NNR_UNIT

_DEFAULT_LIMITS = Limits()
#: Placeholder of a size field of four bytes, which `size_field` replaces.
_UNSIZED = {"nnr_unit_size_flag": 1, "nnr_unit_size": 0}


def parse_tree(
    buffer: Any,
    span: UnitSpan,
    state: SyntaxState,
    *,
    limits: Limits | None = None,
    strict: bool = False,
    trace: Trace | None = None,
) -> Tree:
    """Parse a unit into its syntax elements.

    Parameters
    ----------
    buffer : bytes-like
        The whole stream.
    span : UnitSpan
        Position of the unit.
    state : SyntaxState
        State before the unit.
    limits : Limits, optional
    strict : bool
        True raises an error for a forbidden value. False only records it in the trace.
    trace : Trace, optional
        Receives an event per element, in stream order, up to a fault.

    Returns
    -------
    dict
        Nested dicts and lists. A ``bs(v)`` element is a view of ``buffer``.

    Raises
    ------
    BitstreamError
        A fault prevents further parsing or, with `strict`, any fault occurs.
    """
    limits = limits or _DEFAULT_LIMITS
    if strict:
        return _parse_strictly(buffer, span, state, limits, trace)
    return _parse(_reader(buffer, span, limits, strict, trace), span, state)


def _parse_strictly(
    buffer: Any, span: UnitSpan, state: SyntaxState, limits: Limits, trace: Trace | None
) -> Tree:
    """Parse with the generated parser; with the tables to trace, and to give the fault of a refused unit its path."""
    if trace is not None:
        return _parse(_reader(buffer, span, limits, True, trace), span, state)
    outcome = generated.parse(buffer, span.byte_offset, span.size_bytes, state, limits)
    if not isinstance(outcome, generated.Fault):
        return outcome
    expected = None
    try:
        with _element_place(buffer, span, state, limits):
            _parse(_reader(buffer, span, limits, True, None), span, state)
    except BitstreamError as error:
        expected = generated.Fault(type(error), error.bit_offset, error.element)
        if outcome == expected:
            raise
    raise InternalError(f"the generated parser finds {outcome}, the tables {expected}", path=span.path)


def _reader(buffer: Any, span: UnitSpan, limits: Limits, strict: bool, trace: Trace | None) -> SyntaxReader:
    start = 8 * span.byte_offset
    end = start + 8 * span.size_bytes
    return SyntaxReader(buffer, start, end, root=span.path, limits=limits, strict=strict, trace=trace)


def _parse(reader: SyntaxReader, span: UnitSpan, state: SyntaxState) -> Tree:
    tree: Tree = NNR_UNIT.parse_stream(reader, **state.variables())
    if reader.strict and reader.remaining_bits:
        raise MalformedBitstream(
            f"{reader.remaining_bits >> 3} bytes follow the unit's last element",
            path=span.path,
            bit_offset=reader.bit_offset,
            element="nnr_unit_size",
            clause="format 2",
        )
    return tree


def parse_unit(
    buffer: Any,
    span: UnitSpan,
    state: SyntaxState,
    trace: Trace | None = None,
    *,
    limits: Limits | None = None,
    stream_bytes: int | None = None,
) -> AnyUnit:
    """Parse a unit and check all constraints that do not need the decoded payload.

    Parameters
    ----------
    buffer, span, state, trace, limits
        As in `parse_tree`.
    stream_bytes : int, optional
        Size of the stream for max_expansion_ratio; by default the size of ``buffer``.

    Returns
    -------
    Unit
        Dataclass of the unit type. Payloads and bodies are views of ``buffer``.

    Raises
    ------
    BitstreamError
        The unit is faulty. The error has path, absolute bit offset, element and clause.
    """
    limits = limits or _DEFAULT_LIMITS
    with _element_place(buffer, span, state, limits):
        state.check_order(span.nnr_unit_type)
        unit = _meaning(_parse_strictly(buffer, span, state, limits, trace), limits)
        if isinstance(unit, DataUnit):
            state.check_size(
                unit.header, memoryview(buffer).nbytes if stream_bytes is None else stream_bytes, limits
            )
    return unit


@contextmanager
def _element_place(buffer: Any, span: UnitSpan, state: SyntaxState, limits: Limits) -> Iterator[None]:
    """Complete errors that have no bit offset with the place of their element."""
    try:
        yield
    except BitstreamError as error:
        if error.bit_offset is None:
            locate(error, buffer, span, state, limits)
        raise


def check_header(
    buffer: Any, span: UnitSpan, state: SyntaxState, limits: Limits, trace: Trace | None = None
) -> Tree:
    """Parse a part of a unit, or a unit between parts, and check its header.

    Raises
    ------
    BitstreamError
        The header is faulty. The error has path, absolute bit offset, element and clause.
    """
    with _element_place(buffer, span, state, limits):
        tree = _parse_strictly(buffer, span, state, limits, trace)
        if span.nnr_unit_type == NnrUnitType.NNR_NDU:
            check_tensor_sizes(data_unit_header(tree), limits)
    return tree


def locate(error: BitstreamError, buffer: Any, span: UnitSpan, state: SyntaxState, limits: Limits) -> None:
    """Complete an error about the meaning of a value with the place of its element, which a trace finds."""
    error.path = f"{span.path}.{error.path or error.element}"
    error.element = error.element or error.path.rpartition(".")[2]
    error.bit_offset = 8 * span.byte_offset
    trace = Trace()
    with suppress(BitstreamError):
        parse_tree(buffer, span, state, limits=limits, trace=trace)
    for event in trace:
        if event.path == error.path or event.path.startswith(f"{error.path}["):
            error.bit_offset = event.bit_offset
            error.clause = error.clause or event.clause
            return


def _meaning(tree: Tree, limits: Limits) -> AnyUnit:
    kind = tree["nnr_unit_type"]
    every_unit = {"independently_decodable_flag": bool(tree["independently_decodable_flag"])}
    if tree["partial_data_counter_present_flag"]:
        return PartialUnit(kind, tree["partial_data_counter"], tree["nnr_partial_unit_payload"], **every_unit)
    if kind == NnrUnitType.NNR_NDU:
        return data_unit(tree, **every_unit)
    if kind == NnrUnitType.NNR_STR:
        return start_unit(tree, **every_unit)
    if kind == NnrUnitType.NNR_MPS:
        return model_parameter_set(tree, **every_unit)
    if kind == NnrUnitType.NNR_LPS:
        return layer_parameter_set(tree, **every_unit)
    if kind == NnrUnitType.NNR_TPL:
        return topology_unit(tree, limits, **every_unit)
    if kind == NnrUnitType.NNR_QNT:
        return quantization_unit(tree, limits, **every_unit)
    if kind == NnrUnitType.NNR_AGG:
        return AggregateUnit(tree["nnr_aggregate_unit_body"], **every_unit)
    return UnknownUnit(kind, tree["nnr_unit_payload"], **every_unit)


def build_tree(tree: Tree, state: SyntaxState, *, strict: bool = False) -> bytes:
    """Build a unit from its syntax elements.

    Forbidden values are written unless ``strict``. The size, reserved bits and byte alignments may be omitted; they then get
    the values that the format requires.

    Raises
    ------
    NotEncodable
        An element is missing, unexpected, or does not fit its bits. The error has path and element.
    """
    sized = "nnr_unit_size" in tree
    if not sized:
        tree = {**tree, **_UNSIZED}
    writer = SyntaxWriter(strict=strict)
    try:
        NNR_UNIT.build_stream(tree, writer, **state.variables())
    except BitstreamError as error:
        raise NotEncodable(
            error.message, path=error.path, element=error.element, clause=error.clause
        ) from None
    octets = writer.to_bytes()
    if sized:
        return octets
    return size_field(len(octets) - 4) + octets[4:]


def build_unit(unit: AnyUnit, state: SyntaxState) -> bytes:
    """Build a unit; the inverse of `parse_unit`.

    Parameters
    ----------
    unit : Unit
        The payload of a data unit is copied unchanged.
    state : SyntaxState
        State before the unit.

    Returns
    -------
    bytes

    Raises
    ------
    NotEncodable
        The format cannot represent the unit. The error has path and element.
    """
    kind, tree = _elements(unit, state)
    tree["nnr_unit_type"] = int(kind)
    tree["independently_decodable_flag"] = int(unit.independently_decodable_flag)
    tree["partial_data_counter_present_flag"] = 0
    octets = generated.build(tree, state)
    if octets is None:
        build_tree(tree, state, strict=True)
        raise InternalError("the generated builder refuses what the tables build")
    return octets


def _elements(unit: AnyUnit, state: SyntaxState) -> tuple[int, Tree]:
    profile = 1 if state.general_profile_idc is None else state.general_profile_idc
    if isinstance(unit, DataUnit):
        parents = state.mps is not None and state.mps.parent_signalling_enabled_flag
        return NnrUnitType.NNR_NDU, data_unit_tree(unit, profile, parents)
    if isinstance(unit, StartUnit):
        return NnrUnitType.NNR_STR, start_unit_tree(unit)
    if isinstance(unit, ModelParameterSet):
        return NnrUnitType.NNR_MPS, model_parameter_set_tree(unit, profile)
    if isinstance(unit, LayerParameterSet):
        return NnrUnitType.NNR_LPS, layer_parameter_set_tree(unit)
    if isinstance(unit, TopologyUnit):
        return NnrUnitType.NNR_TPL, topology_unit_tree(unit)
    if isinstance(unit, QuantizationUnit):
        return NnrUnitType.NNR_QNT, quantization_unit_tree(unit)
    if isinstance(unit, AggregateUnit):
        return NnrUnitType.NNR_AGG, {"nnr_aggregate_unit_body": unit.body}
    if isinstance(unit, UnknownUnit):
        if unit.nnr_unit_type <= max(NnrUnitType):
            raise NotEncodable(
                "an UnknownUnit must have a reserved or unspecified type", element="nnr_unit_type"
            )
        return unit.nnr_unit_type, {"nnr_unit_payload": unit.body}
    raise NotEncodable(
        f"{type(unit).__name__} cannot be built; split_unit() splits a built unit", element="nnr_unit_type"
    )
