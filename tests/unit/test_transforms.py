# SPDX-License-Identifier: Apache-2.0
"""Transforms and their inverses, in the stream and in float32."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nnr_codec import decode, encode
from nnr_codec.transform import (
    BatchNorm,
    Block,
    choose_rank,
    decompose,
    fit_scaling,
    fold_batch_norm,
    prune_rows,
    scale_rows,
    sort_units,
    sparsify,
    unfold_batch_norm,
)

Array = NDArray[Any]


def weight(rows: int = 40, width: int = 60, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(0, 0.1, (rows, width)).astype(np.float32)


def normed_layer(seed: int = 2) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {
        "conv.weight": rng.normal(0, 0.1, (16, 3, 3, 3)).astype(np.float32),
        "conv.bias": rng.normal(0, 0.1, 16).astype(np.float32),
        "norm.weight": rng.uniform(0.5, 2, 16).astype(np.float32),
        "norm.bias": rng.normal(0, 0.3, 16).astype(np.float32),
        "norm.running_mean": rng.normal(0, 0.3, 16).astype(np.float32),
        "norm.running_var": rng.uniform(0.2, 3, 16).astype(np.float32),
    }


def run_normed(tensors: dict[str, Array], x: Array, epsilon: float) -> Array:
    """The layer on patches x: float64[n, 27]."""
    t = {name: value.astype(np.float64) for name, value in tensors.items()}
    y = x @ t["conv.weight"].reshape(16, -1).T + t["conv.bias"]
    deviation = np.sqrt(t["norm.running_var"] + epsilon)
    return (y - t["norm.running_mean"]) / deviation * t["norm.weight"] + t["norm.bias"]


@pytest.mark.parametrize("importance", [None, 3.0 ** np.arange(-18, 19)])
def test_rows_that_were_scaled_come_back(importance: Array | None) -> None:
    w = weight(37)
    block = scale_rows(w, importance)
    assert block.weight is not None
    assert block.scaling is not None
    np.testing.assert_array_equal(block.weight * block.scaling[:, None], w)
    assert importance is None or len(set(block.scaling.tolist())) == 13


@pytest.mark.parametrize("dependent", [False, True])
def test_a_scaled_stream_is_put_together_by_one_product(dependent: bool) -> None:
    w = weight()
    block = scale_rows(w, 3.0 ** np.random.default_rng(8).integers(-9, 9, 40))
    stream = encode({"w": block}, dependent=dependent)
    parts, whole = decode(stream), decode(stream, recompose=True)
    np.testing.assert_array_equal(whole["w"], parts["w"] * parts["w_scaling"][:, None])
    np.testing.assert_array_equal(parts["w_scaling"], block.scaling)


@pytest.mark.parametrize("dependent", [False, True])
def test_factors_of_any_value_are_right_for_their_rows(dependent: bool) -> None:
    scaling = np.geomspace(0.02, 30, 40).astype(np.float32)
    restored = decode(encode({"w": Block(weight=weight(), scaling=scaling)}, dependent=dependent))[
        "w_scaling"
    ]
    np.testing.assert_allclose(restored[3:], scaling[3:], rtol=0.02)


def test_important_rows_come_back_finer() -> None:
    w = weight(64, 128)
    importance = np.where(np.arange(64) < 32, 64.0, 1.0)
    error = np.square(decode(encode({"w": scale_rows(w, importance)}), recompose=True)["w"] - w).mean(1)
    assert error[:32].mean() * 16 < error[32:].mean()


@pytest.mark.parametrize("with_bias", [False, True])
def test_a_folded_norm_computes_the_same(with_bias: bool) -> None:
    tensors = normed_layer()
    norm = BatchNorm.of_modules("conv", "norm", bias=with_bias)
    if not with_bias:
        del tensors["conv.bias"]
    folded = fold_batch_norm(tensors, [norm])
    assert set(folded) == {"conv.weight"}
    block = folded["conv.weight"]
    np.testing.assert_array_equal(block.weight, tensors["conv.weight"])
    unfolded = unfold_batch_norm(
        {"conv.weight": block.weight, "conv.weight_scaling": block.scaling, "norm.bias": block.bias}, [norm]
    )
    assert set(unfolded) == set(tensors)
    x = np.random.default_rng(3).normal(0, 1, (50, 27))
    without = {"conv.bias": np.zeros(16)}
    expected = run_normed(without | tensors, x, norm.epsilon)
    np.testing.assert_allclose(run_normed(without | unfolded, x, norm.epsilon), expected, atol=2e-6)


def test_a_folded_norm_through_a_stream() -> None:
    tensors = normed_layer()
    norm = BatchNorm.of_modules("conv", "norm", bias=True)
    stream = encode(fold_batch_norm(tensors, [norm]), relative_error=0.001)
    assert len(stream) < len(encode(tensors, relative_error=0.001))
    x = np.random.default_rng(4).normal(0, 1, (50, 27))
    expected = run_normed(tensors, x, norm.epsilon)
    restored = run_normed(unfold_batch_norm(decode(stream), [norm]), x, norm.epsilon)
    assert np.sqrt(np.square(restored - expected).mean()) < 0.01 * expected.std()


def test_factors_of_full_rank_are_the_weight() -> None:
    w = weight(12, 20).reshape(12, 5, 4)
    block = decompose(w, 12)
    assert block.factors is not None
    assert block.shape == w.shape
    np.testing.assert_allclose((block.factors[0] @ block.factors[1]).reshape(w.shape), w, atol=1e-6)


def test_factors_of_low_rank_leave_the_singular_values_behind() -> None:
    w = weight(30, 20)
    g, h = decompose(w, 5).factors or (w, w)
    s = np.linalg.svd(w.astype(np.float64), compute_uv=False)
    assert np.square(g.astype(np.float64) @ h - w).sum() == pytest.approx(np.square(s[5:]).sum(), rel=1e-4)
    with pytest.raises(ValueError, match="rank"):
        decompose(w, 21)


def test_a_factored_stream_is_put_together_by_one_product() -> None:
    w = weight(30, 8) @ weight(8, 50, seed=2)
    stream = encode({"w": decompose(w, 8), "other": w}, relative_error=0.01)
    parts, whole = decode(stream), decode(stream, recompose=True)
    assert set(parts) == {"w_G", "w_H", "other"}
    assert set(whole) == {"w", "other"}
    product = (parts["w_G"].astype(np.float64) @ parts["w_H"].astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(whole["w"], product)
    assert np.square(whole["w"] - w).sum() < 4e-4 * np.square(w).sum()


def test_a_rank_is_chosen_where_it_costs_less() -> None:
    low = weight(200, 10) @ weight(10, 300, seed=2)
    noisy = low + weight(200, 300, seed=3) * np.float32(0.02 * np.sqrt(np.square(low).mean()) / 0.1)
    rank = choose_rank(noisy, 0.1)
    assert rank is not None
    assert 5 <= rank <= 10
    plain = len(encode({"w": noisy}, relative_error=0.1))
    stream = encode({"w": decompose(noisy, rank)}, relative_error=0.07)
    whole = decode(stream, recompose=True)["w"]
    assert np.square(whole - noisy).sum() < 0.1**2 * np.square(noisy).sum()
    assert len(stream) < plain / 2
    assert choose_rank(weight(100, 100), 0.1) is None


@pytest.mark.parametrize("relative_error", [0.0, 1e-9, 1e-8, 1e-6, 1e-4, 0.01, 0.1])
def test_a_rank_that_is_chosen_meets_the_error(relative_error: float) -> None:
    rng = np.random.default_rng(9)
    for _ in range(3):
        w = (rng.normal(size=(60, 3)) @ rng.normal(size=(3, 80))).astype(np.float32)
        rank = choose_rank(w, relative_error)
        assert (rank == 3) if relative_error >= 0.01 else rank in (None, 3)
        if rank is not None:
            g, h = decompose(w, rank).factors or (w, w)
            assert np.square(g.astype(np.float64) @ h - w).sum() < relative_error**2 * np.square(w).sum()


def test_weights_that_have_no_factors() -> None:
    for empty in (np.zeros((0, 5)), np.zeros((5, 0)), np.zeros((0, 0, 3)), np.zeros((4, 4))):
        assert choose_rank(empty, 0.1) is None
    for value in (np.nan, np.inf, -np.inf, 1e200):
        w = weight().astype(np.float64)
        w[3, 4] = value
        with pytest.raises(ValueError, match="finite"):
            choose_rank(w, 0.1)
        with pytest.raises(ValueError, match="finite"):
            decompose(w, 2)
    with pytest.raises(ValueError, match="rows"):
        choose_rank(np.float32(1.0).reshape(()), 0.1)
    for relative_error in (np.nan, np.inf, -0.1):
        with pytest.raises(ValueError, match="relative error"):
            choose_rank(weight(), relative_error)


def test_sorted_units_compute_the_same_and_code_smaller() -> None:
    rng = np.random.default_rng(11)
    # A convolution whose channels are pooled to two by two, flattened into a layer, read by another.
    densities = rng.permutation(np.geomspace(0.002, 0.5, 40))
    tensors = {
        "conv.weight": (weight(40, 9) * (rng.random((40, 9)) < densities[:, None])).reshape(40, 1, 3, 3),
        "conv.bias": weight(40, 1, seed=5)[:, 0],
        "fc.weight": weight(60, 160, seed=6) * (rng.random((60, 160)) < np.repeat(densities, 4)),
        "fc.bias": weight(60, 1, seed=7)[:, 0],
        "out.weight": weight(10, 60, seed=8),
    }
    layers = ["conv.weight", "fc.weight", "out.weight"]

    def outputs(t: dict[str, np.ndarray]) -> np.ndarray:
        x = np.random.default_rng(12).normal(size=(5, 9, 4))
        channels = np.maximum(
            np.einsum("ci,nip->ncp", t["conv.weight"].reshape(40, 9), x) + t["conv.bias"][:, None], 0
        )
        hidden = np.maximum(channels.reshape(5, -1) @ t["fc.weight"].T + t["fc.bias"], 0)
        return np.asarray(hidden @ t["out.weight"].T)

    ordered = sort_units(tensors, layers)
    np.testing.assert_allclose(outputs(ordered), outputs(tensors), rtol=1e-5, atol=1e-6)
    sizes = [len(encode(model, qp=-24)) for model in (ordered, tensors)]
    assert sizes[0] < 0.98 * sizes[1]
    with pytest.raises(ValueError, match="units"):
        sort_units(tensors, ["fc.weight", "conv.weight"])


def test_units_that_cannot_be_sorted_are_named() -> None:
    tensors = {
        "a.weight": weight(4, 3),
        "a.bias": weight(1, 9)[0],
        "b": weight(2, 4),
        "s": np.float32(1.0).reshape(()),
    }
    with pytest.raises(ValueError, match=r"a\.bias"):
        sort_units(tensors, ["a.weight", "b"])
    for layers in (["s", "b"], ["b", "s"]):
        with pytest.raises(ValueError, match=r"\bs\b"):
            sort_units(tensors, layers)
    # Tied: what moves one use's units would move the other's inputs.
    square = {"u": weight(4, 4), "v": weight(4, 4, seed=2)}
    with pytest.raises(ValueError, match="u is named twice"):
        sort_units(square, ["u", "v", "u"])


def test_a_layer_without_units_stays_as_it_is() -> None:
    tensors = {"a.weight": weight(0, 3), "a.bias": weight(1, 0)[0], "b": weight(2, 0), "c": weight(3, 2)}
    ordered = sort_units(tensors, ["a.weight", "b", "c"])
    assert {name: t.shape for name, t in ordered.items()} == {name: t.shape for name, t in tensors.items()}
    with pytest.raises(ValueError, match="does not read the 0 units"):
        sort_units(tensors, ["a.weight", "c"])
    assert sort_units({"a": weight(4, 3), "b": weight(0, 4)}, ["a", "b"])["b"].shape == (0, 4)


@pytest.mark.parametrize("zeros", [0.0, 0.3, 1.0])
def test_sparsified_weights_keep_the_dearest(zeros: float) -> None:
    w = weight()
    importance = np.random.default_rng(5).uniform(0, 1, w.shape)
    sparse = sparsify(w, zeros, importance)
    assert np.count_nonzero(sparse) == w.size - round(zeros * w.size)
    kept = sparse != 0
    np.testing.assert_array_equal(sparse[kept], w[kept])
    cost = importance * np.square(w, dtype=np.float64)
    assert kept.all() or not kept.any() or cost[kept].min() >= cost[~kept].max()
    np.testing.assert_array_equal(decode(encode({"w": sparse}))["w"][~kept], 0)


def test_rows_are_pruned_whole_and_cost_a_flag() -> None:
    w = weight(64, 256)
    pruned, kept = prune_rows(w, 0.5)
    assert kept.sum() == 32
    assert not pruned[~kept].any()
    np.testing.assert_array_equal(pruned[kept], w[kept])
    assert np.square(w[kept]).sum(1).min() >= np.square(w[~kept]).sum(1).max()
    assert len(encode({"w": pruned}, qp=-20)) < len(encode({"w": w[kept]}, qp=-20)) + 64


def test_fitted_scaling_makes_up_for_rows_that_shrank() -> None:
    w = weight()
    coded = w * np.linspace(0.5, 1.5, 40, dtype=np.float32)[:, None]
    np.testing.assert_allclose(fit_scaling(w, coded), 1 / np.linspace(0.5, 1.5, 40), rtol=1e-5)
    x = np.random.default_rng(6).normal(0, 1, (500, 60)) @ np.random.default_rng(7).normal(0, 1, (60, 60))
    zeroed = sparsify(w, 0.6)
    matrix = x.T @ x / len(x)

    def loss(restored: Array) -> float:
        return float(np.square(x @ (restored - w).T).sum())

    scaled = zeroed * fit_scaling(w, zeroed, matrix)[:, None]
    assert loss(scaled) < loss(zeroed)
    assert loss(scaled) <= loss(zeroed * fit_scaling(w, zeroed)[:, None])


def test_a_block_is_whole() -> None:
    with pytest.raises(ValueError, match="weight or factors"):
        Block()
    with pytest.raises(ValueError, match="rows"):
        Block(weight=weight(), scaling=np.ones(3, np.float32))
