# SPDX-License-Identifier: Apache-2.0
"""Allocation of the relative error between the matrices of a model."""

import math

import numpy as np
import pytest

import nnr_codec
from nnr_codec.codec.encode.quantize.error_allocation import error_factors


def test_the_only_matrix_has_the_error_of_the_configuration():
    assert error_factors({"w": (300, 784), "b": (300,)}) == {"w": pytest.approx(1.0)}


def test_squared_errors_grow_with_the_size_of_a_layer():
    factors = error_factors({"large": (400, 400), "small": (100, 100)})
    assert factors["large"] / factors["small"] == pytest.approx(4.0)


def test_the_mean_logarithm_over_all_weights_is_zero():
    shapes = {"conv": (20, 10, 3, 3), "middle": (256, 256), "last": (10, 512)}
    factors = error_factors(shapes)
    octaves = sum(math.prod(shape) * math.log2(factors[name]) for name, shape in shapes.items())
    assert octaves == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", ["token_embd.weight", "transformer.wte.weight", "model.embed_tokens.weight"])
def test_embeddings_that_may_be_heads_get_a_smaller_error_and_do_not_move_the_layers(name):
    layers = {"a": (64, 64), "b": (256, 64)}
    factors = error_factors(layers | {name: (50000, 64)})
    assert factors.pop(name) == 2.0**-0.5
    assert factors == error_factors(layers)


@pytest.mark.parametrize(
    "others",
    [
        {"lm_head.weight": (50000, 64)},
        {"output.weight": (50000, 64)},
        {"embeddings.token_type_embeddings.weight": (2, 64)},
    ],
)
def test_embeddings_that_are_no_heads_are_layers(others):
    factors = error_factors({"a": (64, 64), "embed_tokens.weight": (50000, 64)} | others)
    assert factors["embed_tokens.weight"] > 1.0


@pytest.mark.parametrize("head", ["cls.predictions.bias", "lm_head.bias", "lm_head.dense.weight"])
def test_embeddings_of_encoders_with_a_head_of_shared_weights_get_a_smaller_error(head):
    shapes = {
        "a": (64, 64),
        "embeddings.word_embeddings.weight": (50000, 64),
        "token_type_embeddings": (2, 64),
    }
    shapes[head] = (64, 64) if head.endswith("weight") else (50000,)
    assert error_factors(shapes)["embeddings.word_embeddings.weight"] == 2.0**-0.5


@pytest.mark.parametrize(
    "name", ["lm_head.weight", "classifier.weight", "model/head/kernel", "output.weight"]
)
def test_last_matrices_get_at_most_half_the_error(name):
    layers = {"a": (64, 64), "b": (256, 64)}
    factors = error_factors(layers | {name: (50000, 64)})
    assert factors.pop(name) == 0.5
    assert factors == error_factors(layers)
    assert error_factors(layers | {name: (10, 64)})[name] < 0.3


@pytest.mark.parametrize("name", ["classifier.0.weight", "attention.output.dense.weight", "heads.1.conv"])
def test_other_layers_of_such_names_are_no_last_matrices(name):
    shapes = {"a": (64, 64), name: (64, 64)}
    assert error_factors(shapes) == {"a": pytest.approx(1.0), name: pytest.approx(1.0)}


@pytest.mark.parametrize(
    ("finer", "coarser"),
    [
        ("blk.0.attn_v.weight", "blk.0.attn_q.weight"),
        ("layers.0.self_attn.v_proj.weight", "layers.0.self_attn.k_proj.weight"),
        ("layer.0.attention.self.value.weight", "layer.0.attention.self.query.weight"),
        ("h/attention/value/kernel", "h/attention/key/kernel"),
        ("blk.0.attn_v.weight", "blk.0.attn_output.weight"),
        ("layers.0.self_attn.v_proj.weight", "layers.0.self_attn.o_proj.weight"),
        ("blk.0.ffn_down.weight", "blk.0.ffn_gate.weight"),
        ("layers.0.mlp.down_proj.weight", "layers.0.mlp.gate_proj.weight"),
    ],
)
def test_roles_of_transformers_differ_by_an_octave(finer, coarser):
    factors = error_factors({finer: (64, 64), coarser: (64, 64)})
    assert factors[coarser] == pytest.approx(2**0.5)
    assert factors[finer] == pytest.approx(2**-0.5)


def test_vectors_and_empty_tensors_have_no_factor():
    assert error_factors({"norm": (64,), "column": (64, 1), "empty": (0, 3)}) == {}


def test_factors_of_tiny_layers_are_bounded():
    factors = error_factors({"tiny": (2, 2), "large": (2000, 2000)})
    assert factors["tiny"] == 2.0**-6


@pytest.mark.parametrize("effort", ["fast", "medium"])
def test_decoded_errors_follow_the_allocation(effort):
    generator = np.random.default_rng(1)
    tensors = {
        "large": generator.standard_normal((400, 400)).astype(np.float32),
        "small": generator.standard_normal((100, 100)).astype(np.float32),
    }
    decoded = nnr_codec.decode(nnr_codec.encode(tensors, effort=effort))
    errors = {name: float(np.sqrt(np.mean(np.square(decoded[name] - tensors[name])))) for name in tensors}
    # Steps of effort `fast` are a power of 2^(1/4), rounded down for each tensor.
    assert 3.2 < errors["large"] / errors["small"] < 5.0


def test_a_larger_error_does_not_weaken_the_bound_of_rows():
    generator = np.random.default_rng(2)
    large = generator.standard_normal((512, 512)).astype(np.float32)
    large[7] *= 0.03
    small = {f"small{i}": generator.standard_normal((64, 64)).astype(np.float32) for i in range(64)}
    decoded = nnr_codec.decode(nnr_codec.encode({"large": large} | small, effort="fast"))
    errors = np.linalg.norm(decoded["large"] - large, axis=1) / np.linalg.norm(large, axis=1)
    assert error_factors({"large": (512, 512)} | dict.fromkeys(small, (64, 64)))["large"] > 2
    assert errors.max() <= 0.25
