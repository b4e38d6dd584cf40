# SPDX-License-Identifier: Apache-2.0
"""Carrier units: lossless, in text form if small, refused with path and bit offset if damaged."""

import io
import struct
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnr_codec import (
    Decoder,
    LimitExceeded,
    Limits,
    MalformedBitstream,
    NotEncodable,
    decode,
    describe,
    encode,
)
from nnr_codec._native import CarriedItem, Fault, SourceReader
from nnr_codec.codec.stream.carrier import PIECE_BYTES, CarriedKind, carrier_units
from nnr_codec.codec.stream.topology_reader import TopologyReader
from nnr_codec.codec.stream.unit_index import UnitIndex
from nnr_codec.errors import BitstreamError
from nnr_codec.model import StartUnit, TopologyStorageFormat, TopologyUnit
from nnr_codec.syntax import SyntaxState, build_unit, iter_unit_spans, iter_units, parse_unit

RNG = np.random.default_rng(0)
WORDS = RNG.integers(0, 1 << 32, (1 << 10, 700), dtype=np.uint32)  # three pieces that do not deflate
IDS = np.arange(1 << 40, (1 << 40) + 300_000, dtype=np.int64)  # three pieces that do
MODEL: dict[str, Any] = {
    "words": WORDS,
    "w": RNG.normal(0, 1, (20, 30)).astype(np.float32),
    "ids": IDS,
    "end": np.array(2**63 - 1),
    "big": np.array([2**64 - 1], np.uint64),
    "empty": np.zeros((0, 3), np.float16),
    "wave": np.exp(1j * np.arange(12)).astype(np.complex64).reshape(3, 4),
    "name": np.array(["a", "\u00e9t\u00e9"]),
    "pair": np.array([(1, 2.5)], [("a", "<i4"), ("b", ">f8")]),
    "last": np.arange(6, dtype=np.int32),
}


def restored_alike(restored: dict[str, Any], model: dict[str, Any]) -> None:
    assert list(restored) == list(model)
    for name, array in model.items():
        assert restored[name].shape == array.shape
        if name != "w":
            assert restored[name].dtype == array.dtype.newbyteorder("<")
            assert np.array_equal(restored[name], array)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("peer_compatible", [False, True])
def test_every_byte_comes_back(threads: int, peer_compatible: bool) -> None:
    if peer_compatible:
        model = {name: array for name, array in MODEL.items() if array.size < 1000}
    else:
        model = dict(MODEL)
    model.pop("pair")  # NumPy describes structured types with "|V12" only
    stream = encode(model, threads=threads, peer_compatible=peer_compatible)
    restored_alike(decode(stream, threads=threads), model)
    assert stream == encode(model, peer_compatible=peer_compatible)


def test_a_structured_array_comes_back_as_its_bytes() -> None:
    pair = MODEL["pair"]
    restored = decode(encode({"pair": pair}))["pair"]
    assert restored.tobytes() == pair.astype(pair.dtype.newbyteorder("<")).tobytes()


def test_opaque_types_come_back_as_bytes_with_their_tag() -> None:
    blocks = RNG.integers(0, 256, 20, np.uint8)
    codes = RNG.integers(0, 255, (4, 2), np.uint8).view(ml_dtypes.float8_e8m0fnu)
    four = np.arange(-8, 8).astype(ml_dtypes.int4)
    decoder = Decoder()
    stream = encode({"q": blocks, "s": codes, "i": four}, dtypes={"q": "GGUF:Q4_1"})
    restored = decoder.decode(stream)
    assert {name: decoder.description.dtypes[name] for name in restored} == {
        "q": "GGUF:Q4_1",
        "s": "F8_E8M0",
        "i": "ML_DTYPES:int4",
    }
    assert restored["q"].tobytes() == blocks.tobytes()
    assert restored["s"].tobytes() == codes.tobytes()
    assert restored["i"].tobytes() == four.tobytes()
    assert [(t.name, t.dtype, t.shape, t.n_bytes) for t in describe(stream).tensors] == [
        ("q", "GGUF:Q4_1", (20,), 20),
        ("s", "F8_E8M0", (4, 2), 8),
        ("i", "ML_DTYPES:int4", (16,), 16),
    ]


def test_carried_tensors_deflate_shuffled() -> None:
    assert len(encode({"ids": IDS})) < IDS.nbytes / 40
    assert len(encode({"words": WORDS})) < WORDS.nbytes + 1000


def test_pieces_are_read_at_the_default_limits_and_below() -> None:
    stream = encode({"words": WORDS})
    spans = list(iter_unit_spans(stream))
    assert max(span.size_bytes for span in spans) < 1 << 20
    limits = Limits(max_topology_bytes=1 << 20, max_unit_bytes=1 << 20)
    assert np.array_equal(decode(stream, limits=limits)["words"], WORDS)


@pytest.mark.parametrize("n_bytes", [0, 1, 6, 7, 8, 127, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1])
@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("fill", [None, 0])
def test_any_number_of_bytes_comes_back(n_bytes: int, as_text: bool, fill: int | None) -> None:
    content = RNG.bytes(n_bytes) if fill is None else bytes([fill]) * n_bytes
    units = list(carrier_units(CarriedKind.ATTACHMENT, "\u00e9", content, as_text=as_text))
    state = SyntaxState(general_profile_idc=1)
    stream = b"".join(build_unit(unit, state) for unit in units)
    reader = TopologyReader(Limits(), len(stream))
    for span in iter_unit_spans(stream):
        assert not reader.attachments
        unit = parse_unit(stream, span, state)
        assert isinstance(unit, TopologyUnit)
        if as_text:
            unit.topology_data.decode()
            assert b"\0" not in unit.topology_data
        place = (span.index, span.byte_offset)
        assert reader.add(unit.topology_data, unit.storage_format, place, 0) is None
    reader.finish()
    assert reader.attachments == {"\u00e9": content}


def test_small_items_travel_as_text() -> None:
    stream = encode({"end": np.array(2**63 - 1), "none": np.zeros((2, 0), np.float64)}, kind="npz")
    for _, unit, _ in iter_units(stream):
        if isinstance(unit, TopologyUnit):
            unit.topology_data.decode()
            assert b"\0" not in unit.topology_data


def test_attachments_and_the_graph_come_back() -> None:
    attachments = {"config.json": b'{"a": 1}', "tokenizer.model": RNG.bytes(3_000_000), "empty": b""}
    graph = RNG.bytes(1000) * 100 + b"\0"
    stream = encode({"w": np.ones((2, 2), np.float32)}, topology=graph, attachments=attachments)
    decoder = Decoder()
    decoder.decode(stream)
    assert decoder.attachments == attachments
    assert decoder.topology == graph
    assert len(stream) < 3_010_000
    [unit] = [
        u
        for _, u, _ in iter_units(stream)
        if getattr(u, "storage_format", 0) == TopologyStorageFormat.NNR_TPL_ONNX
    ]
    assert unit.topology_data == graph
    decoder.decode(encode({"w": np.ones((2, 2), np.float32)}))
    assert decoder.topology is None
    assert not decoder.attachments


def test_a_graph_beyond_the_default_limit_is_carried() -> None:
    graph = bytes(range(256)) * 70_000
    decoder = Decoder()
    decoder.decode(encode({"w": np.ones((2, 2), np.float32)}, topology=graph))
    assert decoder.topology == graph


def test_single_tensors_are_read_with_and_without_an_index(tmp_path: Any) -> None:
    path = tmp_path / "m.nnr"
    path.write_bytes(encode(MODEL, kind="npz"))
    for _ in range(2):
        for name in ("ids", "empty", "last", "end"):
            restored = decode(path, names=[name])
            assert list(restored) == [name]
            assert np.array_equal(restored[name], MODEL[name])
        with open(f"{path}.idx", "wb") as file:
            UnitIndex.write(path, file)


def carried(stream: bytes) -> list[bytes]:
    return [stream[s.byte_offset : s.byte_offset + s.size_bytes] for s in iter_unit_spans(stream)]


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([0, 1, 2, 4], "missing"),
        ([0, 1, 3, 4], "missing"),
        ([0, 1, 2, 3], "missing"),
        ([0, 1, 2, 2, 3, 4], "repeated"),
        ([0, 1, 2, 3, 4, 2, 3, 4], "repeated"),
        ([0, 1, 3, 2, 4], "missing"),
    ],
)
def test_a_missing_or_repeated_piece_is_noticed(order: list[int], message: str) -> None:
    units = carried(encode({"words": WORDS}))
    assert len(units) == 5 + 1  # start, parameter set, description, three pieces
    units = units[:2] + units[3:]
    with pytest.raises(MalformedBitstream, match=message) as caught:
        decode(b"".join(units[index] for index in order))
    assert caught.value.element == "topology_data"
    assert caught.value.path is not None
    assert caught.value.bit_offset is not None


def unit_stream(*units: TopologyUnit) -> bytes:
    state = SyntaxState(general_profile_idc=1)
    return build_unit(StartUnit(1), SyntaxState()) + b"".join(build_unit(unit, state) for unit in units)


def test_totals_that_differ_are_noticed() -> None:
    units = list(carrier_units(CarriedKind.ATTACHMENT, "a", RNG.bytes(PIECE_BYTES + 100)))
    [_, other] = carrier_units(CarriedKind.ATTACHMENT, "a", RNG.bytes(PIECE_BYTES + 200))
    with pytest.raises(MalformedBitstream, match="total"):
        decode(unit_stream(units[0], other))


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (carrier_units(CarriedKind.TENSOR, "w", b"12345", tag="F32", shape=(1,)), "5 bytes"),
        (carrier_units(CarriedKind.TENSOR, "w", b"", tag="F32", shape=(7,)), "0 bytes"),
        (carrier_units(CarriedKind.TENSOR, "w", b"12345", tag="C64", shape=(1,)), "5 bytes"),
        (carrier_units(CarriedKind.METADATA, "key", b"value"), "announces no"),
        (carrier_units(CarriedKind.DESCRIPTION, "", b"{}"), "cannot be read"),
        (carrier_units(CarriedKind.POSITION, "a", b"b"), "is not in it"),
        (carrier_units(CarriedKind.POSITION, "a", b"a"), "before itself"),
        (carrier_units(CarriedKind.POSITION, "a", b"\xff"), "UTF-8"),
    ],
)
def test_an_impossible_item_is_malformed(unit: Any, message: str) -> None:
    with pytest.raises(MalformedBitstream, match=message) as caught:
        decode(unit_stream(*unit))
    assert caught.value.path is not None
    assert caught.value.bit_offset is not None


def test_padding_is_passed_over() -> None:
    [*units] = carrier_units(CarriedKind.PADDING, "w", b"0000")
    [*others] = carrier_units(CarriedKind.TENSOR, "w", b"12", tag="U8", shape=(2,))
    assert decode(unit_stream(*units, *others))["w"].tolist() == [49, 50]


def test_carried_arrays_belong_to_the_caller() -> None:
    array = decode(encode({"ids": IDS}))["ids"]
    array += 1
    assert np.array_equal(array, IDS + 1)


def test_missing_announced_metadata_is_malformed() -> None:
    units = carried(encode({"w": np.ones((4, 4), np.float32)}, metadata={"key": "x" * 5000}))
    with pytest.raises(MalformedBitstream, match="'key' is missing"):
        decode(b"".join(units[:3] + units[4:]))


def test_every_cut_and_flip_of_a_header_is_one_of_our_errors() -> None:
    [unit] = carrier_units(CarriedKind.TENSOR, "w", RNG.bytes(600), tag="U64", shape=(75,))
    n_refused = 0
    for at in range(len(unit.topology_data)):
        head, octet, tail = unit.topology_data[:at], unit.topology_data[at], unit.topology_data[at + 1 :]
        for octets in (head, head + bytes([octet ^ 0xFF]) + tail):
            reader = SourceReader(Limits(), 1000)
            outcome = reader.add(octets, 1, 4, 0) or reader.finish()
            if isinstance(outcome, Fault):
                assert outcome.status in ("malformed", "limit")
                assert (outcome.unit, outcome.bit_offset) == (1, 32)
                n_refused += 1
            else:
                assert outcome is None or isinstance(outcome, CarriedItem)
    # What remains are other names, types and contents.
    assert n_refused > len(unit.topology_data)


@pytest.mark.parametrize(
    "limits",
    [
        Limits(max_tensor_elements=1 << 20),
        Limits(max_total_elements=1 << 20),
        Limits(max_expansion_ratio=1, expansion_floor_bytes=1 << 20),
        Limits(max_name_bytes=3),
        Limits(max_dimensions=1),
    ],
)
def test_limits_hold_before_allocation(limits: Limits) -> None:
    [unit, *_] = carrier_units(CarriedKind.TENSOR, "name", bytes(1 << 23), tag="U8", shape=(1 << 13, 1 << 10))
    with pytest.raises(LimitExceeded) as caught:
        TopologyReader(limits, 100).add(unit.topology_data, unit.storage_format, (1, 4), 0)
    assert (caught.value.path, caught.value.bit_offset) == ("nnr_unit[1].topology_data", 32)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([b"NNRC", b"NNRC7:", b"NNRC7Z:"]), st.binary(max_size=120), st.binary(max_size=20))
def test_any_bytes_behind_the_magic_are_an_item_or_one_of_our_errors(
    magic: bytes, octets: bytes, text: bytes
) -> None:
    content = magic + (octets if magic == b"NNRC" else bytes(octet & 127 for octet in octets) + text)
    unit = TopologyUnit(storage_format=TopologyStorageFormat.NNR_TPL_UNREC, topology_data=content)
    try:
        decode(unit_stream(unit))
    except (BitstreamError, LimitExceeded) as error:
        assert error.path is not None
        assert error.bit_offset is not None


def test_a_small_stream_of_a_large_item_is_a_bomb() -> None:
    header = struct.pack("<4sBBBBHQQ", b"NNRC", CarriedKind.ATTACHMENT, 1, 0, 0, 1, 0, 1 << 50)
    unit = TopologyUnit(
        storage_format=TopologyStorageFormat.NNR_TPL_UNREC, topology_data=header + b"a" + bytes(100)
    )
    with pytest.raises(LimitExceeded):
        decode(unit_stream(unit))


def test_carried_bytes_count_with_the_elements() -> None:
    model = {"a": np.zeros(300_000, np.float32), "b": IDS}
    stream = encode(model)
    assert len(decode(stream, limits=Limits(max_total_elements=1_000_000))) == 2
    with pytest.raises(LimitExceeded):
        decode(stream, limits=Limits(max_total_elements=800_000))


def test_a_name_that_no_decoder_reads_is_refused() -> None:
    with pytest.raises(NotEncodable):
        encode({"n" * 5000: IDS})


def test_a_stream_is_written_incrementally() -> None:
    file = io.BytesIO()
    assert encode(MODEL, file=file) == b""
    assert file.getvalue() == encode(MODEL)


@pytest.mark.parametrize("threads", [1, 4])
def test_what_follows_a_data_unit_does_not_change_it(threads: int) -> None:
    weights = np.ones((64, 64), np.float32)
    weights[0, 0] = np.nan
    stream = encode({"h": np.ones((32, 32), np.float16), "w": weights})
    units = [
        stream[span.byte_offset : span.byte_offset + span.size_bytes] for span in iter_unit_spans(stream)
    ]
    description, _, patch, coded = units[2:]
    late_patch = decode(b"".join([*units[:4], coded, patch]), threads=threads)
    assert (late_patch["h"].dtype, late_patch["w"][0, 0]) == (np.float16, 0)
    late_description = decode(b"".join([*units[:2], *units[3:], description]), threads=threads)
    assert late_description["h"].dtype == np.float32
    assert np.isnan(late_description["w"][0, 0])


def test_memory_follows_what_a_stream_can_hold_and_not_what_it_claims() -> None:
    head = struct.pack("<4sBBBBHQQ", b"NNRC", int(CarriedKind.TENSOR), 1, 0, 0, 1, 0, 137_000_000_000)
    unit = TopologyUnit(
        storage_format=TopologyStorageFormat.NNR_TPL_UNREC, topology_data=head + b"w" + bytes(200_000)
    )
    state = SyntaxState()
    start = build_unit(StartUnit(1), state)
    with pytest.raises(MalformedBitstream, match="a piece is missing"):
        decode(start + build_unit(unit, state.after(StartUnit(1))))
