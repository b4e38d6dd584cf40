# SPDX-License-Identifier: Apache-2.0
"""Targets are met within 1 %, and the report says what the stream holds."""

from typing import Any

import numpy as np
import pytest

from nnr_codec import NotEncodable, compress_to_target, decode


def model() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(1)
    return {
        "a[0].weight": rng.laplace(0, 0.05, (120, 90)).astype(np.float32),
        "b": rng.normal(0, 3, (64, 300)).astype(np.float32),
        "b.bias": rng.normal(0, 1, 64).astype(np.float32),
        "counts": np.arange(6).reshape(2, 3),
        "zeros": np.zeros((3, 4), np.float32),
    }


@pytest.mark.parametrize("allocation", ["relative", "squared"])
@pytest.mark.parametrize(
    "target",
    [{"ratio": 10}, {"ratio": 25}, {"bits": 4}, {"bits": 1}, {"max_error": 0.05}, {"max_error": 0.2}],
)
def test_targets_are_met(target: dict[str, float], allocation: str) -> None:
    tensors = model()
    seen: list[str] = []
    stream, report = compress_to_target(
        tensors, **target, allocation=allocation, progress=lambda stage, scale, value: seen.append(stage)
    )
    ((name, asked),) = target.items()
    assert report.reached == pytest.approx(asked, rel=0.01)
    assert (report.target, report.asked, report.size_bytes) == (name, asked, len(stream))
    assert report.bits_per_weight == pytest.approx(8 * len(stream) / sum(t.size for t in tensors.values()))
    assert set(seen) == {"estimating", "encoding"}
    found = decode(stream)
    squared = sum(
        float(((found[n].astype(float) - tensors[n]) ** 2).sum()) for n in ("a[0].weight", "b", "b.bias")
    )
    energy = sum(float((tensors[n].astype(float) ** 2).sum()) for n in ("a[0].weight", "b", "b.bias"))
    assert report.relative_error == pytest.approx((squared / energy) ** 0.5, rel=1e-3)


@pytest.mark.parametrize("asked", [0.003, 0.05, 0.2, 0.4])
def test_each_tensor_has_the_error_asked_for(asked: float) -> None:
    tensors = model()
    rng = np.random.default_rng(2)
    # Small tensors, whose errors jump with the step: of 64 weights and fewer none may leave just what was asked for.
    tensors |= {f"small{i}": rng.laplace(0, 10.0**-i, (16, 16 << i)).astype(np.float32) for i in range(4)}
    stream, report = compress_to_target(tensors, max_error=asked, per_tensor=True)
    found = decode(stream)
    for name, values in tensors.items():
        if values.dtype.kind != "f" or not values.any():
            continue
        error = np.sqrt(
            np.square(found[name].astype(float) - values).sum() / np.square(values.astype(float)).sum()
        )
        if values.ndim > 1:
            assert error == pytest.approx(asked, rel=0.01), name
        else:
            assert error < 1.01 * asked, name
        (row,) = (row for row in report.tensors if row.name == name)
        assert row.relative_error == pytest.approx(error, rel=1e-3)
    assert report.reached == pytest.approx(asked, rel=0.01)


def test_an_error_per_tensor_is_an_error() -> None:
    with pytest.raises(ValueError, match="per_tensor"):
        compress_to_target(model(), ratio=5, per_tensor=True)


def test_one_target_is_given_and_it_must_have_weights() -> None:
    for target in ({}, {"ratio": 5, "bits": 3}, {"bits": -1}):
        with pytest.raises(ValueError, match=r"target|given|positive"):
            compress_to_target(model(), **target)
    with pytest.raises(NotEncodable):
        compress_to_target({"i": np.arange(5)}, ratio=2)
