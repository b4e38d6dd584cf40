# SPDX-License-Identifier: Apache-2.0
"""Damaged streams decode to a model or raise an NnrError with path and bit offset."""

import numpy as np
import pytest

from nnr_codec import BitstreamError, InternalError, TruncatedBitstream, decode, encode
from nnr_codec.syntax import iter_unit_spans

RNG = np.random.default_rng(7)
STREAMS = {
    "dependent": encode(
        {"w": RNG.laplace(0, 0.1, (9, 8)).astype(np.float32), "b": np.ones(4, np.float32)}, qp=-16
    ),
    "blocks": encode({"w": RNG.laplace(0, 0.1, (20, 11)).astype(np.float32)}, qp=-16, scan_order=1),
    "codebook": encode(
        {"w": RNG.choice([0.0, 0.25, -0.5], (9, 8)).astype(np.float32)}, qp=-8, dependent=False, codebook=True
    ),
    "described": encode(
        {"i": np.arange(5, dtype=np.int8), "s": np.float16(0.5), "n": np.array([np.nan], np.float32)}
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_every_truncation_inside_a_unit_is_rejected(name: str) -> None:
    stream = STREAMS[name]
    whole = decode(stream)
    for length in range(len(stream)):
        try:
            decoded = decode(stream[:length])
        except BitstreamError as error:
            assert error.path is not None
            assert error.bit_offset is not None
            assert 0 <= error.bit_offset <= 8 * len(stream)
        else:
            # The cut fell between units: what is left is a shorter stream.
            assert len(decoded) < len(whole)


@pytest.mark.parametrize("name", STREAMS)
def test_every_flipped_bit_raises_an_nnr_error_or_decodes(name: str) -> None:
    stream = STREAMS[name]
    rejected = 0
    for bit in range(8 * len(stream)):
        damaged = bytearray(stream)
        damaged[bit >> 3] ^= 0x80 >> (bit & 7)
        try:
            decode(damaged)
        except InternalError:
            raise
        except BitstreamError as error:
            rejected += 1
            assert error.path is not None, (bit, error)
            assert error.bit_offset is not None, (bit, error)
    assert rejected > len(stream)


def test_a_cut_payload_names_the_unit_and_the_first_missing_bit() -> None:
    stream = STREAMS["blocks"]
    *_, last = iter_unit_spans(stream)
    cut = 20
    size = (last.size_bytes - cut).to_bytes(2, "big")
    shorter = stream[: last.byte_offset] + size + stream[last.byte_offset + 2 : -cut]
    with pytest.raises(TruncatedBitstream) as caught:
        decode(shorter)
    assert caught.value.path == f"{last.path}.tensor[0]"
    assert caught.value.bit_offset == 8 * len(shorter)
