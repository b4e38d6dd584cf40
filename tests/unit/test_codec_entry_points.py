# SPDX-License-Identifier: Apache-2.0
"""Threads share a tensor's block rows, and what comes out is what decoding straight through gives, right or wrong."""

from typing import Any

import numpy as np
import pytest

from nnr_codec import BitstreamError, decode, encode

RNG = np.random.default_rng(11)


def outcome(stream: bytes, threads: int) -> Any:
    """What decoding gives: names with levels and values, or the error with its place."""
    try:
        levels = decode(stream, dequantize=False, threads=threads)
        values = decode(stream, threads=threads)
    except BitstreamError as error:
        return type(error), str(error), error.path, error.bit_offset
    # A damaged unit may hold something else.
    return [
        (name, getattr(tensor, "levels", tensor).tobytes(), values[name].tobytes())
        for name, tensor in levels.items()
    ]


@pytest.mark.parametrize("scan_order", [1, 2, 3, 4])
@pytest.mark.parametrize("dependent", [False, True])
@pytest.mark.parametrize("shape", [(70, 33), (9, 130), (64, 8, 3, 3), (8, 8)])
def test_rows_side_by_side_are_rows_in_turn(scan_order: int, dependent: bool, shape: tuple[int, ...]) -> None:
    weights = RNG.laplace(0, 0.2, shape).astype(np.float32)
    weights[1:6] = 0  # rows to skip
    stream = encode({"w": weights}, qp=-12, effort="fast", scan_order=scan_order, dependent=dependent)
    found = outcome(stream, 1)
    assert isinstance(found, list)
    assert outcome(stream, 3) == found


def test_a_codebook_may_have_entry_points_too() -> None:
    weights = RNG.choice([0.0, 0.25, -0.5, 1.0], (40, 20)).astype(np.float32)
    stream = encode({"w": weights}, qp=-8, dependent=False, codebook=True, scan_order=1)
    assert outcome(stream, 2) == outcome(stream, 1)


@pytest.mark.parametrize("dependent", [False, True])
def test_damage_comes_out_the_same(dependent: bool) -> None:
    # Of the entry points too, which decoding straight through does not look at.
    weights = RNG.laplace(0, 0.2, (20, 11)).astype(np.float32)
    stream = encode({"w": weights}, qp=-12, effort="fast", scan_order=1, dependent=dependent)
    rejected = 0
    for bit in range(8 * len(stream)):
        damaged = bytearray(stream)
        damaged[bit >> 3] ^= 0x80 >> (bit & 7)
        found = outcome(bytes(damaged), 1)
        assert outcome(bytes(damaged), 2) == found, bit
        rejected += not isinstance(found, list)
    assert 0 < rejected < 8 * len(stream)
