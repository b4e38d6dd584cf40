# SPDX-License-Identifier: Apache-2.0
"""Importance reduces errors of important weights, and its computation agrees with closed forms."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nnr_codec import Curvature, NotEncodable, _native, decode, encode
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.importance import mean_weight
from nnr_codec.entropy import TensorCoding, rate
from nnr_codec.quant import step_size
from nnr_codec.rate_control.allocation import allocate, reallocate, shapes_only

Array = NDArray[Any]
ROWS, WIDTH = 48, 96


def weight(seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(0, 0.1, (ROWS, WIDTH)).astype(np.float32)


def inputs(n: int = 2000, seed: int = 2) -> Array:
    """Correlated, as the inputs of layers are."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (n, WIDTH)) @ (
        rng.normal(0, 1, (WIDTH, WIDTH)) * 0.7 ** np.arange(WIDTH)[:, None]
    )


def bytes_and_loss(w: Array, loss: Any, **options: Any) -> tuple[int, float]:
    stream = encode({"w": w}, qp_density=5, **options)
    return len(stream), float(loss(decode(stream)["w"].astype(np.float64) - w))


@pytest.mark.parametrize("effort", ["fast", "medium"])
def test_an_array_moves_error_to_where_it_is_worth_less(effort: str) -> None:
    w = weight()
    importance = np.where(np.random.default_rng(3).random(w.shape) < 0.2, 10.0, 0.2)

    def loss(error: Array) -> float:
        return float((importance * np.square(error)).sum())

    plain = bytes_and_loss(w, loss, relative_error=0.15, effort="medium")
    weighed = bytes_and_loss(w, loss, relative_error=0.145, importance={"w": importance}, effort=effort)
    assert weighed[0] < 0.8 * plain[0]
    assert weighed[1] < plain[1]


def test_a_number_moves_the_step() -> None:
    tensors = {"a": weight(), "b": weight()}
    stream = encode(tensors, relative_error=0.1, importance={"a": 16.0}, qp_density=5)
    computed = decode(stream)
    errors = {name: np.square(computed[name] - tensors[name]).mean() for name in tensors}
    assert errors["b"] / errors["a"] == pytest.approx(16, rel=0.1)


def test_feedback_leaves_less_loss_at_fewer_bytes() -> None:
    w, x = weight(), inputs()
    matrix = x.T @ x / len(x)

    def loss(error: Array) -> float:
        return float(np.square(x @ error.T).sum())

    for dependent in (False, True):
        plain = bytes_and_loss(w, loss, relative_error=0.1, dependent=dependent)
        fed = bytes_and_loss(
            w, loss, relative_error=0.05, importance={"w": Curvature(matrix)}, dependent=dependent
        )
        assert fed[0] < 0.6 * plain[0]
        assert fed[1] < 0.1 * plain[1]


@pytest.mark.parametrize("dependent", [False, True])
def test_inputs_may_be_the_first_dimension(dependent: bool) -> None:
    w, x = weight(), inputs()
    matrix = x.T @ x / len(x)
    outputs = np.linspace(0.5, 2, ROWS)
    stored = np.ascontiguousarray(w.T)
    curvatures = {"w": Curvature(matrix, outputs), "stored": Curvature(matrix, outputs, inputs_first=True)}
    losses, sizes = {}, {}
    for name, array in {"w": w, "stored": stored}.items():
        stream = encode({name: array}, relative_error=0.05, importance=curvatures, dependent=dependent)
        losses[name] = curvatures[name].loss(decode(stream)[name] - array)
        sizes[name] = len(stream)
    assert losses["stored"] == pytest.approx(losses["w"], rel=0.35)
    assert sizes["stored"] < 1.2 * sizes["w"]


def test_wide_rows_searched_in_turns_lose_little() -> None:
    rng = np.random.default_rng(5)
    w = rng.normal(0, 0.1, (40, 1100)).astype(np.float32)
    factor = rng.normal(0, 1, (1500, 1100)) * np.exp(rng.normal(0, 0.5, 1100))
    curvature = Curvature(factor.T @ factor)
    for dependent in (False, True):
        coding = TensorCoding(rows=40, width=1100, dependent=dependent)
        losses = []
        for lines in (1, 16):
            levels = np.empty(w.size, np.int32)
            factored = curvature.factor
            _native.quantize_feedback(
                w.reshape(-1), 0.04, coding, levels, lambda_=0.1,
                coefficients=(factored / np.diagonal(factored)).astype(np.float32).reshape(-1),
                column_weights=(curvature.column_weights / curvature.column_weights.mean()).astype(np.float32), lines=lines,
            )  # fmt: skip
            # The levels are decodable: coded values exist for all of them.
            rate.coded_values(levels, dependent)
            losses.append(curvature.loss(w - np.float32(0.04) * levels.reshape(w.shape)))
        assert losses[1] < 1.04 * losses[0]


def test_rows_of_a_curvature_are_weighed() -> None:
    w, x = weight(), inputs()
    rows = np.where(np.arange(ROWS) % 2, 25.0, 1.0)
    curvature = Curvature(x.T @ x / len(x), rows, damping=1e-6)
    computed = decode(encode({"w": w}, relative_error=0.3, importance={"w": curvature}))["w"]
    by_row = np.square(x @ (computed - w).T).sum(0)
    assert by_row[rows > 1].mean() < by_row[rows == 1].mean()
    assert curvature.loss(computed - w) == pytest.approx((rows * by_row).sum() / len(x), rel=1e-3)


def test_importance_that_does_not_suit_is_refused() -> None:
    for wrong in (np.ones((3, 3)), -1.0, 0.0, np.full((ROWS, WIDTH), np.nan), Curvature(np.eye(WIDTH + 1))):
        with pytest.raises(NotEncodable) as caught:
            encode({"w": weight()}, importance={"w": wrong})
        assert caught.value.path == "w"


def test_importance_of_zeros_tells_nothing_apart() -> None:
    w, matrix = weight(), np.cov(inputs().T)
    plain = encode({"w": w})
    assert encode({"w": w}, importance={"w": np.zeros(w.shape)}) == plain
    assert encode({"w": w}, importance={"w": Curvature(matrix, np.zeros(ROWS))}) == plain
    assert Curvature(matrix, np.zeros(ROWS)).mean_weight() == 0


def test_rows_worth_nothing_in_the_sample_do_not_settle_the_step() -> None:
    tall = np.random.default_rng(9).normal(0, 0.1, (900, WIDTH)).astype(np.float32)
    matrix = np.eye(WIDTH)
    rows = np.where(np.arange(900) < 800, 0.0, 2.0)
    computed = decode(encode({"w": tall}, relative_error=0.05, importance={"w": Curvature(matrix, rows)}))[
        "w"
    ]
    error = np.square(computed - tall)[800:].mean() / np.square(tall[800:]).mean()
    assert 0.25 * 0.05**2 / 9 < error < 2 * 0.05**2


@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e300, 1.7e308])
def test_the_scale_of_importance_does_not_matter(scale: float) -> None:
    w, matrix = weight(), np.cov(inputs().T)
    ones = np.ones(w.shape)
    assert encode({"w": w}, importance={"w": scale * ones}) == encode({"w": w}, importance={"w": ones})
    assert mean_weight(scale * ones) == pytest.approx(scale)
    rows = Curvature(matrix, np.full(ROWS, scale))
    assert rows.mean_row_weight() == pytest.approx(scale)
    assert encode({"w": w}, importance={"w": rows}) == encode({"w": w}, importance={"w": Curvature(matrix)})
    # Where feedback cannot be, its diagonal is what counts.
    computed, expected = (
        encode({"w": w}, importance={"w": c}, scan_order=1) for c in (rows, Curvature(matrix))
    )
    assert computed == expected


def test_a_number_out_of_all_proportion_is_refused() -> None:
    for wrong in (1e-300, 1e300, 1e-20, np.inf, np.nan):
        with pytest.raises(NotEncodable) as caught:
            encode({"w": weight()}, importance={"w": wrong})
        assert caught.value.path == "w"
    for large in (1e-19, 1e-6, 1e6, 1e12):
        assert np.isfinite(decode(encode({"w": weight()}, importance={"w": large}))["w"]).all()


def test_mean_weight_is_of_finite_importance() -> None:
    for wrong in (np.nan, np.inf, -1.0, np.array([1.0, np.nan])):
        with pytest.raises(NotEncodable):
            mean_weight(wrong)


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("square", (np.ones((2, 3)),)),
        ("finite", (np.full((3, 3), np.nan),)),
        ("finite", (np.diag([1.0, np.inf, 1.0]),)),
        ("trace", (np.eye(3) * 1e300,)),
        ("symmetric", (np.triu(np.ones((3, 3))),)),
        ("semidefinite", (np.diag([1.0, -1.0, 3.0]),)),
        ("row weights", (np.eye(3), np.array([1.0, np.nan]))),
        ("row weights", (np.eye(3), np.array([1.0, np.inf]))),
        ("row weights", (np.eye(3), np.array([1.0, -1.0]))),
        ("row weights", (np.eye(3), np.ones((2, 1)))),
        ("damping", (np.eye(3), None, np.inf)),
        ("damping", (np.eye(3), None, np.nan)),
        ("damping", (np.eye(3), None, 0.0)),
    ],
)
def test_a_curvature_is_what_it_says(message: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=message):
        Curvature(*arguments)


def test_other_rows_are_checked_and_keep_the_factor() -> None:
    curvature = Curvature(np.cov(inputs().T))
    factor = curvature.factor
    other = curvature.of_rows(np.ones(ROWS))
    assert other.factor is factor
    assert curvature.row_weights is None
    with pytest.raises(ValueError, match="row weights"):
        curvature.of_rows(-np.ones(ROWS))


def test_a_matrix_that_is_not_semidefinite_is_refused_by_name() -> None:
    # Its diagonal does not show it.
    matrix = np.full((WIDTH, WIDTH), -1.0) + 2 * np.eye(WIDTH)
    with pytest.raises(ValueError, match="semidefinite"):
        Curvature(matrix).mean_weight()
    with pytest.raises(NotEncodable, match="semidefinite") as caught:
        encode({"w": weight()}, importance={"w": Curvature(matrix)})
    assert caught.value.path == "w"


def test_allocation_makes_worth_times_squared_step_equal() -> None:
    rng = np.random.default_rng(4)
    tensors = {
        name: rng.normal(0, scale, (50, 80)) for name, scale in (("a", 1.0), ("b[0]", 0.1), ("c", 0.5))
    }
    worths = {"a": 1.0, "b[0]": 400.0, "c": 9.0}
    importance: dict[str, Any] = {
        "a": 1.0,
        "b[0]": np.full((50, 80), 400.0),
        "c": Curvature(9.0 * np.eye(80)),
    }
    config = allocate(tensors, importance, loss=40.0, config=EncoderConfig(effort="fast"))
    steps = {name: step_size(config.qp_for_name(name) or 0, config.density) for name in tensors}
    products = [worths[name] * steps[name] ** 2 for name in tensors]
    # QPs are whole: a step is met to half of 2 ** (1 / 32).
    assert max(products) / min(products) < 1.06
    assert set(shapes_only(importance)) == {"b[0]", "c"}
    computed = decode(encode(tensors, config))
    spent = sum(worths[name] * np.square(computed[name] - tensors[name]).sum() for name in tensors)
    assert spent == pytest.approx(40.0, rel=0.1)


def test_reallocation_makes_measured_losses_of_weights_equal_at_the_same_mean_rate() -> None:
    rng = np.random.default_rng(4)
    tensors = {"a": rng.normal(size=(50, 80)), "b[0]": rng.normal(size=(25, 80)), "c": rng.normal(size=9)}
    foretold: dict[str, Any] = dict.fromkeys(tensors, 1.0)
    config = allocate(tensors, foretold, loss=40.0)
    true = {"a": 1.0, "b[0]": 64.0, "c": 1.0}

    def losses(of: EncoderConfig) -> dict[str, float]:
        steps = {name: step_size(of.qp_for_name(name) or 0, of.density) for name in true}
        return {name: true[name] * tensors[name].size * steps[name] ** 2 for name in ("a", "b[0]")}

    moved = reallocate(config, tensors, losses(config))
    shares = [loss / tensors[name].size for name, loss in losses(moved).items()]
    assert max(shares) / min(shares) < 1.1
    # Three octaves between them, of which the larger tensor moves by one.
    assert (moved.qp_for_name("a") or 0) - (config.qp_for_name("a") or 0) == 1 << config.density
    assert (moved.qp_for_name("b[0]") or 0) - (config.qp_for_name("b[0]") or 0) == -2 << config.density
    assert moved.qp_for_name("c") == config.qp_for_name("c")
    assert reallocate(config, tensors, dict.fromkeys(tensors, 0.0)) == config
