# SPDX-License-Identifier: Apache-2.0
"""Streams of this codec, decoded by the peer to the same tensors, for all encoder options."""

from typing import Any

import numpy as np
import pytest

from nnr_codec import Decoder, Encoder, EncoderConfig, decode, encode

pytestmark = pytest.mark.peer

OPTIONS: list[dict[str, Any]] = [
    {},
    {"qp": -20},
    {"qp": -38, "qp_1d": -60},
    {"dependent": False},
    {"dependent": False, "codebook": True, "qp": -8},
    {"dependent": False, "codebook": True, "qp": -8, "general_profile_idc": 0},
    *({"scan_order": order, "dependent": dependent} for order in range(1, 5) for dependent in (False, True)),
    {"general_profile_idc": 0},
    {"general_profile_idc": 0, "scan_order": 1},
    {"row_skip": False},
    {"search_initialisations": False},
    *({"unary_length": length} for length in (1, 2, 10, 40)),
    # With finer vectors raw floats are smaller, and the peer reads one raw unit only.
    {"unary_length": 256, "relative_error_1d": 0.02},
    {"bit_depth": 4, "dependent": False},
    {"bit_depth": 8},
    {"qp_density": 0},
    {"qp_density": 7, "qp": -400, "qp_1d": -500},
    {"qp": -8, "qp_by_name": (("fc*", -40), ("conv*", 0))},
    {"relative_error": 0.2},
    {"relative_error": 0.0001},
    *({"effort": effort} for effort in ("fast", "slow", "best")),
    {"effort": "best", "relative_error": 0.3, "relative_error_1d": 0.1, "scan_order": 1},
    {"effort": "best", "dependent": False, "codebook": True, "qp": -12},
]


def model(seed: int) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    return {
        "conv.weight": rng.laplace(0, 0.05, (12, 2, 3, 3)).astype(np.float32),
        "conv.bias": rng.normal(0, 0.1, 33).astype(np.float32),
        "fc.weight": (rng.laplace(0, 0.02, (38, 41)) * (rng.random((38, 1)) < 0.7)).astype(np.float32),
        "wide": rng.normal(0, 0.3, (70, 90)).astype(np.float32),
        "one": np.ones(1, np.float32),
        "row": rng.normal(0, 0.1, (1, 28)).astype(np.float32),
        "column": rng.normal(0, 0.1, (22, 1)).astype(np.float32),
        "integers": rng.integers(-9, 9, (7, 5)).astype(np.int32),
        "zeros": np.zeros((5, 6), np.float32),
    }


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert set(theirs) == set(ours)
    for name, values in ours.items():
        # The peer gives codebook tensors as float64.
        decoded = np.asarray(theirs[name]).astype(values.dtype)
        assert decoded.shape == values.shape, name
        assert np.array_equal(decoded, values, equal_nan=True), name


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_option(peer: Any, options: dict[str, Any]) -> None:
    stream = encode(model(1), **options)
    assert_same(decode(stream), peer.decode(stream).values)


def test_random_models_and_options(peer: Any) -> None:
    rng = np.random.default_rng(2)
    for _ in range(60):
        shape = tuple(int(n) for n in rng.integers(1, 20, rng.integers(1, 4)))
        dependent = bool(rng.integers(2))
        options = {
            "dependent": dependent,
            "scan_order": int(rng.integers(5)),
            "unary_length": int(rng.integers(1, 30)),
            "general_profile_idc": int(rng.integers(2)),
            "qp_density": int(rng.integers(8)),
            "relative_error": float(10 ** rng.uniform(-3, 0)),
            "codebook": not dependent and bool(rng.integers(2)),
        }
        values = (rng.laplace(0, 1, shape) * (rng.random((shape[0], *[1] * (len(shape) - 1))) < 0.7)).astype(
            np.float32
        )
        stream = encode({"w": values}, **options)
        assert_same(decode(stream), peer.decode(stream).values)


def test_a_raw_tensor_at_the_end(peer: Any) -> None:
    stream = encode({"w": np.ones((3, 4), np.float32), "raw": np.array([np.nan, np.inf, -0.0], np.float32)})
    assert_same(decode(stream), peer.decode(stream).values)


def odd_tensors() -> dict[str, np.ndarray[Any, Any]]:
    """Tensors that are coded exactly, companded, or with ever finer steps."""
    rng = np.random.default_rng(6)
    shape = (64, 96)
    rows = np.exp(2 * rng.normal(size=(64, 1)))
    tensors = {
        "mask": np.tril(np.ones((1, 1, 64, 64))),
        "constant": np.full(shape, 0.1),
        "negative": np.full((3, 3), -0.3),
        "binary": np.sign(rng.normal(size=shape)) * 0.02,
        "ternary": rng.integers(-1, 2, shape) * 0.043,
        "int4": rng.integers(-8, 8, shape) * 0.0137,
        "int8": np.clip(np.round(rng.normal(size=(300, 300)) * 25), -127, 127) * 0.002,
        "three": np.array([3.0]),
        "epsilon": np.array([1e-5]),
        "four": np.array([0.7978845608, 1e-3, 3, 4.5]),
        "alphas_cumprod": np.cumprod(1 - np.linspace(0.0015**0.5, 0.0195**0.5, 1000) ** 2),
        "inv_freq": 1 / 5e5 ** (np.arange(0, 128, 2) / 128),
        "spread": rng.normal(size=shape) * 0.02 * rows,
        "running_var": 10.0 ** rng.uniform(-3, 3, 50),
        "bias": rng.normal(size=100) * np.exp(3 * rng.normal(size=100)),
    }
    return {name: values.astype(np.float32) for name, values in tensors.items()}


@pytest.mark.parametrize("effort", ["fast", "medium"])
@pytest.mark.parametrize("profile", [0, 1])
def test_odd_tensors(peer: Any, effort: str, profile: int) -> None:
    stream = encode(odd_tensors(), effort=effort, general_profile_idc=profile)
    assert_same(decode(stream), peer.decode(stream).values)


@pytest.mark.parametrize("n_counters", [1, 40])  # 40 names are packed
def test_a_described_source_does_not_disturb(peer: Any, n_counters: int) -> None:
    half = np.linspace(-1, 1, 30).astype(np.float16).reshape(5, 6)
    counters = {f"layers.{i}.count": np.int64(i) for i in range(n_counters)}
    stream = encode({"half": half, **counters}, kind="safetensors", metadata={"format": "pt"})
    ours, theirs = decode(stream), peer.decode(stream).values
    assert np.array_equal(ours["half"], theirs["half"].astype(np.float16))
    assert all(int(ours[name]) == int(theirs[name].reshape(())) == counters[name] for name in counters)


@pytest.mark.parametrize("temporal", [False, True])
@pytest.mark.parametrize("history", [False, True])
def test_series_of_updates(peer: Any, temporal: bool, history: bool) -> None:
    rng = np.random.default_rng(3)
    config = EncoderConfig(
        incremental=True, qp=-12, qp_1d=-20, temporal_context=temporal, history_context=history
    )
    encoder, decoder = Encoder(config), Decoder()
    streams = []
    for number in range(5):
        update = {name: values for name, values in model(4).items() if values.dtype == np.float32}
        for name, values in update.items():
            noise = rng.normal(0, 0.01, values.shape).astype(np.float32)
            update[name] = (values + noise) * (rng.random(values.shape) < 0.5)
        if number == 2:
            update["fc.weight"] *= 0
        streams.append(encoder.encode(update))
    for stream, theirs in zip(streams, peer.decode_sequence(streams), strict=True):
        assert_same(decoder.decode(stream), theirs.values)


def test_no_small_tensor_is_larger_than_the_peers(peer: Any) -> None:
    rng = np.random.default_rng(5)
    sizes = (1, 2, 3, 4, 8, 16, 32, 64, 300)
    for size in sizes:
        tensor = {"w": rng.normal(0, 1, size).astype(np.float32)}
        theirs = peer.encode(tensor, qp=-24, dependent=True)
        assert len(encode(tensor, qp=-24, describe_source=False)) <= len(theirs), size
