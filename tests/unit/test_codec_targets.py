# SPDX-License-Identifier: Apache-2.0
"""Targets are met within 1 %, and the report matches the stream."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from nnr_codec import EncoderConfig, NotEncodable, compress_to_target, decode, encode
from nnr_codec.rate_control import target_model
from nnr_codec.rate_control.tensor_targets import steps_for_errors


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
    # At 1 bit a weight, one QP of either tensor changes the size by 2 to 3 %.
    assert report.reached == pytest.approx(asked, rel=0.02 if target == {"bits": 1} else 0.01)
    assert (report.target, report.asked, report.size_bytes) == (name, asked, len(stream))
    assert report.bits_per_weight == pytest.approx(8 * len(stream) / sum(t.size for t in tensors.values()))
    assert set(seen) == {"estimating", "encoding"}
    decoded = decode(stream)
    squared = sum(
        float(((decoded[n].astype(float) - tensors[n]) ** 2).sum()) for n in ("a[0].weight", "b", "b.bias")
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
    decoded = decode(stream)
    for name, values in tensors.items():
        if values.dtype.kind != "f" or not values.any():
            continue
        error = np.sqrt(
            np.square(decoded[name].astype(float) - values).sum() / np.square(values.astype(float)).sum()
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


def test_exactly_one_target_is_required() -> None:
    for target in ({}, {"ratio": 5, "bits": 3}, {"bits": -1}, {"bits": np.nan}, {"ratio": np.inf}):
        with pytest.raises(ValueError, match=r"target|given|positive"):
            compress_to_target(model(), **target)


def test_a_model_without_weights_is_encoded_without_a_search() -> None:
    for target in ({"ratio": 2.0}, {"bits": 300.0}, {"max_error": 0.01}):
        stream, report = compress_to_target({"i": np.arange(5)}, **target)
        assert decode(stream)["i"].tolist() == [0, 1, 2, 3, 4]
        assert (report.relative_error, report.points) == (0.0, ())
        assert report.exceeded == (target == {"ratio": 2.0})


def normal(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


ODD = {
    "denormal": np.full((3, 3), 1e-45, np.float32),
    "0 as float32": np.full((10, 10), 1e-300),
    "beyond steps": normal(30, 30) * np.float32(1e38 / 6),
    "infinite": np.array([[np.inf, 1.0]], np.float32),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    "target", [{"ratio": 2}, {"bits": 6}, {"max_error": 0.02}, {"max_error": 0.02, "per_tensor": True}]
)
def test_a_tensor_without_a_step_is_coded_as_by_encode(target: dict[str, Any], odd: str) -> None:
    tensors = {"odd": ODD[odd], "b": normal(90, 90)}
    stream, report = compress_to_target(tensors, **target)
    assert report.met
    assert decode(stream)["odd"].tobytes() == decode(encode(tensors))["odd"].tobytes()
    assert {row.name: row.step for row in report.tensors if row.name == "odd"} in ({}, {"odd": 0.0})


@pytest.mark.parametrize("per_tensor", [False, True])
def test_values_beyond_float32_stay_as_they_are(per_tensor: bool) -> None:
    weights = np.full((3, 3), 1e300)
    model = {"a": weights, "b": normal(90, 90)}
    stream, _ = compress_to_target(model, max_error=0.02, per_tensor=per_tensor)
    assert np.array_equal(decode(stream)["a"], weights)


SPIKE = np.zeros((50, 50), np.float32)
SPIKE[3, 4] = 1


@pytest.mark.parametrize(
    ("weights", "target", "reached"),
    [
        (np.eye(50), {"ratio": 4}, (100, 200)),
        (SPIKE, {"ratio": 4}, (100, 400)),
        (normal(20, 30), {"ratio": 1e6}, (50, 100)),
        (normal(20, 30), {"bits": 1e4}, (25, 40)),
        (normal(20, 30), {"bits": 1e-300}, (0, 1)),
        (normal(20, 30), {"max_error": 1e-300}, (0, 1e-6)),
        (normal(20, 30), {"max_error": 1e300}, (1, 1)),
        (normal(20, 30), {"max_error": 1e-300, "per_tensor": True}, (0, 1e-6)),
        (normal(20, 30), {"max_error": 1e300, "per_tensor": True}, (1, 1)),
        (normal(100), {"bits": 1e-9}, (10, 20)),
        (np.array([2.5]), {"bits": 3}, (100, 1000)),
        (np.array([2.5]), {"max_error": 0.02}, (0, 0.0006)),
        (ODD["beyond steps"], {"bits": 1e-9}, (32, 33)),
        (ODD["beyond steps"], {"max_error": 0.02}, (0, 0)),
    ],
)
def test_an_unreachable_target_returns_the_nearest_stream(
    weights: np.ndarray[Any, Any], target: dict[str, Any], reached: tuple[float, float]
) -> None:
    stream, report = compress_to_target({"a": weights}, **target)
    assert not report.met
    assert reached[0] <= report.reached <= reached[1]
    assert len(report.points) <= 8
    assert decode(stream)["a"].shape == weights.shape


def test_a_failed_round_keeps_earlier_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def failing(*arguments: Any, **options: Any) -> bytes:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise NotEncodable("a bound")
        return encode(*arguments, **options)

    monkeypatch.setattr(target_model, "encode", failing)
    stream, report = compress_to_target({"a": normal(50), "b": normal(20, 30)}, ratio=9)
    assert calls > 1
    assert (len(report.points), report.size_bytes) == (1, len(stream))


@pytest.mark.parametrize("options", [{"qp": 5000}, {"qp_1d": -6000}, {"bit_depth": 4}])
def test_a_target_overrides_other_step_options(options: dict[str, int]) -> None:
    report = compress_to_target(model(), ratio=9, config=EncoderConfig(**options))[1]
    assert report.met


def test_an_untargeted_error_is_not_reported_as_reached() -> None:
    report = compress_to_target({"a": normal(100)}, max_error=5.0, per_tensor=True)[1]
    assert report.reached == report.relative_error < 0.001
    assert not report.met
    stored = compress_to_target({"a": ODD["beyond steps"]}, max_error=0.02, per_tensor=True)[1]
    assert (stored.reached, stored.points) == (0.0, ())


def test_no_round_follows_a_bound() -> None:
    tried: list[int] = []

    def measure(qps: Mapping[str, int]) -> dict[str, float]:
        tried.append(qps["a"])
        return {"a": 0.0}

    assert steps_for_errors({"a": 0}, 0.02, 7, measure, lambda _: (-300, 200))["a"] in tried
    assert tried == [0, 174, 200]


def test_an_error_that_jumps_over_the_target_stays_below_it() -> None:
    def measure(qps: Mapping[str, int]) -> dict[str, float]:
        return {name: 0.1 * (0.9 if qp < -30 else 1.03) for name, qp in qps.items()}

    qp = steps_for_errors({"a": -28}, 0.1, 6, measure, lambda _: (-300, 200))["a"]
    assert qp < -30
