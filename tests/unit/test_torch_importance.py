# SPDX-License-Identifier: Apache-2.0
"""Importance and curvature of PyTorch modules agree with closed forms."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nnr_codec import Curvature
from nnr_codec.frameworks import torch_importance
from nnr_codec.frameworks.embedding_rows import _means_by_octave, _relative_weight_per_use

Array = NDArray[Any]

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


def test_outputs_without_effect_keep_a_weight_and_parameters_their_gradients() -> None:
    class First(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 3)
            self.frozen = torch.nn.Parameter(torch.ones(1), requires_grad=False)

        def forward(self, x: Any) -> Any:
            return self.layer(x)[:, :1].relu_() * self.frozen

    model = First()
    computed = torch_importance.layer_curvatures(model, [torch.ones(8, 4)], damping=0.25)["layer.weight"]
    assert isinstance(computed, Curvature)
    rows = computed.row_weights
    assert rows is not None
    np.testing.assert_allclose(rows[1:] / (rows[0] - rows[1]), 0.25 / 3, rtol=1e-5)
    assert [parameter.requires_grad for parameter in model.parameters()] == [False, True, True]
    assert all(parameter.grad is None for parameter in model.parameters())


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


def test_rows_are_damped_apart_from_columns() -> None:
    model, x = linear(), torch.randn(50, 6)
    plain, damped = (
        torch_importance.layer_curvatures(
            model, [x], lambda m, x: m(x) * torch.tensor([1.0, 1, 0, 0]), **options
        )["0.weight"]
        for options in ({"damping": 1e-6}, {"damping": 1e-6, "row_damping": 0.5})
    )
    assert isinstance(plain, Curvature)
    assert isinstance(damped, Curvature)
    assert plain.row_weights is not None
    assert damped.row_weights is not None
    np.testing.assert_allclose(
        damped.row_weights, plain.row_weights + 0.5 * plain.row_weights.mean(), rtol=1e-4
    )
    assert damped.damping == plain.damping


def test_only_named_weights_are_measured() -> None:
    model, x = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.Linear(4, 3)), torch.randn(20, 6)
    everything = torch_importance.layer_curvatures(model, [x])
    computed = torch_importance.layer_curvatures(model, [x], names=["1.weight"])
    assert list(everything) == ["0.weight", "1.weight"]
    assert list(computed) == ["1.weight"]
    one, other = everything["1.weight"], computed["1.weight"]
    assert isinstance(one, Curvature)
    assert isinstance(other, Curvature)
    np.testing.assert_array_equal(other.matrix, one.matrix)


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
