# SPDX-License-Identifier: Apache-2.0
"""The walks over the one declaration: parse, build, trace; and between trees and what they mean.

The tree is the raw level: nested dicts and lists of ``{element: value}`` just as written, forbidden
values included.
The unit is the meaning, and everything the format demands holds for it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from nnr_codec.errors import BitstreamError, MalformedBitstream, NotEncodable
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
from nnr_codec.syntax.data_unit_meaning import data_unit, data_unit_header, data_unit_tree
from nnr_codec.syntax.grammar import Tree
from nnr_codec.syntax.layer_parameter_set import layer_parameter_set, layer_parameter_set_tree
from nnr_codec.syntax.model_parameter_set import model_parameter_set, model_parameter_set_tree
from nnr_codec.syntax.plain_builder import build_plainly
from nnr_codec.syntax.plain_parser import parse_plainly
from nnr_codec.syntax.quantization_unit import quantization_unit, quantization_unit_tree
from nnr_codec.syntax.start_unit import start_unit, start_unit_tree
from nnr_codec.syntax.state import SyntaxState, check_tensor_sizes
from nnr_codec.syntax.stream import UnitSpan, size_field
from nnr_codec.syntax.streams import SyntaxReader, SyntaxWriter
from nnr_codec.syntax.topology_unit import topology_unit, topology_unit_tree
from nnr_codec.syntax.trace import Trace
from nnr_codec.syntax.unit import NNR_UNIT

_DEFAULT_LIMITS = Limits()
#: A size of 31 bits that is not known yet: four bytes, which `size_field` replaces.
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
        Where the unit is.
    state : SyntaxState
        What the units before said.
    limits : Limits, optional
    strict : bool
        Whether values that the format forbids raise; else they are only marked in the trace.
    trace : Trace, optional
        Receives an event for each element, in stream order; what came before a fault stays in it.

    Returns
    -------
    dict
        Nested plain dicts and lists. Bytes up to the unit's end are views of ``buffer``.

    Raises
    ------
    BitstreamError
        When the elements cannot be told apart, or when strict.
    """
    return _parse(_reader(buffer, span, limits or _DEFAULT_LIMITS, strict, trace), span, state)


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
    """Parse a unit and check everything that can be checked before its payload is decoded.

    Parameters
    ----------
    buffer, span, state, trace, limits
        As in `parse_tree`.
    stream_bytes : int, optional
        What max_expansion_ratio is measured against, where it is not the size of ``buffer``.

    Returns
    -------
    Unit
        Of the dataclass of its type. Payloads and bodies are views of ``buffer``.

    Raises
    ------
    BitstreamError
        With path, absolute bit offset, element and clause.
    """
    limits = limits or _DEFAULT_LIMITS
    try:
        state.check_order(span.nnr_unit_type)
        tree = None
        # Of other units there are few.
        if trace is None and span.nnr_unit_type == NnrUnitType.NNR_NDU:
            end = span.byte_offset + span.size_bytes
            tree = parse_plainly(memoryview(buffer), span.byte_offset, end, span.nnr_unit_type, state, limits)
        if tree is None:
            tree = _parse(_reader(buffer, span, limits, True, trace), span, state)
        unit = _meaning(tree, limits)
        if isinstance(unit, DataUnit):
            state.check_size(
                unit.header, memoryview(buffer).nbytes if stream_bytes is None else stream_bytes, limits
            )
    except BitstreamError as error:
        if error.bit_offset is None:
            locate(error, buffer, span, state, limits)
        raise
    return unit


def check_header(buffer: Any, span: UnitSpan, state: SyntaxState, limits: Limits) -> Tree:
    """Parse a unit that is a part or stands between parts, and check what its header says by itself.

    Raises
    ------
    BitstreamError
        With path, absolute bit offset, element and clause.
    """
    try:
        tree = _parse(_reader(buffer, span, limits, True, None), span, state)
        if span.nnr_unit_type == NnrUnitType.NNR_NDU:
            check_tensor_sizes(data_unit_header(tree), limits)
    except BitstreamError as error:
        if error.bit_offset is None:
            locate(error, buffer, span, state, limits)
        raise
    return tree


def locate(error: BitstreamError, buffer: Any, span: UnitSpan, state: SyntaxState, limits: Limits) -> None:
    """Complete an error about a value's meaning with the place of the element: only a trace knows it."""
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

    Whatever can be written is written, forbidden values too, unless ``strict``. Reserved bits and byte
    alignments that
    are not given get the value that the format wants, and so does the size.

    Raises
    ------
    NotEncodable
        With path and element, when an element is missing, has no place, or has a value that its bits
        cannot hold.
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
        For a data unit the payload is written as it is.
    state : SyntaxState
        What the units before say.

    Raises
    ------
    NotEncodable
        With path and element, when the format has no way to say it.
    """
    kind, tree = _elements(unit, state)
    tree["nnr_unit_type"] = int(kind)
    tree["independently_decodable_flag"] = int(unit.independently_decodable_flag)
    tree["partial_data_counter_present_flag"] = 0
    # Of other units there are few.
    if kind == NnrUnitType.NNR_NDU:
        built = build_plainly({**tree, **_UNSIZED}, kind, state)
        if built is not None:
            head, payload = built
            # Joined once: the payload may be large.
            return b"".join((size_field(len(head) - 4 + len(payload)), memoryview(head)[4:], payload))
    return build_tree(tree, state, strict=True)


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
            raise NotEncodable("this type of unit is known", element="nnr_unit_type")
        return unit.nnr_unit_type, {"nnr_unit_payload": unit.body}
    raise NotEncodable(
        f"{type(unit).__name__} is not built: split_unit() cuts a built unit", element="nnr_unit_type"
    )
