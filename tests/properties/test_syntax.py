# SPDX-License-Identifier: Apache-2.0
"""Properties of the grammar, over random streams generated from its declaration."""

import math
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from nnr_codec import encode
from nnr_codec.errors import BitstreamError, InternalError, MalformedBitstream, NnrError, NotEncodable
from nnr_codec.model import DataUnit, DataUnitHeader, Limits, ModelParameterSet, NnrUnitType, StartUnit
from nnr_codec.syntax import (
    NNR_UNIT,
    JoinedUnitSpan,
    SyntaxState,
    Trace,
    UnitSpan,
    build_tree,
    build_unit,
    generated,
    iter_unit_spans,
    iter_units,
    parse_tree,
    parse_unit,
)
from nnr_codec.syntax.descriptors import bs, byte_alignment, flt, i, ie, st, u, ue, unsupported
from nnr_codec.syntax.element import Element
from nnr_codec.syntax.grammar import Check, Choice, Derived, IfPresent, Repeat, Syntax
from tools.damage import units

STATES = [
    SyntaxState(general_profile_idc=profile).after(
        ModelParameterSet(topology_indexed_reference_flag=indexed, parent_signalling_enabled_flag=parents)
    )
    for profile, indexed, parents in ((0, False, False), (0, True, False), (1, False, True), (1, True, False))
]

#: Keys that elements elsewhere have.
FIELDS = ("general_profile_idc", "dq_flag", "nnr_reserved_zero_7bits", "nnr_unit_payload")


def value_of(element: Element, scope: dict[str, Any], draw: Any) -> Any:
    """Draw a value that the element can hold; not always one that the format allows."""
    if isinstance(element, u):
        n_bits = element._size(scope)
        most = (1 << n_bits) - 1
        if n_bits == 8 and "count" in (element.name or ""):
            most = 3
        return draw(some.integers(0, most))
    if isinstance(element, i):
        half = 1 << (element.n_bits - 1)
        return draw(some.integers(-half, half - 1))
    if isinstance(element, ue):
        return draw(
            some.integers(0, 4 if element.limit or "count" in (element.name or "") else element.maximum)
        )
    if isinstance(element, ie):
        return draw(
            some.integers(-3, 3)
            if "center" in (element.name or "")
            else some.integers(-(1 << 31) + 1, 1 << 31 - 1)
        )
    if isinstance(element, flt):
        return draw(some.floats(width=32, allow_nan=False))
    if isinstance(element, st):
        return draw(some.text(some.characters(exclude_characters="\0", codec="utf-8"), max_size=5))
    assert isinstance(element, bs)
    return draw(some.binary(max_size=9))


def draw_table(table: Syntax, scope: dict[str, Any], draw: Any, tree: dict[str, Any]) -> dict[str, Any]:
    scope.update(table.inferred)
    for member in table.members:
        if isinstance(member, byte_alignment | unsupported):
            continue
        if isinstance(member, Check):
            member.demand(scope)
            continue
        if isinstance(member, Element):
            if (member.key or "") not in ("nnr_unit_size", "nnr_unit_size_flag"):
                tree[member.key or ""] = scope[member.name or ""] = value_of(member, scope, draw)
        elif isinstance(member, IfPresent | Choice):
            chosen = member.choose(scope)
            if chosen is not None:
                draw_table(chosen, scope, draw, tree)
        elif isinstance(member, Derived):
            scope[member.name] = member.formula(scope)
        elif isinstance(member, Repeat):
            tree[member.key or ""] = scope[member.name or ""] = [
                draw_entry(member, scope, draw, index) for index in range(max(0, member.count(scope)))
            ]
        else:
            tree[member.key] = draw_table(member, scope, draw, {})
    return tree


def draw_entry(member: Repeat, scope: dict[str, Any], draw: Any, index: int) -> Any:
    if member.index:
        scope[member.index] = index
    if isinstance(member.subcon, Element):
        return value_of(member.subcon, scope, draw)
    return draw_table(member.subcon, scope, draw, {})


def without_alignment(tree: Any) -> Any:
    if isinstance(tree, list):
        return [without_alignment(entry) for entry in tree]
    if isinstance(tree, dict):
        return {name: without_alignment(value) for name, value in tree.items() if name != "byte_alignment"}
    return tree


@some.composite
def drawn(draw: Any) -> tuple[SyntaxState, dict[str, Any]]:
    state = draw(some.sampled_from(STATES))
    for _ in range(100):
        try:
            return state, draw_table(NNR_UNIT, state.variables(), draw, {})
        except NnrError:
            continue
    raise AssertionError


RELAXED = settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=300)


@RELAXED
@given(drawn())
def test_parsing_inverts_building(case: tuple[SyntaxState, dict[str, Any]]) -> None:
    state, tree = case
    try:
        octets = build_tree(tree, state)
    except NnrError as error:
        assert "not implemented" in str(error) or error.element == "topology_tensor_dimension_mapping"
        return
    (span,) = iter_unit_spans(octets)
    trace = Trace()
    parsed = parse_tree(octets, span, state, trace=trace)
    assert build_tree(parsed, state) == octets
    parsed = without_alignment(parsed)
    assert {name: parsed[name] for name in tree} == tree
    assert sum(event.n_bits for event in trace) == 8 * len(octets)
    try:
        unit = parse_unit(octets, span, state)
    except NnrError as error:
        assert not isinstance(error, InternalError)
        assert error.bit_offset is not None
        return
    if not tree["partial_data_counter_present_flag"]:
        again = build_unit(unit, state)
        (span,) = iter_unit_spans(again)
        assert parse_unit(again, span, state) == unit


@RELAXED
@given(drawn(), some.data())
def test_the_generated_parser_agrees_with_the_tables(
    case: tuple[SyntaxState, dict[str, Any]], data: Any
) -> None:
    state, tree = case
    try:
        octets = bytearray(build_tree(tree, state))
    except NnrError:
        return
    for _ in range(data.draw(some.integers(0, 2))):
        octets[data.draw(some.integers(2, len(octets) - 1))] ^= 1 << data.draw(some.integers(0, 7))
    keep = data.draw(some.one_of(some.just(len(octets)), some.integers(1, len(octets))))
    kind = octets[4 if octets[0] & 0x80 else 2] >> 2 if keep > 4 else 5
    limits = data.draw(some.sampled_from([Limits(), Limits.none(), Limits(max_names=3, max_name_bytes=2)]))
    assert units.disagreement(bytes(octets[:keep]), kind, state, limits) is None


def test_the_generated_parser_agrees_on_damaged_vectors() -> None:
    counts = units.compare(every=199)
    assert counts["units"] > 3500
    assert counts["cases"] > 1500
    assert counts["disagreements"] == 0


def test_a_disagreement_of_the_parsers_is_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = bytes(encode({"w": np.ones((3, 4), np.float32)}))
    fault = generated.Fault(MalformedBitstream, 8, "nnr_unit_size")
    monkeypatch.setattr(generated, "parse", lambda *_: fault)
    with pytest.raises(InternalError, match="the tables None"):
        list(iter_units(stream))
    with pytest.raises(InternalError, match="TruncatedBitstream"):
        parse_tree(b"\x00\x03", UnitSpan(0, 0, 2, 0), SyntaxState(), strict=True)


def test_threads_parse_with_states_of_their_own() -> None:
    unit = DataUnit(DataUnitHeader(("w",), tensor_dimensions=(4,)), b"abcd")
    states = [SyntaxState().after(StartUnit(profile)) for profile in (0, 1)]
    octets = [build_unit(unit, state) for state in states]

    def parse_often(profile: int) -> bool:
        expected = generated.parse(octets[profile], 0, len(octets[profile]), states[profile], Limits())
        assert ("node_id_present_flag" in expected) == (profile == 1)
        return all(
            generated.parse(octets[profile], 0, len(octets[profile]), states[profile], Limits()) == expected
            for _ in range(500)
        )

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(2) as pool:
            assert all(pool.map(parse_often, (0, 1)))
    finally:
        sys.setswitchinterval(interval)


def test_a_payload_is_a_view_of_the_stream() -> None:
    stream = bytearray(encode({"w": np.arange(12, dtype=np.float32).reshape(3, 4)}))
    *_, (_, unit, _) = iter_units(stream)
    assert isinstance(unit, DataUnit)
    payload = memoryview(unit.payload)
    before = bytes(payload)
    stream[-len(before) :] = bytes(len(before))
    assert payload.obj is stream
    assert bytes(payload) == bytes(len(before)) != before


@pytest.mark.parametrize("shape", [(3,), (2, 5)])
def test_a_payload_of_any_buffer_is_as_long_as_its_bytes(shape: tuple[int, ...]) -> None:
    words = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
    header = DataUnitHeader(topology_elem_ids=("w",), tensor_dimensions=(4,))
    expected = build_unit(DataUnit(header=header, payload=words.tobytes()), SyntaxState())
    assert build_unit(DataUnit(header=header, payload=memoryview(words)), SyntaxState()) == expected


def test_a_payload_that_skips_bytes_cannot_be_written() -> None:
    header = DataUnitHeader(topology_elem_ids=("w",), tensor_dimensions=(4,))
    with pytest.raises(NotEncodable):
        build_unit(DataUnit(header=header, payload=memoryview(bytes(24))[::2]), SyntaxState())


def check_builders(tree: dict[str, Any], state: SyntaxState) -> bytes | None:
    """Compare the two builders over one unit; returns its bytes, or None if it is refused."""
    try:
        expected = build_tree(tree, state, strict=True)
    except NotEncodable:
        expected = None
    assert generated.build(tree, state) == expected
    return expected


def test_the_size_field_is_the_shortest() -> None:
    state = SyntaxState().after(StartUnit())
    forms = set()
    for payload_bytes in range((1 << 15) - 24, 1 << 15):
        unit = DataUnit(DataUnitHeader(("w",), tensor_dimensions=(4,)), bytes(payload_bytes))
        octets = build_unit(unit, state)
        tree = parse_tree(octets, *iter_unit_spans(octets), state)
        del tree["nnr_unit_size_flag"], tree["nnr_unit_size"]
        assert octets == build_tree(tree, state)
        forms.add((octets[0] >> 7, len(octets) < 1 << 15))
    assert forms == {(0, True), (1, False)}


@RELAXED
@given(drawn(), some.data())
def test_the_generated_builder_agrees_with_the_tables(
    case: tuple[SyntaxState, dict[str, Any]], data: Any
) -> None:
    state, tree = case
    tables = [tree, *(value for value in tree.values() if isinstance(value, dict))]
    change = data.draw(some.sampled_from(["nothing", "one less", "one more", "another value"]))
    table = data.draw(some.sampled_from(tables))
    key = data.draw(some.sampled_from([name for name in table if name != "nnr_unit_type"] or ["none"]))
    if change == "one less":
        table.pop(key, None)
    elif change == "one more":
        table[data.draw(some.sampled_from(["no_such_element", "byte_alignment", *FIELDS]))] = 0
    elif change == "another value":
        values = [-1, 1 << 31, 1 << 40, 1 << 300, None, True, "text", "\0", "\udc80", 0.5, 1e300]
        table[key] = data.draw(some.sampled_from([*values, [0], b"", b"four", {}, np.int64(1)]))
    check_builders(tree, state)


def test_the_generated_builder_builds_what_vectors_hold() -> None:
    n_units: Counter[int] = Counter()
    for path in sorted((Path(__file__).parents[2] / "conformance" / "suites").rglob("*.nnc")):
        stream = path.read_bytes()
        try:
            for span, _, state in iter_units(stream):
                if isinstance(span, JoinedUnitSpan):
                    continue
                octets = stream[span.byte_offset : span.byte_offset + span.size_bytes]
                tree = parse_tree(octets, replace(span, byte_offset=0), state, strict=True)
                assert check_builders(tree, state) == octets
                del tree["nnr_unit_size_flag"], tree["nnr_unit_size"]
                assert check_builders(tree, state) is not None
                n_units[span.nnr_unit_type] += 1
        except BitstreamError:
            continue  # of an invalid vector, what precedes the fault
    assert n_units.total() > 3500
    assert set(n_units) >= set(NnrUnitType)


@RELAXED
@given(some.binary(max_size=60), some.sampled_from(STATES), some.integers(0, 63))
def test_any_bytes_are_a_unit_or_an_error(body: bytes, state: SyntaxState, kind: int) -> None:
    octets = (len(body) + 3).to_bytes(2, "big") + bytes([kind << 2]) + body
    (span,) = iter_unit_spans(octets)
    trace = Trace()
    try:
        parse_unit(octets, span, state)
    except NnrError as error:
        assert not isinstance(error, InternalError)
        assert error.path is not None
        assert error.path.startswith("nnr_unit[0]")
        assert 0 <= (error.bit_offset or 0) <= 8 * len(octets)
        assert error.clause
    try:
        tree = parse_tree(octets, span, state, trace=trace)
    except NnrError as error:
        assert trace[-1].fault is error
    else:
        claimed = sum(event.n_bits for event in trace)
        assert build_tree(tree, state) == octets[: claimed // 8]


@RELAXED
@given(some.binary(max_size=100))
def test_any_bytes_are_a_stream_or_an_error(octets: bytes) -> None:
    try:
        list(iter_units(b"\x00\x04\x02\x01" + octets))
    except NnrError as error:
        assert not isinstance(error, InternalError)
        assert error.bit_offset is not None
