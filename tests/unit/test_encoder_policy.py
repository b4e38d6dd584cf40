# SPDX-License-Identifier: Apache-2.0
"""Treatment of tensors by role and values: exact coding, bounds of elements and rows, patterns, recipes, warnings."""

import json
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

from nnr_codec import Decoder, Encoder, EncoderConfig, NotEncodable, decode, describe, encode
from nnr_codec.codec.encode.quantize.tensor_roles import TensorRole, is_vector, role_of
from nnr_codec.errors import QualityWarning
from nnr_codec.model import PayloadType

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)
EFFORTS = ("fast", "medium")


def row_errors(x: Array, y: Array) -> Array:
    axes = tuple(range(1, x.ndim))
    return np.asarray(np.sqrt(((x - y) ** 2).sum(axes) / (x**2).sum(axes)))


@pytest.mark.parametrize(
    ("name", "values", "role"),
    [
        ("conv.bias", RNG.normal(size=40), TensorRole.BIAS),
        ("layer.scale", RNG.normal(size=(40, 1)), TensorRole.BIAS),
        ("norm.weight", RNG.uniform(0.5, 2, (1, 1, 40)), TensorRole.SCALE),
        ("bn.running_var", RNG.uniform(0.5, 2, 40), TensorRole.STATISTIC),
        ("bn.running_mean", RNG.normal(size=40), TensorRole.BIAS),
        ("anything", np.linspace(0, 1, 30), TensorRole.TABLE),
        ("anything", np.linspace(0, 1, 12), TensorRole.SCALE),
        ("diffusion.alphas_cumprod", RNG.normal(size=40), TensorRole.TABLE),
        ("rotary_emb.inv_freq", RNG.normal(size=4), TensorRole.TABLE),
        ("wte.weight", RNG.normal(size=(9, 4)), TensorRole.EMBEDDING),
        ("fc.weight", RNG.normal(size=(9, 4)), TensorRole.MATRIX),
        ("conv.weight", RNG.normal(size=(9, 1, 3, 3)), TensorRole.MATRIX),
        ("alpha.weight", RNG.normal(size=(9, 4)), TensorRole.MATRIX),
        ("freqs", np.outer(np.arange(40), 1 / 1e4 ** np.linspace(0, 1, 8)), TensorRole.TABLE),
        ("anything", np.linspace(1, -1, 400).reshape(20, 20), TensorRole.TABLE),
        ("q_proj.scales", RNG.normal(size=(9, 4)), TensorRole.TABLE),
        ("MatMul_Q4_scales", RNG.normal(size=(9, 4)), TensorRole.TABLE),
        ("scale_shift_table", RNG.normal(size=(9, 4)), TensorRole.MATRIX),
    ],
)
def test_roles(name: str, values: Array, role: TensorRole) -> None:
    assert role_of(name, values.shape, values.astype(np.float32).reshape(-1)) is role


@pytest.mark.parametrize(
    ("shape", "vector"), [((), True), ((1,), True), ((5, 1), True), ((1, 1, 5), True), ((2, 5), False)]
)
def test_one_extent_makes_a_vector(shape: tuple[int, ...], vector: bool) -> None:
    assert is_vector(shape) is vector


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize(
    ("values", "most_bits"),
    [
        (np.tril(np.ones((1, 1, 128, 128))), 0.15),
        (np.full((128, 128), 0.1), 0.02),
        (np.full(4096, 0.02), 0.1),
        (np.sign(RNG.normal(size=(128, 128))) * 0.02, 1.05),
        (RNG.integers(-1, 2, (128, 128)) * 0.043, 1.65),
        (RNG.integers(-8, 8, (128, 128)) * 0.0137, 4.15),
        (np.clip(np.round(RNG.normal(size=(512, 512)) * 25), -127, 127) * 0.002, 6.9),
        (RNG.choice([0.0, 1.0, 2.5], (128, 128)), 1.65),
        (np.eye(1000)[RNG.integers(0, 1000, 500)], 0.03),
        (np.arange(20000).reshape(100, 200) / 2, 15.9),
        (RNG.integers(0, 4000, (4000, 4)), 14),
        (RNG.choice([1e-20, 1.0], (64, 64)), 16.1),
    ],
)
def test_few_values_come_back_exactly(values: Array, most_bits: float, effort: str) -> None:
    values = values.astype(np.float32)
    stream = encode({"w": values}, effort=effort)
    assert len(stream) * 8 / values.size <= most_bits
    decoded = decode(stream)["w"]
    if most_bits < 16:
        assert np.array_equal(decoded, values)
    else:  # exponents that no 32 bits hold
        assert (row_errors(values, decoded) < 0.25).all()


@pytest.mark.parametrize(
    "options",
    [{}, {"effort": "fast"}, {"effort": "best"}, {"qp": -8}, {"relative_error": 0.5}, {"incremental": True}],
)
@pytest.mark.parametrize("value", [3.0, 0.044715, 0.7978845608, 1e-5, -0.5, 1e-12, 3e38, 0.0])
def test_scalars_come_back_exactly(value: float, options: dict[str, Any]) -> None:
    tensors = {"c": np.float32(value), "d": np.full((1, 1), value, np.float32)}
    decoded = decode(encode(tensors, **options))
    assert decoded["c"] == tensors["c"]
    assert np.array_equal(decoded["d"], tensors["d"])


def test_values_that_repeat_by_chance_are_not_worth_exactness() -> None:
    values = RNG.normal(size=(300, 300)).astype(np.float16).astype(np.float32)
    assert len(encode({"w": values})) * 8 / values.size < 6


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize(
    ("name", "values", "bound"),
    [
        ("bn.running_var", 10.0 ** RNG.uniform(-3, 9, 30), 1 / 125),
        ("bn.running_var", np.r_[1e-14, RNG.uniform(0.5, 2, 30)], 1 / 125),
        ("bn.running_mean", np.array([50.0, 4e4, 0.5, -0.05, 7]), 1 / 125),
        ("norm.weight", 10.0 ** RNG.uniform(-4, 1, (400, 1)), 1 / 125),
        ("alphas_cumprod", np.cumprod(1 - np.linspace(0.0015**0.5, 0.0195**0.5, 1000) ** 2), 2e-6),
        ("inv_freq", 1 / 5e5 ** (np.arange(0, 128, 2) / 128), 1e-3),
        ("x", np.geomspace(1e-30, 1, 40), 1e-7),
        ("onnx::BatchNormalization_3", 10.0 ** RNG.uniform(-4, 9, 64), 1 / 125),
        ("onnx::BatchNormalization_2", RNG.choice([-1, 1], 64) * 10.0 ** RNG.uniform(-3, 6, 64), 1 / 125),
    ],
)
def test_elements_keep_their_relative_error(name: str, values: Array, bound: float, effort: str) -> None:
    values = values.astype(np.float32)
    decoded = decode(encode({name: values}, effort=effort))[name]
    assert (np.abs(decoded - values) <= bound * np.abs(values)).all()


def test_frequencies_keep_the_phase() -> None:
    frequencies = (1 / 5e5 ** (np.arange(0, 128, 2) / 128)).astype(np.float32)
    decoded = decode(encode({"inv_freq": frequencies}))["inv_freq"]
    assert 8192 * np.abs(decoded - frequencies).max() < 1e-4


def matrices_of_wide_range() -> dict[str, Array]:
    weights = (RNG.normal(size=(256, 256)) * 0.02).astype(np.float32)
    spike, row = weights.copy(), weights.copy()
    spike[3, 5] = 1e4
    row[0] *= 1000
    spread = weights * np.exp(2 * RNG.normal(size=(256, 1))).astype(np.float32)
    return {"spike": spike, "row": row, "spread": spread, "convolution": spread.reshape(256, 16, 4, 4)}


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize(("name", "weights"), matrices_of_wide_range().items())
def test_no_row_is_lost_to_larger_ones(name: str, weights: Array, effort: str) -> None:
    stream = encode({name: weights}, effort=effort)
    errors = row_errors(weights, decode(stream)[name])
    assert errors.max() <= 0.25
    assert np.median(errors) <= 0.05
    assert len(stream) * 8 / weights.size <= 7.5


def test_one_weak_row_makes_the_step_finer() -> None:
    weights = RNG.normal(size=(64, 64)).astype(np.float32)
    weights[7] *= 0.03
    errors = row_errors(weights, decode(encode({"w": weights}))["w"])
    assert errors[7] <= 0.25
    assert errors.max() == errors[7]


def test_dead_rows_cost_nothing() -> None:
    weights = RNG.normal(size=(64, 64)).astype(np.float32)
    plain = len(encode({"w": weights}))
    weights[7] *= 1e-7
    assert len(encode({"w": weights})) <= plain


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize("effort", EFFORTS)
def test_what_is_not_finite_comes_back_beside_the_rest(dtype: Any, effort: str) -> None:
    weights = (RNG.normal(size=(200, 200)) * 0.02).astype(dtype)
    weights[1, 2], weights[5, :7], weights[9, 9] = np.nan, np.inf, -np.inf
    stream = encode({"w": weights}, effort=effort)
    decoded = decode(stream)["w"]
    finite = np.isfinite(weights)
    assert decoded.dtype == dtype
    assert np.array_equal(decoded[~finite], weights[~finite], equal_nan=True)
    assert np.abs(decoded[finite] - weights[finite]).max() < 0.002
    assert len(stream) < 200 * 200 * 0.85
    assert np.array_equal(decode(stream, names=["w"])["w"], decoded, equal_nan=True)
    assert np.array_equal(decode(stream, dequantize=False)["w"], decoded, equal_nan=True)


def test_masks_of_infinities_take_next_to_nothing() -> None:
    mask = np.triu(np.full((1, 1, 256, 256), -np.inf, np.float16), 1)
    stream = encode({"mask": mask})
    assert np.array_equal(decode(stream)["mask"], mask)
    assert len(stream) < 2000


def test_exact_and_keep_by_pattern() -> None:
    tensors = {
        "head.weight": RNG.normal(size=(20, 30)).astype(np.float32),
        "head.half": RNG.normal(size=(20, 30)).astype(np.float16),
        "head.double": RNG.normal(size=(20, 30)),
        "body.weight": RNG.normal(size=(20, 30)).astype(np.float32),
    }
    for option in ("exact", "keep"):
        stream = encode(tensors, **{option: ("head.*",)})
        decoded = decode(stream)
        for name in tensors:
            assert decoded[name].dtype == tensors[name].dtype
            assert np.array_equal(decoded[name], tensors[name]) is (name != "body.weight"), (option, name)
    kept = {tensor.name: tensor.payload_type for tensor in describe(stream).tensors}
    assert kept["head.weight"] is PayloadType.NNR_PT_RAW_FLOAT
    assert kept["head.half"] is None


@pytest.mark.parametrize("option", ["exact", "keep"])
def test_patterns_that_match_nothing_are_errors(option: str) -> None:
    with pytest.raises(NotEncodable, match=f"hed.* of {option}|'hed"):
        encode({"head": np.ones(3, np.float32)}, **{option: ("hed*",)})
    with pytest.raises(TypeError, match="tuple of patterns"):
        EncoderConfig(**{option: "head"})


def test_a_recipe_gives_the_options_back() -> None:
    config = EncoderConfig(
        effort="slow", exact=("a", "b*"), keep=("c",), qp_by_name=(("d*", -40),), relative_error=0.03
    )
    recipe = json.loads(json.dumps(config.to_recipe()))
    assert EncoderConfig.from_recipe(recipe) == config
    assert EncoderConfig.from_recipe(EncoderConfig().to_recipe()) == EncoderConfig()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"nnr_codec.recipe": 2}, ValueError),
        ({"efort": "fast"}, ValueError),
        ({"effort": "fastest"}, ValueError),
        ({"effort": 1}, TypeError),
        ({"exact": "a"}, TypeError),
        ({"exact": [1]}, TypeError),
        ({"qp": "8"}, TypeError),
        ({"qp": True}, TypeError),
        ({"checksum": 1}, TypeError),
        ({"qp_by_name": [["a"]]}, TypeError),
        ({"relative_error": None}, TypeError),
    ],
)
def test_a_wrong_recipe_says_so(change: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        EncoderConfig.from_recipe({"nnr_codec.recipe": 1, **change})
    with pytest.raises(ValueError, match="recipe"):
        EncoderConfig.from_recipe({"effort": "fast"})


def test_a_step_that_loses_rows_warns_and_names_the_tensor() -> None:
    weights = matrices_of_wide_range()
    with pytest.warns(QualityWarning, match=r"^fc\.weight: .* rows") as caught:
        encode({"fc.weight": weights["spread"]}, qp=0)
    [warning] = [entry.message for entry in caught if isinstance(entry.message, QualityWarning)]
    assert warning.path == "fc.weight"
    assert pickle.loads(pickle.dumps(warning)).path == "fc.weight"
    assert str(pickle.loads(pickle.dumps(warning))) == str(warning)
    with pytest.warns(QualityWarning, match=r"^bn\.running_var: .* elements"):
        encode({"bn.running_var": np.geomspace(1e-3, 1e9, 20).astype(np.float32)[::-1].copy()}, qp_1d=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encode({"w": RNG.normal(size=(40, 40)).astype(np.float32), "b": RNG.normal(size=40)}, qp=0, qp_1d=0)


def test_a_constant_is_no_left_out_zero_in_updates() -> None:
    encoder = Encoder(EncoderConfig(incremental=True))
    tensors = {"w": np.full((8, 8), 0.25, np.float32)}
    streams = [encoder.encode(tensors) for _ in range(2)]
    decoder = Decoder()
    for stream in streams:
        assert "w" in decoder.decode(stream)


@pytest.mark.parametrize(("shape", "most_bytes"), [((4, 6), 45), ((30,), 70)])
def test_tiny_tensors_are_small_without_a_search(shape: tuple[int, ...], most_bytes: int) -> None:
    tensors = {f"a{i}": RNG.normal(size=shape).astype(np.float32) for i in range(100)}
    stream = encode(tensors)
    assert len(stream) / len(tensors) <= most_bytes
    decoded = decode(stream)
    for name, weights in tensors.items():
        if len(shape) == 2:
            assert (row_errors(weights, decoded[name]) <= 0.25).all()
        else:
            floor = np.quantile(np.abs(weights), 0.25, method="higher")
            assert (
                np.abs(decoded[name] - weights) <= np.maximum(np.abs(weights), floor) / 125 * 1.0001
            ).all()


@pytest.mark.parametrize(
    ("shape", "rows"),
    [((64, 1, 3, 3), 1 / 16), ((32, 3, 3, 3), 1 / 16), ((64, 9), 1 / 4), ((64, 16, 1, 1), 1 / 4)],
)
def test_narrow_convolutions_keep_more(shape: tuple[int, ...], rows: float) -> None:
    weights = RNG.normal(size=shape).astype(np.float32)
    errors = row_errors(weights, decode(encode({"w": weights}))["w"])
    assert errors.max() <= rows
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(0.08 * rows, rel=0.3)


def test_large_weights_of_a_companded_matrix_keep_the_usual_error() -> None:
    weights = RNG.normal(size=(128, 256)).astype(np.float32)
    weights[:8] *= 1e-4
    decoded = decode(encode({"w": weights}))["w"]
    usual = np.sqrt(np.mean(weights**2))
    large = np.abs(weights) > 1.5 * usual
    assert np.sqrt(np.mean((decoded - weights)[large] ** 2)) <= 0.023 * usual
    assert row_errors(weights, decoded).max() <= 0.25


@pytest.mark.parametrize(
    "values",
    [
        1.7e9 + np.arange(100) / 7,
        RNG.normal(size=(40, 40)) * 1e-60,
    ],
)
def test_doubles_that_float32_would_ruin_come_back_exactly(values: Array) -> None:
    assert np.array_equal(decode(encode({"w": values}))["w"], values)
