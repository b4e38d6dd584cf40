# SPDX-License-Identifier: Apache-2.0
"""What becomes of every kind of input: exact where the format allows, an error that names the tensor where not."""

from typing import Any

import numpy as np
import pytest

from nnr_codec import NotEncodable, decode, encode
from nnr_codec.codec.encode.effort import EFFORTS

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_come_back_exactly(dtype: str) -> None:
    limits = np.iinfo(dtype)
    low, high = max(limits.min, -(2**31)), min(limits.max, 2**31 - 1)
    array = np.array([[low, 0, 1], [high, low + 1, 7]], dtype)
    found = decode(encode({"counts": array}))["counts"]
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


def test_booleans_come_back_exactly() -> None:
    array = np.array([True, False, True])
    found = decode(encode({"mask": array}))["mask"]
    assert found.dtype == np.bool_
    assert np.array_equal(found, array)


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**62])
def test_integers_beyond_32_bits_come_back_exactly(value: int) -> None:
    steps = decode(encode({"steps": np.array([value], np.int64)}))["steps"]
    assert steps.dtype == np.int64
    assert steps.tolist() == [value]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_reals_keep_their_type_and_come_back_within_the_asked_error(dtype: str) -> None:
    array = np.random.default_rng(0).normal(0, 0.1, (40, 50)).astype(dtype)
    found = decode(encode({"w": array}, relative_error=0.01))["w"]
    assert found.dtype == array.dtype
    error = found.astype(np.float64) - array.astype(np.float64)
    assert np.sqrt((error**2).mean() / (array.astype(np.float64) ** 2).mean()) < 0.0125


@pytest.mark.parametrize("values", [[np.nan, 1.0], [np.inf, -np.inf, -0.0], [1e-45, np.nan]])
def test_tensors_that_are_not_finite_are_sent_exactly(values: list[float]) -> None:
    array = np.array(values, np.float32)
    found = decode(encode({"w": array}))["w"]
    assert found.tobytes() == array.tobytes()


def test_half_precision_that_is_not_finite_comes_back_exactly() -> None:
    array = np.array([np.nan, np.inf, 0.5], np.float16)
    found = decode(encode({"w": array}))["w"]
    assert found.dtype == np.float16
    assert np.array_equal(found, array, equal_nan=True)


def test_doubles_beyond_float32_come_back_exactly() -> None:
    w = decode(encode({"w": np.array([1.0, 1e300, np.inf])}))["w"]
    assert w.dtype == np.float64
    assert w.tolist() == [1.0, 1e300, np.inf]


@pytest.mark.parametrize(
    "shape", [(), (1,), (1, 1), (3, 1), (1, 3), (0,), (3, 0), (0, 3), (2, 1, 3), (1, 0, 2)]
)
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_shapes_come_back(shape: tuple[int, ...], dtype: str) -> None:
    array = np.ones(shape, dtype)
    found = decode(encode({"a": array}))["a"]
    assert found.shape == shape
    assert found.dtype == array.dtype
    assert np.allclose(found.astype(np.float64), 1.0, rtol=0.03)


def test_names_and_their_order_come_back_with_empty_tensors_between() -> None:
    tensors: dict[str, Any] = {
        "z": np.zeros((0, 2), np.float32),
        "weight/ü \n": np.ones((3, 4), np.float32),
        "": np.ones(5, np.float32),
        "empty": np.zeros(0, np.int8),
        "last": np.int64(7),
        "end": np.zeros((4, 0), np.float16),
    }
    assert list(decode(encode(tensors))) == list(tensors)


def test_a_model_without_tensors_has_a_stream() -> None:
    assert decode(encode({})) == {}


def test_arrays_in_any_layout_are_read_as_they_mean() -> None:
    array = np.arange(24, dtype=">i4").reshape(4, 6)[::2, ::-1].T
    found = decode(encode({"a": array}))["a"]
    assert np.array_equal(found, array)


@pytest.mark.parametrize(
    "array",
    [
        np.array(["text"]),
        np.array([1 + 2j]),
        np.array([[1 + 2j]], np.complex64),
        np.zeros(2, "datetime64[s]"),
        np.zeros(2, "S3"),
    ],
)
def test_arrays_without_arithmetic_come_back_exactly(array: np.ndarray[Any, Any]) -> None:
    restored = decode(encode({"odd": array}))["odd"]
    assert restored.dtype == array.dtype
    assert restored.shape == array.shape
    assert np.array_equal(restored, array)


def test_a_name_with_a_zero_byte_is_refused() -> None:
    with pytest.raises(NotEncodable):
        encode({"a\0b": np.ones(2, np.float32)})


def test_metadata_comes_back() -> None:
    from nnr_codec import Decoder

    decoder = Decoder()
    decoder.decode(
        encode({"a": np.ones(2, np.float32)}, kind="safetensors", metadata={"format": "pt", "é": "\0x"})
    )
    assert decoder.description.kind == "safetensors"
    assert decoder.description.metadata == {"format": "pt", "é": "\0x"}


def test_nothing_is_added_to_a_stream_that_needs_no_description() -> None:
    plain = {"w": np.ones((3, 4), np.float32), "i": np.arange(4, dtype=np.int32)}
    assert encode(plain) == encode(plain, describe_source=False)


def test_a_tensor_of_tiny_weights_is_not_flushed_to_zero() -> None:
    array = np.array([[1e-30, -2e-30], [3e-30, 1e-31]], np.float32)
    found = decode(encode({"w": array}))["w"]
    assert np.allclose(found, array, rtol=0.1, atol=1e-31)


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("scale", [1e-30, 1e-36, 1e-42])
def test_weights_below_every_step_come_back_exactly(scale: float, effort: str) -> None:
    array = (np.random.default_rng(1).normal(size=(60, 10)) * scale).astype(np.float32)
    assert np.array_equal(decode(encode({"w": array}, effort=effort))["w"], array)


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("relative_error", [1e300, 1e20, 1e-20, 1e-300])
def test_weights_come_back_exactly_at_errors_without_a_step(relative_error: float, effort: str) -> None:
    # Warnings are errors: nothing may overflow on the way.
    array = np.random.default_rng(1).normal(size=(60, 10)).astype(np.float32)
    assert np.array_equal(
        decode(encode({"w": array}, effort=effort, relative_error=relative_error))["w"], array
    )


def test_an_unreachable_qp_names_the_tensor() -> None:
    with pytest.raises(NotEncodable) as caught:
        encode({"w": np.full((2, 2), 1e30, np.float32)}, qp=-100)
    assert caught.value.path is not None
    assert caught.value.path.startswith("w")


@pytest.mark.parametrize("largest", [3.4e38, 1e38, -3.4e38])
@pytest.mark.parametrize("shape", [(4, 4), (5,)])
@pytest.mark.parametrize("effort", ["fast", "medium"])
def test_values_near_the_largest_float_come_back(largest: float, shape: tuple[int, ...], effort: str) -> None:
    array = np.full(shape, largest, np.float32)
    found = decode(encode({"w": array, "after": np.ones(3, np.float32)}, effort=effort))["w"]
    assert np.array_equal(found, array)


def test_no_finite_half_becomes_infinite() -> None:
    rng = np.random.default_rng(0)
    array = np.clip(rng.normal(0, 40_000, (16, 16)), -65504, 65504).astype(np.float16)
    found = decode(encode({"w": array, "inf": np.array([np.inf, 1], np.float16)}))
    assert np.isfinite(found["w"]).all()
    assert float(np.abs(found["w"].astype(np.float64) - array).max()) < 8000
    assert found["inf"].tolist() == [np.inf, 1]


def test_a_name_no_decoder_takes_is_refused() -> None:
    with pytest.raises(NotEncodable) as caught:
        encode({"n" * 5000: np.ones(2, np.float32)})
    assert caught.value.path is not None
    assert len(caught.value.path) < 100


@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("effort", ["fast", "medium"])
def test_arrays_anywhere_in_memory_are_taken(dtype: str, effort: str) -> None:
    plain = np.random.default_rng(0).normal(0, 9, (20, 30)).astype(dtype)
    # What a cluster's executor hands over may begin at any byte.
    odd = np.frombuffer(b"\0" + plain.tobytes(), dtype, offset=1).reshape(plain.shape)
    assert not odd.flags.aligned
    assert encode({"w": odd}, effort=effort) == encode({"w": plain}, effort=effort)
