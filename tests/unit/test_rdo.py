# SPDX-License-Identifier: Apache-2.0
"""Rate-distortion optimised quantisation against brute force and the other quantisers."""

import itertools
from typing import Any

import numpy as np
import pytest

from nnr_codec import _native, decode, encode, rate
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.entropy import TensorCoding, TensorToEncode, encode_payload
from nnr_codec.model import DataUnit
from nnr_codec.quant import Curvature, quantize_dependent, quantize_feedback, quantize_rdo, quantize_uniform
from nnr_codec.syntax import iter_units

NEXT = [(0, 2), (7, 5), (1, 3), (6, 4), (2, 0), (5, 7), (3, 1), (4, 6)]


def cost_of(
    values: tuple[int, ...], x: Any, tables: rate.CostTables, lambda_: float, dependent: bool
) -> float:
    """Squared error plus lambda times bits of coded values, by the definition."""
    state = kind = 0
    total = 0.0
    for value, weight in zip(values, x, strict=True):
        level = 2 * value - (np.sign(value) * (state & 1)) if dependent else value
        total += (weight - level) ** 2
        bits = tables.zero[kind, state]
        if value:
            negative = int(value < 0)
            bits = (
                tables.nonzero[kind, state]
                + tables.sign[kind, negative]
                + tables.magnitude[negative, abs(value) - 1]
            )
        total += lambda_ * float(bits)
        kind = 0 if value == 0 else 1 if value < 0 else 2
        state = NEXT[state][value & 1] if dependent else 0
    return total


@pytest.mark.parametrize("dependent", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_with_rates_that_stand_still_it_is_optimal(dependent: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    coding = TensorCoding(rows=1, width=5, dependent=dependent, unary_length=2)
    x = rng.laplace(0, 1.5, 5).clip(-4, 4).astype(np.float32)
    # Beyond, values two below the nearest can win, which the search leaves out.
    lambda_ = float(rng.uniform(0.02, 0.8 if dependent else 0.2))
    initialisations = rng.integers(0, 9, 200).astype(np.uint8).tobytes()
    tables = rate.cost_tables(np.zeros(0, np.int32), coding, initialisations=initialisations)
    # Values of the other sign, or a step beyond the next, are never better: their errors exceed what bits can cost here.
    reach = 3 if dependent else 5
    least_cost = min(
        itertools.product(*(range(-reach if w < 0 else 0, 1 if w < 0 else reach + 1) for w in x)),
        key=lambda values: cost_of(values, x, tables, lambda_, dependent),
    )
    levels = np.empty(5, np.int32)
    _native.quantize_rdo(
        x, 1.0, _native.Tensor(coding), levels, lambda_=lambda_,
        initialisations=np.frombuffer(initialisations, np.uint8), adaptive=False,
    )  # fmt: skip
    searched = tuple(int(v) for v in rate.coded_values(levels, dependent))
    assert cost_of(searched, x, tables, lambda_, dependent) == pytest.approx(
        cost_of(least_cost, x, tables, lambda_, dependent), rel=1e-5
    )


@pytest.mark.parametrize("scan_order", [0, 1, 3])
@pytest.mark.parametrize("step", [0.01, 0.3, 2.0])
def test_without_lambda_it_is_the_plain_quantiser(step: float, scan_order: int) -> None:
    w = np.random.default_rng(1).laplace(0, 1, 37 * 53).astype(np.float32)
    for dependent in (False, True):
        coding = TensorCoding(rows=37, width=53, dependent=dependent, scan_order=scan_order)
        plain = quantize_dependent(w, step, coding) if dependent else quantize_uniform(w, step)
        assert np.array_equal(quantize_rdo(w, step, coding, 0.0), plain)


@pytest.mark.parametrize("dependent", [False, True])
def test_more_lambda_means_fewer_bits_and_more_error(dependent: bool) -> None:
    w = np.random.default_rng(2).laplace(0, 1, 20000).astype(np.float32)
    coding = TensorCoding(rows=100, width=200, dependent=dependent)
    bits, errors = [], []
    for lambda_ in (0.0, 0.1, 0.2, 0.35, 0.6):
        levels = quantize_rdo(w, 0.4, coding, lambda_)
        bits.append(rate.estimate_bits(levels, coding).total)
        errors.append(float(((w - 0.4 * levels) ** 2).sum()))
    assert bits == sorted(bits, reverse=True)
    assert errors == sorted(errors)


def test_important_weights_err_less() -> None:
    rng = np.random.default_rng(3)
    w = rng.laplace(0, 1, 20000).astype(np.float32)
    importance = np.where(np.arange(w.size) % 2, 4.0, 0.25).astype(np.float32)
    levels = quantize_rdo(
        w, 0.8, TensorCoding(rows=100, width=200, dependent=True), 0.3, importance=importance
    )
    error = (w - 0.8 * levels) ** 2
    assert error[1::2].mean() < 0.6 * error[::2].mean()


@pytest.mark.parametrize("wrong", [-1.0, np.inf, np.nan, 1e38])
def test_importance_is_finite_and_sums_up(wrong: float) -> None:
    w = np.random.default_rng(3).laplace(0, 1, 40).astype(np.float32)
    importance = np.ones(40, np.float32)
    importance[:8] = wrong
    coding = TensorCoding(rows=5, width=8, dependent=True)
    with pytest.raises(ValueError, match="importance"):
        quantize_rdo(w, 0.8, coding, 0.3, importance=importance)
    with pytest.raises(ValueError, match="size"):
        quantize_rdo(w, 0.8, coding, 0.3, importance=importance[8:])


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.inf, np.nan])
@pytest.mark.parametrize("option", ["relative_error", "relative_error_1d", "lambda_scale"])
def test_what_scales_errors_is_positive_and_finite(option: str, wrong: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        EncoderConfig(**{option: wrong})


def test_feedback_with_rows_worth_nothing_is_that_without_row_weights() -> None:
    w = np.random.default_rng(3).laplace(0, 1, 40).astype(np.float32)
    coding, plain = TensorCoding(rows=5, width=8, dependent=True), Curvature(np.eye(8))
    expected = quantize_feedback(w, 0.8, coding, 0.3, plain)
    assert expected.any()
    for rows in (np.zeros(5), np.full(5, 1e-310), np.full(5, 1.7e308)):
        assert np.array_equal(quantize_feedback(w, 0.8, coding, 0.3, plain.of_rows(rows)), expected)


def test_nearly_empty_rows_are_given_up_when_they_can_be_skipped() -> None:
    rng = np.random.default_rng(4)
    w = (rng.laplace(0, 1, (64, 128)) * np.where(np.arange(64) % 4, 0.32, 3.0)[:, None]).astype(np.float32)
    coding = TensorCoding(rows=64, width=128, dependent=True)

    def cost(row_skip: bool) -> tuple[float, int]:
        levels = quantize_rdo(w.reshape(-1), 1.0, coding, 0.35, row_skip=row_skip)
        bits = rate.estimate(TensorToEncode(coding, levels)).total
        zero_rows = int((~levels.reshape(64, 128).any(axis=1)).sum())
        return float(((w.reshape(-1) - levels) ** 2).sum()) + 0.35 * bits, zero_rows

    with_skips, without = cost(True), cost(False)
    assert with_skips[1] > without[1]
    assert with_skips[0] <= without[0]


@pytest.mark.parametrize("dependent", [False, True])
@pytest.mark.parametrize(("shape", "scan_order"), [((1, 50000), 0), ((250, 200), 0), ((250, 200), 2)])
@pytest.mark.parametrize("step", [0.01, 0.3, 2.0])
def test_the_estimate_is_within_half_a_percent(
    dependent: bool, shape: tuple[int, int], scan_order: int, step: float
) -> None:
    w = np.random.default_rng(5).laplace(0, 1, shape).astype(np.float32).reshape(-1)
    coding = TensorCoding(
        rows=shape[0], width=shape[1], dependent=dependent, scan_order=scan_order, unary_length=6
    )
    levels = quantize_rdo(w, step, coding, 0.1)
    for search in (False, True):
        real = 8 * len(
            encode_payload([TensorToEncode(coding, levels, search_initialisations=search)]).payload
        )
        assert rate.estimate_bits(levels, coding, search=search).total == pytest.approx(real, rel=0.005)


@pytest.mark.parametrize("effort", ["medium", "slow"])
@pytest.mark.parametrize("relative_error", [0.01, 0.1])
def test_the_error_asked_for_is_met_with_fewer_bits(effort: str, relative_error: float) -> None:
    w = np.random.default_rng(6).laplace(0, 1, (300, 200)).astype(np.float32)

    def measured(**options: Any) -> tuple[int, float]:
        stream = encode({"w": w}, **options)
        error = decode(stream)["w"].astype(np.float64) - w
        return len(stream), float(np.sqrt((error**2).mean() / (w.astype(np.float64) ** 2).mean()))

    size, error = measured(relative_error=relative_error, effort=effort)
    assert error == pytest.approx(relative_error, rel=0.02)
    plain, plain_error = measured(relative_error=relative_error, effort="fast", qp_density=5)
    # What the plain quantiser would need at the same error, by 6 dB a bit.
    assert size < plain + w.size / 8 * np.log2(plain_error / error)


@pytest.mark.parametrize("effort", ["medium", "slow"])
@pytest.mark.parametrize("relative_error", [0.1, 0.2, 0.4])
def test_weights_do_not_shrink(effort: str, relative_error: float) -> None:
    w = np.random.default_rng(6).laplace(0, 1, (300, 200)).astype(np.float32)
    decoded = decode(encode({"w": w}, relative_error=relative_error, effort=effort))["w"]
    error = np.linalg.norm(decoded - w) / np.linalg.norm(w)
    assert error == pytest.approx(relative_error, rel=0.02)
    # The least squared error at a rate would shrink them by the square of the relative error.
    assert np.vdot(w, decoded) / np.vdot(w, w) == pytest.approx(1, abs=0.006)


def test_explicit_steps_are_kept() -> None:
    w = np.random.default_rng(6).laplace(0, 1, (300, 200)).astype(np.float32)
    decoded = decode(encode({"w": w}, qp=0))["w"]
    assert np.array_equal(decoded, np.rint(decoded))
    assert np.vdot(w, decoded) / np.vdot(w, w) < 0.97


@pytest.mark.parametrize("effort", ["medium", "best"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 16, 64, 300])
def test_no_small_tensor_grows(size: int, effort: str) -> None:
    """Beside its raw values a tensor takes its header, whichever way it is coded."""
    w = np.random.default_rng(size).normal(0, 1, size).astype(np.float32)
    for relative_error in (0.0005, 0.02):
        stream = encode(
            {"w": w}, effort=effort, relative_error_1d=relative_error, raw_when_smaller=True,
            describe_source=False,
        )  # fmt: skip
        [unit] = [unit for _, unit, _ in iter_units(stream) if isinstance(unit, DataUnit)]
        assert len(unit.payload) <= w.nbytes


def bits_at_equal_error(w: np.ndarray[Any, Any], effort: str, relative_error: float) -> float:
    """Bits per weight, as if all errors were 1, by 6 dB a bit."""
    stream = encode({"w": w}, effort=effort, relative_error=relative_error)
    error = decode(stream)["w"].astype(np.float64) - w
    return 8 * len(stream) / w.size + float(np.log2((error**2).mean())) / 2


@pytest.mark.parametrize(("relative_error", "gain"), [(0.07, 0.001), (0.5, 0.003), (0.75, 0.003)])
def test_best_finds_fewer_bits(relative_error: float, gain: float) -> None:
    w = np.random.default_rng(1).laplace(0, 1, (300, 200)).astype(np.float32)
    medium, slowest = (bits_at_equal_error(w, effort, relative_error) for effort in ("medium", "best"))
    assert slowest < medium - gain


def test_sign_contexts_that_stay_just_above_even_save_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    # A single tensor may gain or lose as much by chance.
    tensors = [np.random.default_rng(seed).laplace(0, 1, (300, 400)).astype(np.float32) for seed in (1, 2, 3)]
    steady = sum(bits_at_equal_error(w, "slow", 0.07) for w in tensors)
    monkeypatch.setattr("nnr_codec.codec.encode.quantize.rdo_search._SLOW_STARTS", ())
    assert steady < sum(bits_at_equal_error(w, "slow", 0.07) for w in tensors) - 3 * 0.0002
