# SPDX-License-Identifier: Apache-2.0
"""Class, path, element and bit offset of the error for units with one fault."""

import time
import tracemalloc

import pytest

from nnr_codec.errors import (
    BitstreamError,
    LimitExceeded,
    MalformedBitstream,
    TruncatedBitstream,
    UnsupportedBitstream,
)
from nnr_codec.model import (
    DataUnit,
    DataUnitHeader,
    Limits,
    ModelParameterSet,
    StartUnit,
    TopologyCompressionFormat,
    TopologyStorageFormat,
    TopologyUnit,
)
from nnr_codec.syntax import (
    SyntaxState,
    Trace,
    build_tree,
    build_unit,
    iter_unit_spans,
    iter_units,
    parse_tree,
    parse_unit,
    split_unit,
)

PROFILE_0 = SyntaxState(general_profile_idc=0)
PROFILE_1 = SyntaxState(general_profile_idc=1)
NDU = {
    "nnr_unit_type": 5,
    "independently_decodable_flag": 1,
    "partial_data_counter_present_flag": 0,
    "nnr_compressed_data_unit_payload_type": 1,
    "nnr_multiple_topology_elements_present_flag": 0,
    "nnr_decompressed_data_format_present_flag": 0,
    "input_parameters_present_flag": 0,
    "topology_elem_id": "w",
    "codebook_present_flag": 0,
    "dq_flag": 0,
    "nnr_compressed_data_unit_payload": b"",
}
DIMENSIONS = {
    "input_parameters_present_flag": 1,
    "tensor_dimensions_flag": 1,
    "cabac_unary_length_flag": 0,
    "compressed_parameter_types": 0,
}


def refusal(stream: bytes, state: SyntaxState, limits: Limits | None = None) -> BitstreamError:
    (span,) = iter_unit_spans(stream, limits)
    with pytest.raises(BitstreamError) as caught:
        parse_unit(stream, span, state, limits=limits)
    return caught.value


def check(
    error: BitstreamError, kind: type[BitstreamError], path: str, bit_offset: int, element: str | None = None
) -> None:
    assert type(error) is kind, error
    assert (error.path, error.bit_offset) == (path, bit_offset)
    assert error.element == (element or path.rpartition(".")[2].partition("[")[0])
    assert error.clause


def test_reserved_bits_are_zero() -> None:
    error = refusal(bytes.fromhex("0008060000800080"), SyntaxState(general_profile_idc=0))
    assert type(error) is MalformedBitstream  # bytes behind the alignment
    error = refusal(bytes.fromhex("0006 06 00 01 80"), PROFILE_0)
    check(error, MalformedBitstream, "nnr_unit[0].nnr_reserved_zero_7bits", 33)
    error = refusal(bytes.fromhex("0006 06 00 02 80"), PROFILE_1)
    check(error, MalformedBitstream, "nnr_unit[0].nnr_reserved_zero_2bits", 38)
    error = refusal(bytes.fromhex("0006 06 00 04 80"), PROFILE_1)
    check(error, MalformedBitstream, "nnr_unit[0].nnr_reserved_zero_1bit", 37)
    error = refusal(bytes.fromhex("0006 0a 00 01 80"), PROFILE_1)
    check(error, MalformedBitstream, "nnr_unit[0].nnr_reserved_zero_1bit_2", 39, "nnr_reserved_zero_1bit")


def test_byte_alignment_has_its_pattern() -> None:
    error = refusal(bytes.fromhex("0006 06 00 00 81"), PROFILE_0)
    check(error, MalformedBitstream, "nnr_unit[0].byte_alignment", 40)
    error = refusal(build_tree({**NDU, "byte_alignment": 0b100001}, PROFILE_0), PROFILE_0)
    check(error, MalformedBitstream, "nnr_unit[0].byte_alignment", 50)


def test_bytes_behind_the_last_element() -> None:
    check(
        refusal(bytes.fromhex("0005 02 01 00"), SyntaxState()),
        MalformedBitstream,
        "nnr_unit[0]",
        32,
        "nnr_unit_size",
    )


def test_profiles_to_come_are_unsupported() -> None:
    check(
        refusal(bytes.fromhex("00040202"), SyntaxState()),
        UnsupportedBitstream,
        "nnr_unit[0].general_profile_idc",
        24,
    )


def test_order_of_units() -> None:
    start, mps = build_unit(StartUnit(1), SyntaxState()), build_unit(ModelParameterSet(), PROFILE_1)
    ndu = build_unit(DataUnit(DataUnitHeader(("w",))), PROFILE_1)
    for stream, index in ((mps, 0), (start + start, 1), (start + mps + mps, 2), (start + ndu + mps, 2)):
        with pytest.raises(MalformedBitstream) as caught:
            list(iter_units(stream))
        spans = list(iter_unit_spans(stream))
        check(
            caught.value,
            MalformedBitstream,
            f"nnr_unit[{index}].nnr_unit_type",
            8 * spans[index].byte_offset + 16,
        )
    assert [unit for _, unit, _ in iter_units(start + mps + ndu)][1] == ModelParameterSet()


@pytest.mark.parametrize(
    ("stream", "kind", "path", "bit_offset"),
    [
        ("", MalformedBitstream, "nnr_bitstream", 0),
        ("00", TruncatedBitstream, "nnr_unit[0].nnr_unit_size", 1),
        ("0002", MalformedBitstream, "nnr_unit[0].nnr_unit_size", 1),
        ("000202", MalformedBitstream, "nnr_unit[0].nnr_unit_size", 1),
        ("0000ff", MalformedBitstream, "nnr_unit[0].nnr_unit_size", 1),
        ("8000000402", MalformedBitstream, "nnr_unit[0].nnr_unit_size", 1),
        ("00050201", TruncatedBitstream, "nnr_unit[0].nnr_unit_size", 1),
        ("0003fc 0004", TruncatedBitstream, "nnr_unit[1].nnr_unit_size", 25),
    ],
)
def test_sizes_of_units(stream: str, kind: type[BitstreamError], path: str, bit_offset: int) -> None:
    with pytest.raises(BitstreamError) as caught:
        list(iter_unit_spans(bytes.fromhex(stream)))
    assert type(caught.value) is kind
    assert (caught.value.path, caught.value.bit_offset) == (path, bit_offset)


def test_limits_of_the_stream() -> None:
    stream = bytes.fromhex("0003fc") * 4
    for limits, bit_offset in (
        (Limits(max_units=2), 48),
        (Limits(max_unit_bytes=2), 0),
        (Limits(max_stream_bytes=11), 0),
    ):
        with pytest.raises(LimitExceeded) as caught:
            list(iter_unit_spans(stream, limits))
        assert caught.value.bit_offset == bit_offset


@pytest.mark.parametrize(
    ("changes", "path", "bit_offset"),
    [
        (
            {"nnr_compressed_data_unit_payload_type": 4, "dq_flag": None, "codebook_present_flag": None},
            "payload_type",
            24,
        ),
        (
            {"nnr_decompressed_data_format_present_flag": 1, "nnr_decompressed_data_format": 10},
            "nnr_decompressed_data_format",
            50,
        ),
        (
            {
                **DIMENSIONS,
                "count_tensor_dimensions": 2,
                "tensor_dimensions": [1, 1],
                "scan_order": 5,
                "cabac_entry_point": [],
            },
            "scan_order",
            76,
        ),
    ],
)
def test_values_that_the_format_does_not_have(changes: dict[str, object], path: str, bit_offset: int) -> None:
    tree = {name: value for name, value in {**NDU, **changes}.items() if value is not None}
    error = refusal(build_tree(tree, PROFILE_0), PROFILE_0)
    assert type(error) is MalformedBitstream
    assert error.path is not None
    assert error.path.endswith(path)
    assert error.bit_offset == bit_offset


def test_text_is_utf_8() -> None:
    stream = build_tree({**NDU, "topology_elem_id": "a\udcff"}, PROFILE_0)
    assert b"a\xff\0" in stream
    check(refusal(stream, PROFILE_0), MalformedBitstream, "nnr_unit[0].topology_elem_id", 32)
    (span,) = iter_unit_spans(stream)
    assert build_tree(parse_tree(stream, span, PROFILE_0), PROFILE_0) == stream


def test_the_mapping_nobody_knows_is_unsupported() -> None:
    # Two elements outside a block: nobody knows which dimensions are whose.
    stream = bytes.fromhex("0010 16 0d 80 80 6100 6200 00 0000000000")
    path = "nnr_unit[0].nnr_multiple_topology_elements_present_flag"
    check(refusal(stream, PROFILE_0), UnsupportedBitstream, path, 29)


def with_dimensions(*dimensions: int) -> bytes:
    tree = {
        **NDU,
        **DIMENSIONS,
        "count_tensor_dimensions": len(dimensions),
        "tensor_dimensions": list(dimensions),
    }
    if len(dimensions) > 1:
        tree["scan_order"] = 0
    return build_tree(tree, PROFILE_0)


def test_claims_are_refused_before_anything_is_allocated() -> None:
    deep = Limits(max_tensor_elements=None, max_total_elements=None)
    huge = with_dimensions(1 << 30, 1 << 30)
    book = {
        "codebook_egk": 0,
        "codebook_size": 1 << 31,
        "codebook_center_offset": 0,
        "codebook_zero_value": 0,
    }
    bits = bytes.fromhex("0020 16 08 7700") + b"\x80" + b"\0" * 25
    tracemalloc.start()
    started = time.process_time()
    check(refusal(huge, PROFILE_0), LimitExceeded, "nnr_unit[0].tensor_dimensions", 60)
    check(refusal(huge, PROFILE_0, deep), LimitExceeded, "nnr_unit[0].tensor_dimensions", 60)
    check(
        refusal(with_dimensions(*[1] * 33), PROFILE_0),
        LimitExceeded,
        "nnr_unit[0].count_tensor_dimensions",
        56,
    )
    assert type(refusal(bits, PROFILE_0)) in (MalformedBitstream, TruncatedBitstream)
    elapsed, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert elapsed < 0.5
    assert peak < 1 << 20
    assert book["codebook_size"] > (Limits().max_codebook_size or 0)


def test_a_count_beyond_the_unit_ends_at_the_first_entry_missing() -> None:
    # A list of topology elements by name: its count is 2^16 - 2, and two bytes follow, which are one name.
    tree = bytes.fromhex("000c 16 1c")
    count = (1 << 16) - 2 + 128
    digits = f"{count:b}".rjust(2 * count.bit_length() - 8, "0")
    pad = "1".ljust(-len(digits) % 8 or 8, "0")
    body = int(digits + pad, 2).to_bytes((len(digits) + len(pad)) // 8, "big") + b"a\0"
    stream = (2 + 2 + len(body)).to_bytes(2, "big") + tree[2:] + body
    error = refusal(stream, PROFILE_0)
    assert type(error) is TruncatedBitstream
    assert error.path == "nnr_unit[0].topology_elements_ids_list.topology_elem_id_list[1]"
    assert error.bit_offset == 8 * len(stream)


def test_a_codebook_has_its_zero_inside() -> None:
    book = {
        "codebook_egk": 0,
        "codebook_size": 4,
        "codebook_center_offset": -3,
        "codebook_zero_value": 0,
        "codebook_delta_left": [],
        "codebook_delta_right": [0] * 4,
    }
    stream = build_tree({**NDU, "codebook_present_flag": 1, "codebook": book}, PROFILE_0)
    check(refusal(stream, PROFILE_0), MalformedBitstream, "nnr_unit[0].codebook.codebook_center_offset", 58)
    book |= {"codebook_center_offset": 0, "codebook_zero_value": (1 << 31) - 1, "codebook_delta_left": [0, 0]}
    book["codebook_delta_right"] = [0]
    stream = build_tree({**NDU, "codebook_present_flag": 1, "codebook": book}, PROFILE_0)
    check(refusal(stream, PROFILE_0), MalformedBitstream, "nnr_unit[0].codebook.codebook_zero_value", 61)


def test_a_codebook_beyond_the_limit() -> None:
    book = {
        "codebook_egk": 0,
        "codebook_size": 5,
        "codebook_center_offset": 0,
        "codebook_zero_value": 0,
        "codebook_delta_left": [0, 0],
        "codebook_delta_right": [0, 0],
    }
    stream = build_tree({**NDU, "codebook_present_flag": 1, "codebook": book}, PROFILE_0)
    error = refusal(stream, PROFILE_0, Limits(max_codebook_size=4))
    check(error, LimitExceeded, "nnr_unit[0].codebook.codebook_size", 53)


def test_a_deflate_bomb() -> None:
    bomb = TopologyUnit(TopologyStorageFormat.NNR_TPL_NNEF, TopologyCompressionFormat.NNR_DFL, bytes(1 << 20))
    stream = build_unit(bomb, PROFILE_1)
    error = refusal(stream, PROFILE_1, Limits(max_topology_bytes=1000))
    check(error, LimitExceeded, "nnr_unit[0].topology_data", 40)
    for damaged, kind in ((stream[5:-4], TruncatedBitstream), (b"\x78\x9c\xff\xff", MalformedBitstream)):
        unit = bytes([0, 5 + len(damaged)]) if len(damaged) < 200 else (5 + len(damaged)).to_bytes(2, "big")
        assert type(refusal(unit + stream[2:5] + damaged, PROFILE_1)) is kind


def test_a_name_beyond_the_limit() -> None:
    stream = build_unit(DataUnit(DataUnitHeader(("w" * 100,))), PROFILE_1)
    error = refusal(stream, PROFILE_1, Limits(max_name_bytes=99))
    check(error, LimitExceeded, "nnr_unit[0].topology_elem_id", 32)


def test_damage_keeps_what_was_read() -> None:
    stream = build_unit(DataUnit(DataUnitHeader(("w",), tensor_dimensions=(1, 2, 3))), PROFILE_1)
    cut = (len(stream) - 3).to_bytes(2, "big") + stream[2:-3]
    (span,) = iter_unit_spans(cut)
    trace = Trace()
    with pytest.raises(TruncatedBitstream) as caught:
        parse_tree(cut, span, PROFILE_1, trace=trace)
    assert trace[-1].fault is caught.value
    assert trace[-1].value is None
    assert sum(event.n_bits for event in trace) == 8 * len(cut)
    assert [event.fault for event in trace[:-1]] == [None] * (len(trace) - 1)


def test_forbidden_values_are_shown_and_built_again() -> None:
    stream = build_tree({**NDU, "byte_alignment": 0}, PROFILE_0)
    (span,) = iter_unit_spans(stream)
    trace = Trace()
    tree = parse_tree(stream, span, PROFILE_0, trace=trace)
    assert tree["byte_alignment"] == 0
    assert [event.element for event in trace if event.fault] == ["byte_alignment"]
    assert build_tree(tree, PROFILE_0) == stream


def test_parts_are_joined() -> None:
    payload = bytes(range(100))
    start = build_unit(StartUnit(0), SyntaxState())
    whole = build_unit(DataUnit(DataUnitHeader(("w",)), payload), PROFILE_0)
    parts = split_unit(whole, 100, 30)
    assert [part[3] for part in parts] == [3, 2, 1, 0]
    (_, unit, _) = list(iter_units(start + b"".join(parts)))[1]
    assert isinstance(unit, DataUnit)
    assert unit.payload == payload
    for bad, kind in (
        (parts[:-1], TruncatedBitstream),
        (parts[::-1], MalformedBitstream),
        ([parts[0], *parts[2:]], MalformedBitstream),
        ([parts[0], whole], MalformedBitstream),
        (
            [
                parts[0],
                *split_unit(build_unit(DataUnit(DataUnitHeader(("v",)), payload), PROFILE_0), 100, 30)[1:],
            ],
            MalformedBitstream,
        ),
    ):
        with pytest.raises(kind) as caught:
            list(iter_units(start + b"".join(bad)))
        assert caught.value.element == "partial_data_counter"
