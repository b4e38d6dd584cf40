# SPDX-License-Identifier: Apache-2.0
"""The documented promise of the default, over whole models: errors of elements and rows, and sizes."""

import math
import re
import warnings
from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnr_codec import decode, encode

Array = np.ndarray[Any, Any]

NAMES = (
    "layer.weight", "layer.bias", "bn.running_mean", "bn.running_var", "alphas_cumprod", "rotary.inv_freq", "embed.weight",
    "onnx::MatMul_12", "mask", "lora_A", "x", "Gewicht é", "model.layers.10.self_attn.q_proj.weight_scale",
)  # fmt: skip
TABLES = re.compile("cumprod|inv_freq")
#: Documented shares: elements of vectors, rows of matrices, rows that are held to nothing, tables.
ELEMENT, ROW, DEAD, TABLE = 1 / 125, 1 / 4, 2.0**-16, 2.0**-31


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.standard_normal(shape) * 10.0 ** rng.uniform(-8, 4)


def uneven_rows(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    rows = np.exp(
        rng.uniform(0.5, 5) * rng.standard_normal((shape[0] if shape else 1, *[1] * (len(shape) - 1)))
    )
    return rng.standard_normal(shape) * rows.reshape(rows.shape if shape else ())


def outliers(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    values = np.array(rng.standard_normal(shape) * 0.02)
    values.reshape(-1)[rng.integers(0, values.size, 2)] = 10.0 ** rng.uniform(0, 9)
    return values


def wide_elements(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.array(10.0 ** rng.uniform(-14, 9, shape) * rng.choice([1, rng.choice([-1, 1])], shape))


def constant(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.full(shape, rng.choice([0.0, 1.0, 0.1, -3e-7, 1e12]))


def few_values(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    count = int(rng.choice([1, 3, 16, 255]))
    return rng.integers(-(count // 2), count // 2 + 1, shape) * rng.uniform(0.001, 1)


def sparse(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.laplace(0, 1, shape) * (rng.random(shape) < 0.1)


def sorted_values(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.sort(np.cumprod(rng.uniform(0.5, 1, math.prod(shape)))).reshape(shape)


def tiny_and_huge(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.array(rng.standard_normal(shape) * 10.0 ** rng.choice([-44, -38, 20, 37]))


def not_finite(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    values = np.array(rng.standard_normal(shape))
    values.reshape(-1)[rng.integers(0, values.size, 3)] = rng.choice([np.nan, np.inf, -np.inf], 3)
    return values


KINDS = (
    normal, uneven_rows, outliers, wide_elements, constant, few_values, sparse, sorted_values, tiny_and_huge, not_finite,
)  # fmt: skip
DTYPES = ("f4", "f4", "f4", "f2", "f8", ml_dtypes.bfloat16, "i4", "i8")
#: Half a unit in the last place, relative and absolute, of the types to which decoded values are rounded.
ROUNDING = {"float16": (2.0**-11, 2.0**-25), "bfloat16": (2.0**-8, 2.0**-133)}
SHAPES = st.one_of(
    st.just(()),
    st.integers(1, 400).map(lambda n: (n,)),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.tuples(st.integers(1, 60), st.just(1)),
    st.tuples(st.just(1), st.just(1), st.integers(1, 200)),
    st.tuples(st.integers(1, 12), st.integers(1, 8), st.integers(1, 4), st.integers(1, 4)),
)


@st.composite
def models(draw: st.DrawFn) -> dict[str, Array]:
    tensors: dict[str, Array] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)):
        shape, kind = draw(SHAPES), draw(st.sampled_from(KINDS))
        dtype = np.dtype(draw(st.sampled_from(DTYPES)))
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        with np.errstate(all="ignore"):
            values = kind(rng, shape)
            if dtype.kind == "i":
                values = np.nan_to_num(values, posinf=0, neginf=0).clip(-(2.0**31), 2.0**31 - 1)
            tensors[name] = values.astype(dtype)
    return tensors


def bound_of_elements(name: str, x: Array) -> Array:
    """The documented bound of each element of a vector."""
    magnitudes = np.abs(x)
    largest = magnitudes.max()
    steps = np.diff(x)
    is_sorted = 16 <= x.size <= 65536 and bool((steps > 0).all() or (steps < 0).all())
    is_statistic = re.search(r"(^|[._])(running_|moving_)?(var|variance|std|stddev)$", name)
    if x.size <= 4 or TABLES.search(name) or (is_sorted and not is_statistic):
        return np.full(x.shape, TABLE * largest)
    if is_statistic:
        return ELEMENT * magnitudes
    if x.size <= 16 or (x >= 0).all() or (x <= 0).all():
        return ELEMENT * np.maximum(magnitudes, 2.0**-20 * largest)
    used = np.sort(magnitudes[magnitudes > 0])
    return ELEMENT * np.maximum(magnitudes, used[used.size // 4] if used.size else 0.0)


def assert_promise(name: str, source: Array, decoded: Array) -> None:
    assert decoded.shape == source.shape
    if source.dtype.kind == "i":
        assert np.array_equal(source, decoded)
        return
    # As the encoder takes them.
    with np.errstate(over="ignore", under="ignore"):
        x, y = source.astype(np.float32).astype(float), decoded.astype(float)
    finite = np.isfinite(x)
    if not np.isfinite(source.astype(float)[~finite]).any():
        assert np.array_equal(x[~finite], y[~finite], equal_nan=True)
    else:
        assert np.array_equal(source, decoded, equal_nan=True)
    x, y = np.where(finite, x, 0), np.where(finite, y, 0)
    relative, absolute = ROUNDING.get(source.dtype.name, (2.0**-24, 0.0))
    error = np.maximum(np.abs(x - y) - relative * np.maximum(np.abs(x), np.abs(y)) - absolute, 0)
    if x.size == max(x.shape, default=1):
        x, error = x.reshape(-1), error.reshape(-1)
        assert (error <= bound_of_elements(name, x) * (1 + 1e-6)).all(), name
        return
    rows = next(n for n in x.shape if n > 1)
    errors, scales = (np.sqrt(np.mean(v.reshape(rows, -1) ** 2, axis=1)) for v in (error, x))
    # The typical row's scale is at most the tensor's root mean square.
    bounded = scales >= DEAD * np.sqrt(np.mean(x**2))
    assert (errors[bounded] <= ROW * scales[bounded] * (1 + 1e-6)).all(), name


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(models(), st.sampled_from(["fast", "medium"]))
def test_every_element_and_row_keeps_the_promise(tensors: dict[str, Array], effort: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stream = encode(tensors, effort=effort)
    decoded = decode(stream)
    for name, x in tensors.items():
        assert_promise(name, x, decoded[name])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(models())
def test_no_stream_is_larger_than_the_model(tensors: dict[str, Array]) -> None:
    source = sum(x.nbytes + len(name) + 50 for name, x in tensors.items())
    assert len(encode(tensors)) <= 1.01 * source + 1024
