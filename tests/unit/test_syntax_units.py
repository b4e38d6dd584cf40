# SPDX-License-Identifier: Apache-2.0
"""Exact bits of every unit type, written out by hand."""

from dataclasses import replace

import pytest

from nnr_codec.errors import NotEncodable
from nnr_codec.model import (
    AggregateUnit,
    AnyUnit,
    Codebook,
    CompressedParameterTypes,
    DataUnit,
    DataUnitHeader,
    DecompositionPerformance,
    DecompressedDataFormat,
    EntryPoint,
    LayerParameterSet,
    ModelParameterSet,
    NodeId,
    ParentNode,
    ParentNodeIdType,
    PayloadType,
    PerformanceMaps,
    PruningPerformance,
    Quantization,
    QuantizationMethods,
    QuantizationUnit,
    SparsificationPerformance,
    StartUnit,
    TopologyCompressionFormat,
    TopologyStorageFormat,
    TopologyUnit,
    UnificationPerformance,
    UnknownUnit,
)
from nnr_codec.syntax import (
    SyntaxState,
    Trace,
    build_tree,
    build_unit,
    iter_unit_spans,
    parse_tree,
    parse_unit,
)

PROFILE_0 = SyntaxState(general_profile_idc=0)
PROFILE_1 = SyntaxState(general_profile_idc=1)
PARENTS = PROFILE_1.after(ModelParameterSet(parent_signalling_enabled_flag=True))
INDEXED = replace(
    PROFILE_0.after(ModelParameterSet(topology_indexed_reference_flag=True)),
    reference_list=tuple(map(str, range(300))),
)
USES_QSU = QuantizationMethods.NNR_QSU


def octets(*fields: str) -> bytes:
    """Bits as binary digits, bytes as 0x..., text in quotes with its zero byte."""
    digits = ""
    for field in fields:
        for piece in field.split():
            if piece.startswith("0x"):
                digits += f"{int(piece, 16):0{4 * (len(piece) - 2)}b}"
            elif piece.startswith("'"):
                digits += "".join(f"{byte:08b}" for byte in piece.strip("'").encode() + b"\0")
            else:
                digits += piece
    assert len(digits) % 8 == 0, len(digits)
    return int("1" + digits, 2).to_bytes(len(digits) // 8 + 1, "big")[1:]


def unit_bytes(kind: int, *fields: str) -> bytes:
    body = octets(f"{kind:06b} 1 0", *fields)
    return (len(body) + 2).to_bytes(2, "big") + body


def check(unit: AnyUnit, state: SyntaxState, expected: bytes) -> None:
    """The unit has these bytes, these bytes mean the unit, and every bit has a name."""
    assert build_unit(unit, state).hex(" ") == expected.hex(" ")
    (span,) = iter_unit_spans(expected)
    trace = Trace()
    assert parse_unit(expected, span, state, trace) == unit
    position = 0
    for event in trace:
        assert event.bit_offset == position, event
        assert event.clause, event
        position += event.n_bits
    assert position == 8 * len(expected)
    assert build_tree(parse_tree(expected, span, state), state) == expected


def test_start_unit() -> None:
    check(StartUnit(0), SyntaxState(), bytes.fromhex("00040200"))
    check(StartUnit(1), SyntaxState(), bytes.fromhex("00040201"))
    check(StartUnit(1, independently_decodable_flag=False), SyntaxState(), bytes.fromhex("00040001"))


def test_model_parameter_set_of_profile_0() -> None:
    check(ModelParameterSet(), PROFILE_0, unit_bytes(1, "0 0 0 0 0 000 0 0000000 0x80"))
    check(
        ModelParameterSet(
            topology_carriage_flag=True,
            quantization_methods=QuantizationMethods.NNR_QSU | QuantizationMethods.NNR_QCB,
            quantization=Quantization(3, -24),
            topology_indexed_reference_flag=True,
        ),
        PROFILE_0,
        unit_bytes(1, "1 0 0 0 0 011 1 0000000 011 1111111101000 0x80"),
    )


def test_model_parameter_set_of_profile_1() -> None:
    check(
        ModelParameterSet(
            base_model_id="b",
            validation_set_performance=0.5,
            metric_type_performance_map_valid_flag=True,
            performance_metric_type="top1",
            parent_signalling_enabled_flag=True,
            nnr_pre_flag=True,
        ),
        PROFILE_1,
        unit_bytes(1, "0 0 0 0 0 000 0 1 1 1 1 1 00 'b' 'top1' 0x0000003f 0x80"),
    )
    check(
        ModelParameterSet(quantization_methods=USES_QSU, quantization=Quantization(2, 0)),
        PROFILE_1,
        bytes.fromhex("0008 06 01 00 40 00 80"),
    )


def test_performance_maps() -> None:
    one = "0x0000803f"
    half = "0x0000003f"
    check(
        ModelParameterSet(
            performance_maps=PerformanceMaps(
                sparsification=(SparsificationPerformance(1.0, 0.5, 1.0, 3, (0.5, 1.0)),),
                pruning=(),
                decomposition=(DecompositionPerformance(1.0, 0.5, 1.0, (0.5,)),),
            )
        ),
        PROFILE_0,
        unit_bytes(
            1,
            "0 1 1 0 1 000 0 0000000",
            f"0x02 {one} {half} {one} 0x02 10000011 {half} {one}",
            "0x01",
            f"0x02 {one} {half} {one} 0x0001 {half}",
            "0x80",
        ),
    )
    check(
        LayerParameterSet(
            self_contained_flag=True,
            quantization_methods=USES_QSU,
            quantization=Quantization(7, 1),
            performance_maps=PerformanceMaps(
                pruning=(PruningPerformance(0.5, 1.0),),
                unification=(UnificationPerformance((4, 130), (2,), (), 0.5, 1.0, 1, (1.0,)),),
            ),
        ),
        PROFILE_1,
        unit_bytes(
            2,
            "1 0000000",
            "0 0 1 1 001 0 111 0000000000001",
            f"0x02 {half} {one} 0x00 10000000",
            # count 3 as ue(1), 4 and 130 as ue(7), alignment at 0100 10000100 0100000010 -> 22 bits
            "0x02 0101 10000100 0100000010 10 0x02 0x02 0x01",
            f"{half} {one} 0x01 10000001 {one}",
            "0x80",
        ),
    )


def test_layer_parameter_set() -> None:
    check(LayerParameterSet(), PROFILE_1, unit_bytes(2, "0 0000000 0 0 0 0 000 0 0x80"))


def test_topology_unit() -> None:
    check(TopologyUnit(), PROFILE_1, bytes.fromhex("0006 0e 00 00 00"))
    onnx = TopologyUnit(TopologyStorageFormat.NNR_TPL_ONNX, topology_data=b"\x08\x00\x01")
    check(onnx, PROFILE_1, unit_bytes(3, "0x02 0x00 0x08000100"))
    container = TopologyUnit(TopologyStorageFormat.NNR_TPL_PRUN, topology_data=b"\x01\x02")
    check(container, PROFILE_1, unit_bytes(3, "0x05 0x00 0x0102"))
    names = TopologyUnit(TopologyStorageFormat.NNR_TPL_REFLIST, topology_elem_ids=("a", "bc"))
    check(names, PROFILE_1, unit_bytes(3, "0x06 0x00 10000000 10000000 'a' 'bc'"))


def test_text_of_a_topology_may_lack_its_zero_byte() -> None:
    (span,) = iter_unit_spans(stream := unit_bytes(3, "0x01 0x00 0x61"))
    assert parse_unit(stream, span, PROFILE_1) == TopologyUnit(
        TopologyStorageFormat.NNR_TPL_NNEF, topology_data=b"a"
    )


@pytest.mark.parametrize("content", [b"", b"graph " * 1000, bytes(range(256))])
def test_deflated_units_come_back(content: bytes) -> None:
    deflate = TopologyCompressionFormat.NNR_DFL
    for unit in (
        TopologyUnit(TopologyStorageFormat.NNR_TPL_NNEF, deflate, content),
        QuantizationUnit(1, deflate, content),
    ):
        check(unit, PROFILE_1, build_unit(unit, PROFILE_1))


def test_quantization_unit() -> None:
    check(QuantizationUnit(9, quantization_data=b"qd"), PROFILE_1, unit_bytes(4, "0x09 0x00 'qd'"))


def test_bodies_that_are_not_looked_into() -> None:
    check(AggregateUnit(b"\x01\x02"), PROFILE_1, unit_bytes(6, "0x0102"))
    check(UnknownUnit(7, b""), PROFILE_1, unit_bytes(7))
    check(UnknownUnit(63, b"abc"), PROFILE_1, unit_bytes(63, "0x616263"))
    with pytest.raises(NotEncodable):
        build_unit(UnknownUnit(5, b""), PROFILE_1)


def data_unit(payload: bytes = b"", **fields: object) -> DataUnit:
    return DataUnit(DataUnitHeader(**fields), payload)


NAMED = {"topology_elem_ids": ("w",)}


def test_data_unit_of_profile_0() -> None:
    check(
        data_unit(b"\xaa\xbb", **NAMED),
        PROFILE_0,
        # payload type, several, format, input; name; codebook, dq; alignment
        unit_bytes(5, "00001 0 0 0 'w' 0 0 100000 0xaabb"),
    )
    check(
        data_unit(payload_type=PayloadType.NNR_PT_RAW_FLOAT, tensor_dimensions=(3,), **NAMED),
        PROFILE_0,
        # dimensions yes, unary no, types; count 1, dimension 3; alignment
        unit_bytes(5, "00010 0 0 1 'w' 1 0 0000 11 10000011 0x80"),
    )
    check(
        data_unit(payload_type=PayloadType.NNR_PT_INT, dq_flag=True, cabac_unary_length=1, **NAMED),
        PROFILE_0,
        unit_bytes(5, "00000 0 0 1 'w' 1 0 1 0000 0x00 1"),
    )


def test_data_unit_by_index() -> None:
    check(
        data_unit(topology_elem_id_indices=(130,)), INDEXED, unit_bytes(5, "00001 0 0 0 0100000010 0 0 1000")
    )
    check(
        data_unit(
            topology_elem_id_indices=(1, 2),
            payload_type=PayloadType.NNR_PT_BLOCK,
            compressed_parameter_types=CompressedParameterTypes.BI,
        ),
        INDEXED,
        unit_bytes(5, "00011 1 0 1 10000000 10000001 10000010 10000000 0 0 0 0 1000 0x80"),
    )


def test_scan_order_and_entry_points() -> None:
    fields = {"tensor_dimensions": (20, 2), "scan_order": 1, "dq_flag": True, **NAMED}
    points = (EntryPoint(100, 7, 5), EntryPoint(203, 255, 1))
    check(
        data_unit(entry_points=points, **fields),
        PROFILE_0,
        unit_bytes(
            5,
            "00001 0 0 1 'w' 0 1 1 0 0000 0100 10010100 10000010 0001",
            "0x07 101 100001100100",  # ue(11) of 100
            "0xff 001 10000101",  # ie(7): the difference grows by 3, folded to 5
            "100000",
        ),
    )
    with pytest.raises(NotEncodable) as caught:
        build_unit(data_unit(entry_points=points[:1], **fields), PROFILE_0)
    assert caught.value.element == "cabac_entry_point"


def test_codebook() -> None:
    check(
        data_unit(codebook=Codebook((-5, -1, 0, 2), 2, 0), **NAMED),
        PROFILE_0,
        # egk, size 4 as ue(2), offset 0 as ie(2), zero value 0 as ie(7); gaps 0, 3 leftwards and 1 rightwards
        unit_bytes(5, "00001 0 0 0 'w' 1 0000 01000 100 10000000 1 00100 010 0 1"),
    )
    shortest = build_unit(data_unit(codebook=Codebook((0, 100, 200), 0), **NAMED), PROFILE_0)
    (span,) = iter_unit_spans(shortest)
    assert parse_tree(shortest, span, PROFILE_0)["codebook"]["codebook_egk"] == 7
    with pytest.raises(NotEncodable):
        build_unit(data_unit(codebook=Codebook((1, 1), 0), **NAMED), PROFILE_0)


def test_node_and_parent_ids() -> None:
    node = NodeId(1, 31, 17)
    node_bits = "1 11 111111 0100001"
    # A tail of codebook, dq and alignment follows.
    check(
        data_unit(node_id=node, **NAMED), PROFILE_1, unit_bytes(5, f"00001 0 0 0 'w' {node_bits} 0 0 100000")
    )
    parent = ParentNode(ParentNodeIdType.ICNN_NDU_ID, True, 1)
    check(
        data_unit(node_id=node, parent=parent, **NAMED),
        PARENTS,
        unit_bytes(5, f"00001 0 0 0 'w' {node_bits} 1 00 1 11 0 0 0x80"),
    )
    named = ParentNode(ParentNodeIdType.ICNN_NDU_ID, False, 0, (3, 2))
    check(
        data_unit(parent=named, **NAMED),
        PARENTS,
        unit_bytes(5, "00001 0 0 0 'w' 0 1 00 0 10 100011 10010 0 0 1000"),
    )
    for kind, n_bytes in (
        (ParentNodeIdType.ICNN_NDU_PL_SHA256, 32),
        (ParentNodeIdType.ICNN_NDU_PL_SHA512, 64),
    ):
        digest = bytes(range(n_bytes))
        check(
            data_unit(parent=ParentNode(kind, payload_digest=digest), **NAMED),
            PARENTS,
            unit_bytes(5, f"00001 0 0 0 'w' 0 1 {kind:02b} 0 0x{digest.hex()} 0 0 1"),
        )


def test_low_rank_block_with_two_codebooks() -> None:
    book = Codebook((0,), 0, 0)
    book_bits = "0000 101 100 10000000"
    check(
        data_unit(
            topology_elem_ids=("w_G", "w_H", "b"),
            payload_type=PayloadType.NNR_PT_BLOCK,
            compressed_parameter_types=CompressedParameterTypes.DC | CompressedParameterTypes.BI,
            decomposition_rank=2,
            g_number_of_rows=4,
            tensor_dimensions=(4, 3),
            codebook=book,
            second_codebook=book,
            decompressed_data_format=DecompressedDataFormat.FLOAT16,
        ),
        PROFILE_1,
        unit_bytes(
            5,
            "00011 1 1 1 10000001 10000000 'w_G' 'w_H' 'b' 0",
            f"1 {book_bits} 0 0001000",
            "1 0 1001 1010 1100 0100 10000100 10000011",
            f"{book_bits} 10 0000 10",
        ),
    )


def test_profile_0_has_no_profile_1_elements() -> None:
    for unit, element in (
        (data_unit(node_id=NodeId(0, 0, 0), **NAMED), "node_id_present_flag"),
        (ModelParameterSet(parent_signalling_enabled_flag=True), "mps_parent_signalling_enabled_flag"),
        (ModelParameterSet(base_model_id="x"), "base_model_id"),
    ):
        with pytest.raises(NotEncodable) as caught:
            build_unit(unit, PROFILE_0)
        assert caught.value.element == element


def test_values_that_do_not_fit_name_their_element() -> None:
    with pytest.raises(NotEncodable) as caught:
        build_unit(data_unit(cabac_unary_length=257, **NAMED), PROFILE_0)
    assert caught.value.path == "nnr_unit.cabac_unary_length_minus1"
    with pytest.raises(NotEncodable) as caught:
        build_unit(replace(StartUnit(), general_profile_idc=2), SyntaxState())
    assert caught.value.element == "general_profile_idc"
    with pytest.raises(NotEncodable) as caught:
        build_unit(data_unit(topology_elem_ids=("a\0b",)), PROFILE_0)
    assert caught.value.element == "topology_elem_id"


@pytest.mark.parametrize(("payload", "size_bytes"), [(32767 - 7, 2), (32768 - 7, 4)])
def test_the_short_size_is_used_where_it_suffices(payload: int, size_bytes: int) -> None:
    stream = build_unit(data_unit(b"\0" * payload, **NAMED), PROFILE_0)
    (span,) = iter_unit_spans(stream)
    assert span.header_offset == size_bytes
    assert span.size_bytes == len(stream) == payload + 5 + size_bytes
