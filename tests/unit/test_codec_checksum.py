# SPDX-License-Identifier: Apache-2.0
"""Checksums find every kind of damage."""

import numpy as np
import pytest

from nnr_codec import BitstreamError, MalformedBitstream, decode, encode

TENSORS = {"w": np.random.default_rng(0).normal(0, 1, (5, 6)).astype(np.float32), "n": np.int64(3)}
PLAIN = encode(TENSORS)
STREAM = encode(TENSORS, checksum=True)


def test_a_whole_stream_passes_and_the_tensors_are_the_same() -> None:
    decoded = decode(STREAM, require_checksum=True)
    assert decoded.keys() == TENSORS.keys()
    assert np.array_equal(decoded["w"], decode(PLAIN)["w"])
    assert STREAM.startswith(PLAIN)


def test_a_stream_without_one_is_refused_only_where_one_is_required() -> None:
    decode(PLAIN)
    with pytest.raises(MalformedBitstream, match="checksum"):
        decode(PLAIN, require_checksum=True)


def test_no_flipped_bit_passes() -> None:
    for bit in range(8 * len(STREAM)):
        damaged = bytearray(STREAM)
        damaged[bit >> 3] ^= 0x80 >> (bit & 7)
        with pytest.raises(BitstreamError):
            decode(damaged, require_checksum=True)


def test_no_truncation_and_no_addition_passes() -> None:
    for damaged in [
        *(STREAM[:length] for length in range(len(STREAM))),
        STREAM + b"\0\3\x80",
        STREAM + STREAM,
    ]:
        with pytest.raises(BitstreamError):
            decode(damaged, require_checksum=True)


def test_damage_is_found_by_default_unless_it_hides_the_checksum() -> None:
    damaged = bytearray(STREAM)
    damaged[len(PLAIN) // 2] ^= 1
    with pytest.raises(BitstreamError):
        decode(damaged)


def test_single_tensors_are_verified_where_required() -> None:
    damaged = bytearray(STREAM)
    damaged[STREAM.index(b"n\0") + 8] ^= 1
    with pytest.raises(BitstreamError):
        decode(damaged, names=["w"], require_checksum=True)
