# SPDX-License-Identifier: Apache-2.0
"""Rounding to the stored types, against ml_dtypes' independent definitions."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnr_codec.codec.element_storage import STORAGE, WIDENED, narrow, tag_of, widen
from nnr_codec.errors import NotEncodable

PEERS = {"BF16": ml_dtypes.bfloat16, "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2}


@pytest.mark.parametrize("tag", sorted(WIDENED))
def test_every_code_survives(tag: str) -> None:
    codes = np.arange(1 << (8 * STORAGE[tag].itemsize)).astype(STORAGE[tag])
    values = widen(codes, tag)
    expected = codes.view(PEERS[tag]).astype(np.float32)
    np.testing.assert_array_equal(values, expected)
    numbers = ~np.isnan(values)
    np.testing.assert_array_equal(narrow(values, tag, "w")[numbers], codes[numbers])
    assert np.isnan(widen(narrow(values[~numbers], tag, "w"), tag)).all()


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_rounding_is_to_nearest_even_and_saturates(numbers: list[float]) -> None:
    values = np.array(numbers, np.float32)
    for tag, peer in PEERS.items():
        largest = np.float32(ml_dtypes.finfo(peer).max)
        inside = values[np.abs(values) <= largest]
        np.testing.assert_array_equal(narrow(inside, tag, "w"), inside.astype(peer).view(STORAGE[tag]))
        beyond = widen(narrow(values, tag, "w"), tag)
        assert np.isfinite(beyond).all()
        assert (np.abs(beyond) <= largest).all()


def test_a_nan_never_becomes_infinity() -> None:
    low_payload = np.array([0x7F800001, 0xFF800001], np.uint32).view(np.float32)
    assert narrow(low_payload, "BF16", "w").tolist() == [0x7FC0, 0xFFC0]


def test_half_precision_saturates_but_keeps_infinity() -> None:
    values = np.array([1e6, -1e6, np.inf, 1.0], np.float32)
    assert narrow(values, "F16", "w").tolist() == [65504.0, -65504.0, np.inf, 1.0]


@pytest.mark.parametrize(
    ("values", "tag"),
    [
        (np.array([0.5]), "I32"),
        (np.array([np.nan]), "I32"),
        (np.array([-1]), "U8"),
        (np.array([-1]), "U64"),
        (np.array([300]), "I8"),
        (np.array([2]), "BOOL"),
        (np.array([1j]), "F32"),
        (np.array(["a"]), "I8"),
        (np.array([1.0]), "F4"),
    ],
)
def test_what_does_not_fit_is_refused(values: np.ndarray, tag: str) -> None:
    with pytest.raises(NotEncodable) as caught:
        narrow(values, tag, "layer.w")
    assert caught.value.path == "layer.w"


def test_integers_that_fit_are_converted() -> None:
    assert narrow(np.array([0, 1], np.int32), "BOOL", "m").tolist() == [False, True]
    assert narrow(np.array([3.0, -4.0]), "I64", "m").tolist() == [3, -4]


def test_tags_of_numpy_types() -> None:
    assert {tag_of(dtype) for tag, dtype in STORAGE.items() if tag not in WIDENED} == set(STORAGE) - WIDENED
    assert tag_of(np.dtype("S3")) is None
