# SPDX-License-Identifier: Apache-2.0
"""Exact bits of the reader and the writer."""

import pytest

from nnr_codec.bitio import BitReader, BitWriter
from nnr_codec.errors import MalformedBitstream, TruncatedBitstream


def bits(text: str) -> bytes:
    text = text.replace(" ", "")
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")


def test_bits_come_most_significant_first() -> None:
    reader = BitReader(bytes([0b1011_0010, 0b0111_1111, 0x80]))
    assert [reader.read_bit(), reader.read_bits(3), reader.read_bits(0), reader.read_bits(7)] == [
        1,
        3,
        0,
        0b0010_011,
    ]
    assert reader.bit_offset == 11
    assert reader.read_bits(13) == 0b1_1111_1000_0000
    assert reader.remaining_bits == 0


def test_nothing_is_read_beyond_the_end() -> None:
    reader = BitReader(b"\xff\xff", 3, 9)
    assert reader.read_bits(5) == 31
    with pytest.raises(TruncatedBitstream) as caught:
        reader.read_bits(2)
    assert caught.value.bit_offset == 8 == reader.bit_offset
    assert reader.read_bit() == 1
    with pytest.raises(TruncatedBitstream):
        reader.read_bit()


def test_positions_far_into_a_buffer() -> None:
    octets = bytes(range(256)) * 8
    reader = BitReader(octets, 5)
    whole = int.from_bytes(octets, "big")
    while reader.remaining_bits > 700:
        at = reader.bit_offset
        for n_bits in (1, 7, 64, 611):
            expected = whole >> (8 * len(octets) - at - n_bits) & ((1 << n_bits) - 1)
            assert reader.read_bits(n_bits) == expected
            at += n_bits


@pytest.mark.parametrize(
    ("order", "code", "value"),
    [
        (0, "1", 0),
        (0, "010", 1),
        (0, "011", 2),
        (0, "00100", 3),
        (1, "10", 0),
        (1, "11", 1),
        (1, "0100", 2),
        (1, "0111", 5),
        (2, "01000", 4),
        (7, "10000001", 1),
        (7, "0100000000", 128),
        (0, "0" * 32 + "1" + "0" * 32, 0xFFFFFFFF),
    ],
)
def test_exp_golomb_codes(order: int, code: str, value: int) -> None:
    reader = BitReader(bits("101" + code + "1"), 3)
    assert reader.read_exp_golomb(order) == value
    assert reader.bit_offset == 3 + len(code)
    writer = BitWriter()
    writer.write_exp_golomb(value, order)
    writer.write_bits(0, -len(code) % 8)
    assert writer.to_bytes() == bits(code)


def test_exp_golomb_is_bounded() -> None:
    with pytest.raises(MalformedBitstream) as caught:
        BitReader(b"\0" * 1000).read_exp_golomb(0)
    assert caught.value.bit_offset == 0
    with pytest.raises(MalformedBitstream):
        BitReader(bits("0" * 32 + "1" + "0" * 31 + "1")).read_exp_golomb(0)
    for n_bytes in (1, 3):
        with pytest.raises(TruncatedBitstream):
            BitReader(b"\0" * n_bytes).read_exp_golomb(0)
    with pytest.raises(TruncatedBitstream):
        BitReader(b"\x01", 0, 8).read_exp_golomb(0)


def test_bytes_are_views_and_need_alignment() -> None:
    octets = b"abcdef"
    reader = BitReader(octets, 8)
    taken = reader.read_bytes(3)
    assert isinstance(taken, memoryview)
    assert taken == b"bcd"
    reader.read_bit()
    with pytest.raises(ValueError, match="byte boundary"):
        reader.read_bytes(1)
    reader.read_bits(7)
    with pytest.raises(TruncatedBitstream):
        reader.read_bytes(2)


def test_reading_until_a_zero_byte() -> None:
    assert BitReader(b"ab\0c").read_until_zero(10) == b"ab"
    assert BitReader(b"ab\0c").read_until_zero(2) == b"ab"
    assert BitReader(b"ab\0c").read_until_zero(1) is None
    assert BitReader(b"x" * 1000 + b"\0").read_until_zero(1000) == b"x" * 1000
    with pytest.raises(TruncatedBitstream):
        BitReader(b"x" * 1000).read_until_zero(2000)


def test_bounds_must_lie_in_the_buffer() -> None:
    with pytest.raises(ValueError, match="not inside"):
        BitReader(b"a", 0, 9)


def test_the_writer_writes_exact_bits() -> None:
    writer = BitWriter()
    writer.write_bits(0b101, 3)
    writer.write_bits(0x1FF, 9)
    assert writer.bit_length == 12
    with pytest.raises(ValueError, match="whole bytes"):
        writer.to_bytes()
    with pytest.raises(ValueError, match="does not fit"):
        writer.write_bits(16, 4)
    with pytest.raises(ValueError, match="does not fit"):
        writer.write_bits(-1, 4)
    with pytest.raises(ValueError, match="byte boundary"):
        writer.write_bytes(b"x")
    writer.write_bits(0, 4)
    writer.write_bytes(b"xy")
    assert writer.to_bytes() == bytes([0b1011_1111, 0b1111_0000]) + b"xy"
