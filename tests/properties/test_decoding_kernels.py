# SPDX-License-Identifier: Apache-2.0
"""The fast decoding kernels match the reference in levels, status and position, for any bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nnr_codec import _native
from nnr_codec.entropy import TensorCoding, TensorToEncode, encode_payload
from nnr_codec.quant import quantize_dependent


@dataclass(frozen=True)
class Case:
    coding: TensorCoding
    levels: NDArray[np.int32]
    base: NDArray[np.int32] | None = None
    history: NDArray[np.uint8] | None = None
    search: bool = False

    def payload(self) -> bytes:
        job = TensorToEncode(
            self.coding, self.levels, 3, self.history is not None, search_initialisations=self.search
        )
        return encode_payload([replace(job, base=self.base, history=self.history)]).payload

    def decode(self, payload: bytes, *, reference: bool) -> tuple[Any, Any, NDArray[np.int32]]:
        levels = np.full(self.levels.size, 77, np.int32)
        tensor = _native.Tensor(self.coding, self.base, self.history)
        status, side = _native.decode_payload(np.frombuffer(payload, np.uint8), [tensor], [levels], reference)
        return status, side, levels


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rows = draw(st.integers(1, 40))
    width = draw(st.one_of(st.integers(1, 40), st.just(300)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.03, 0.2, 1.0, 4.0, 40.0, 1e4, 1e8]))
    weights = random.laplace(0, scale, rows * width).astype(np.float32)
    weights = np.clip(weights, -1e9, 1e9)
    if draw(st.booleans()):
        weights.reshape(rows, width)[random.random(rows) < 0.3] = 0
    near = draw(st.booleans())
    base = (
        np.rint(random.laplace(0, 1, rows * width)).astype(np.int32) if near and draw(st.booleans()) else None
    )
    history = (random.random(rows * width) < 0.4).astype(np.uint8) if near and draw(st.booleans()) else None
    options: dict[str, Any] = {
        "rows": rows,
        "width": width,
        "scan_order": draw(st.integers(0, 4)),
        "unary_length": draw(st.sampled_from([1, 2, 10, 11, 40, 256])),
        "profile1": draw(st.booleans()),
        "parent_present": near,
        "qp_bits": 8,
    }
    if draw(st.booleans()):
        coding = TensorCoding(dependent=True, **options)
        levels = quantize_dependent(weights, 1.0, coding)
    else:
        size = draw(st.sampled_from([0, 0, 1, 2, 5, 30, 1000]))
        zero = draw(st.integers(0, size - 1)) if size else 0
        coding = TensorCoding(codebook_size=size, codebook_zero=zero, **options)
        levels = np.rint(weights).astype(np.int32)
        if size:
            levels = np.clip(levels, -zero, size - zero - 1)
    return Case(coding, levels, base, history, draw(st.booleans()))


def decode_both_ways(case: Case, payload: bytes) -> tuple[Any, NDArray[np.int32]]:
    fast, slow = case.decode(payload, reference=False), case.decode(payload, reference=True)
    assert fast[:2] == slow[:2]
    np.testing.assert_array_equal(fast[2], slow[2])
    return fast[0][0], fast[2]


@given(cases())
def test_valid_payloads(case: Case) -> None:
    outcome, levels = decode_both_ways(case, case.payload())
    assert outcome == _native.Outcome.OK
    np.testing.assert_array_equal(levels, case.levels)


@given(cases(), st.data())
def test_damaged_payloads(case: Case, data: st.DataObject) -> None:
    payload = bytearray(case.payload())
    for _ in range(data.draw(st.integers(0, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    keep = data.draw(st.integers(0, len(payload)))
    decode_both_ways(case, bytes(payload[: keep or len(payload)]))


@given(cases(), st.binary(max_size=200))
def test_noise(case: Case, payload: bytes) -> None:
    decode_both_ways(case, payload)


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\xff" * 9, b"\x80" * 3, b"\x00" * 40])
@pytest.mark.parametrize("unary_length", [1, 10])
@pytest.mark.parametrize("dependent", [False, True])
def test_constant_bytes(payload: bytes, unary_length: int, dependent: bool) -> None:
    levels = np.zeros(100_000, np.int32)
    coding = TensorCoding(rows=levels.size, width=1, unary_length=unary_length, dependent=dependent)
    decode_both_ways(Case(coding, levels), payload)
