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
from nnr_codec.frameworks import torch_importance
from nnr_codec.frameworks.embedding_rows import _means_by_octave, _relative_weight_per_use
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


torch = pytest.importorskip("torch")


def linear(seed: int = 5) -> Any:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(6, 4))


def test_sensitivity_of_a_linear_layer_is_its_inputs_mean_square() -> None:
    model, x = linear(), torch.randn(4000, 6) * torch.arange(1, 7)
    computed = torch_importance.output_sensitivity(model, x.split(1), probes=1, damping=0.0)
    expected = np.broadcast_to(x.square().mean(0).numpy(), (4, 6))
    np.testing.assert_allclose(computed["0.weight"], expected, rtol=0.15)
    np.testing.assert_allclose(computed["0.bias"], np.ones(4), rtol=0.15)


def test_damping_gives_unused_weights_a_share_of_the_mean() -> None:
    model, x = linear(), torch.randn(64, 6) * torch.tensor([1.0, 1, 1, 1, 1, 0])
    plain = torch_importance.output_sensitivity(model, [x], damping=0.0)["0.weight"]
    damped = torch_importance.output_sensitivity(model, [x], damping=0.1)["0.weight"]
    assert not plain[:, 5].any()
    np.testing.assert_allclose(damped, plain + 0.1 * plain.mean(), rtol=1e-5)


def test_fisher_information_is_the_mean_squared_gradient() -> None:
    model, x = linear(), torch.randn(10, 6)
    labels = torch.arange(10) % 4

    def losses(net: Any, batch: Any) -> Any:
        return torch.nn.functional.cross_entropy(net(batch[0]), batch[1], reduction="none")

    computed = torch_importance.fisher_information(model, [(x, labels)], losses, damping=0.0)["0.weight"]
    squares = []
    for row, label in zip(x, labels, strict=True):
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(row[None]), label[None]).backward()
        squares.append(model[0].weight.grad.square().numpy())
    np.testing.assert_allclose(computed, np.mean(squares, 0), rtol=1e-4, atol=1e-7)
    with pytest.raises(ValueError, match="reduction"):
        torch_importance.fisher_information(model, [(x, labels)], lambda *_: losses(*_).mean())


def test_variances_over_snapshots() -> None:
    values = np.random.default_rng(6).normal(0, 1, (9, 3, 5))
    computed = torch_importance.inverse_variances(({"w": v} for v in values), prior_samples=0.0)
    np.testing.assert_allclose(computed["w"], 1 / values.var(0), rtol=1e-4)
    with pytest.raises(ValueError, match="two"):
        torch_importance.inverse_variances([{"w": values[0]}])


LAYERS = {
    "linear": (lambda: torch.nn.Linear(7, 5), (11, 3, 7)),
    "conv1d": (lambda: torch.nn.Conv1d(3, 5, 4, stride=2, padding=1, dilation=2), (6, 3, 21)),
    "conv2d": (lambda: torch.nn.Conv2d(3, 5, (3, 2), stride=(1, 2), padding=(1, 0)), (4, 3, 9, 8)),
    "same": (lambda: torch.nn.Conv2d(3, 5, 3, padding="same", padding_mode="reflect"), (4, 3, 9, 8)),
}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("by_output", [False, True])
def test_a_curvature_foretells_how_a_layers_output_changes(kind: str, by_output: bool) -> None:
    make, shape = LAYERS[kind]
    torch.manual_seed(7)
    model = torch.nn.Sequential(make())
    x = torch.randn(shape)
    curvature = torch_importance.layer_curvatures(model, [x], by_output=by_output, damping=1e-9)["0.weight"]
    assert isinstance(curvature, Curvature)
    assert (curvature.row_weights is not None) == by_output
    before = model(x)
    error = torch.randn(model[0].weight.shape) * 0.01
    with torch.no_grad():
        model[0].weight += error
    change = float((model(x) - before).square().sum().detach())
    positions = before.numel() / 5
    if not by_output:
        assert curvature.loss(error.numpy()) * positions == pytest.approx(change, rel=1e-3)
    else:
        # Of random combinations of outputs, whose squared derivatives are 1 on average.
        assert curvature.loss(error.numpy()) * shape[0] == pytest.approx(change, rel=0.5)


def test_inputs_without_effect_do_not_shape_a_curvature() -> None:
    class Gated(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 3)

        def forward(self, x: Any) -> Any:
            return self.layer(x) * (x[:, :1] > 0)

    model, x = Gated(), torch.randn(4000, 4)
    x[x[:, 0] <= 0] *= 100
    computed = torch_importance.layer_curvatures(model, [x])["layer.weight"]
    assert isinstance(computed, Curvature)
    np.testing.assert_allclose(np.diagonal(computed.matrix), np.ones(4), rtol=0.2)


def test_rows_of_an_embedding_count_by_use() -> None:
    model = torch.nn.Sequential(torch.nn.Embedding(6, 3))
    ids = torch.tensor([[0, 0, 0, 1, 1, 2]])
    computed = torch_importance.layer_curvatures(model, [ids], by_output=False)["0.weight"]
    assert isinstance(computed, np.ndarray)
    assert computed.shape == (6, 1)
    assert computed[0] > computed[1] > computed[2] > 0
    assert computed.sum() == pytest.approx(1)
    assert (computed[3:] == computed[3]).all()
    assert 0 < computed[3, 0] < computed[2, 0]


def test_an_embeddings_curvature_is_that_of_its_derivatives() -> None:
    torch.manual_seed(8)
    model = torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.Linear(4, 3))
    ids = torch.randint(0, 9, (200, 5))
    computed = torch_importance.layer_curvatures(model, ids.split(1), damping=1e-9)["0.weight"]
    assert isinstance(computed, Curvature)
    before = model(ids)
    error = torch.randn(9, 4) * 0.01
    with torch.no_grad():
        model[0].weight += error
    change = float((model(ids) - before).square().sum().detach())
    assert computed.loss(error.numpy()) * len(ids) == pytest.approx(change, rel=0.15)


def test_rows_of_an_embedding_weigh_what_a_use_of_such_rows_is_worth_and_uses_counted_elsewhere() -> None:
    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows = torch.nn.Embedding(64, 4)

        def forward(self, ids: Any) -> Any:
            # Rows from 32 on, the rare ones, matter three times as much.
            return self.rows(ids) * torch.where(ids >= 32, 3.0, 1.0)[..., None]

    ids = torch.cat([torch.randint(0, 32, (4000,)), torch.randint(32, 64, (400,))])[:, None]
    computed = torch_importance.layer_curvatures(Scaled(), [ids])["rows.weight"]
    assert isinstance(computed, Curvature)
    assert computed.row_weights is not None
    common, rare = computed.row_weights[:32], computed.row_weights[32:]
    assert rare.sum() / common.sum() == pytest.approx(0.1 * 9, rel=0.2)
    # Counted elsewhere, all are used alike, and a use is worth what rows of that number of uses were worth on the mean.
    elsewhere = torch_importance.layer_curvatures(Scaled(), [ids], uses={"rows.weight": np.full(64, 50.0)})
    counted = elsewhere["rows.weight"]
    assert isinstance(counted, Curvature)
    np.testing.assert_allclose(counted.row_weights, np.full(64, len(ids) / 64 / len(ids)))


def test_the_most_used_row_may_have_no_gradient() -> None:
    counts, squares = np.array([1000.0, 3, 1]), np.array([0.0, 2, 1])
    computed = _means_by_octave(counts, squares, np.array([500.0, 3, 1]))
    # That of 3 uses is known; of the others fewer were seen, or nothing.
    np.testing.assert_allclose(computed, [2, 2, 2])
    weights_of_loss = _relative_weight_per_use(counts, squares)
    assert weights_of_loss[0] == 0
    assert (weights_of_loss[1:] > 0).all()
