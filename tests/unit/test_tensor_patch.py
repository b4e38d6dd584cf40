# SPDX-License-Identifier: Apache-2.0
"""Patches: bytes there and back, and bytes that are none."""

from typing import Any

import numpy as np
import pytest

from nnr_codec._native import apply_patch
from nnr_codec.codec.stream.tensor_patch import TensorPatch


def with_nonfinite(size: int, count: int, values: tuple[float, ...]) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(size + count)
    weights = rng.normal(size=size).astype(np.float32)
    weights[rng.choice(size, count, replace=False)] = rng.choice(values, count)
    return weights


@pytest.mark.parametrize("values", [(np.nan,), (np.nan, np.inf, -np.inf)])
@pytest.mark.parametrize(
    ("size", "count", "most_bytes"),
    [(1, 1, 10), (1000, 3, 24), (100_000, 2, 20), (1000, 500, 2200), (9, 0, 3)],
)
def test_a_patch_puts_elements_back(
    size: int, count: int, most_bytes: int, values: tuple[float, ...]
) -> None:
    weights = with_nonfinite(size, count, values)
    octets = TensorPatch.of_nonfinite(weights).to_bytes()
    assert len(octets) <= most_bytes
    patched = np.where(np.isfinite(weights), weights, 0).astype(np.float32)
    assert apply_patch(octets, patched)
    assert np.array_equal(patched.view(np.uint32), weights.view(np.uint32))


def test_a_patch_is_that_of_its_bytes() -> None:
    # Form, alike, one element, at 300 (LEB128), NaN.
    octets = bytes([0, 1, 1, 0xAC, 0x02, 0, 0, 0xC0, 0x7F])
    patched = np.zeros(301, np.float32)
    assert apply_patch(octets, patched)
    assert np.flatnonzero(patched).tolist() == [300]
    assert np.isnan(patched[300])
    assert TensorPatch.of_nonfinite(patched).to_bytes() == octets
    assert not apply_patch(octets, np.zeros(300, np.float32))


@pytest.mark.parametrize("count", [1, 3, 500])
def test_a_patch_cut_short_is_refused(count: int) -> None:
    octets = TensorPatch.of_nonfinite(with_nonfinite(1000, count, (np.nan, np.inf))).to_bytes()
    for end in range(0, len(octets), max(len(octets) // 50, 1)):
        assert not apply_patch(octets[:end], np.zeros(1000, np.float32))
    assert not apply_patch(octets + bytes(4), np.zeros(1000, np.float32))


def test_any_bytes_give_a_patch_of_the_tensor_or_an_error() -> None:
    rng = np.random.default_rng(1)
    octets = TensorPatch.of_nonfinite(with_nonfinite(1000, 40, (np.nan, np.inf))).to_bytes()
    refused = 0
    for _ in range(2000):
        damaged = bytearray(octets)
        for at in rng.integers(0, len(octets), 3):
            damaged[at] = rng.integers(256)
        patched = np.zeros(1002, np.float32)
        refused += not apply_patch(bytes(damaged), patched[1:-1])
        assert patched[0] == patched[-1] == 0
    assert 0 < refused < 2000
