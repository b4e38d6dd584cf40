# SPDX-License-Identifier: Apache-2.0
"""The decoder returns the encoder's levels for all shapes, types and options."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnr_codec import Encoder, EncoderConfig, NnrError, QuantizedTensor, decode, encode
from nnr_codec.codec.encode.tensor_encoder import encode_tensor
from nnr_codec.codec.encode.tensor_job import TensorJob

SHAPES = (
    st.lists(st.integers(1, 24), min_size=1, max_size=4)
    .filter(lambda shape: np.prod(shape) <= 4000)
    .map(tuple)
)


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(SHAPES)
    scale = 10.0 ** draw(st.integers(-6, 4))
    kind = draw(st.sampled_from(["laplace", "normal", "sparse", "zero rows", "constant", "integer"]))
    if kind == "integer":
        return rng.integers(-(2 ** draw(st.integers(0, 31))), 2 ** draw(st.integers(0, 31)), shape).astype(
            np.int32
        )
    values = rng.normal(0, scale, shape) if kind == "normal" else rng.laplace(0, scale, shape)
    if kind == "sparse":
        values *= rng.random(shape) < 0.05
    if kind == "zero rows":
        values[rng.random(shape[0]) < 0.6] = 0
    if kind == "constant":
        values[...] = scale
    return values.astype(draw(st.sampled_from(["float32", "float64"])))


@st.composite
def configs(draw: st.DrawFn) -> EncoderConfig:
    dependent = draw(st.booleans())
    density = draw(st.integers(0, 7))
    absolute = draw(st.booleans())
    return EncoderConfig(
        dependent=dependent,
        effort=draw(st.sampled_from(["fast", "medium", "slow", "best"])),
        codebook=not dependent and draw(st.booleans()),
        qp=draw(st.integers(-20 << density, 2 << density)) if absolute else None,
        qp_1d=draw(st.integers(-20 << density, 2 << density)) if absolute else None,
        relative_error=draw(st.sampled_from([0.001, 0.02, 0.3])),
        qp_density=draw(st.sampled_from([density, density if absolute else None])),
        bit_depth=None if absolute else draw(st.sampled_from([None, 2, 4, 8, 16])),
        scan_order=draw(st.integers(0, 4)),
        unary_length=draw(st.sampled_from([None, None, 1, 2, 10, 11, 200, 256])),
        row_skip=draw(st.booleans()),
        search_initialisations=draw(st.booleans()),
        general_profile_idc=draw(st.integers(0, 1)),
        raw_when_smaller=draw(st.booleans()),
    )


# Steps are drawn without regard to the values.
@pytest.mark.filterwarnings("ignore::nnr_codec.errors.QualityWarning")
@settings(max_examples=600)
@given(arrays(), configs())
def test_decoding_gives_the_encoders_levels(array: np.ndarray[Any, Any], config: EncoderConfig) -> None:
    stream_config = config
    try:
        stream = encode({"w": array}, stream_config)
    except NnrError as error:
        assert error.path is not None
        assert error.path.startswith("w")
        return
    decoded_levels = decode(stream, dequantize=False)["w"]
    if not isinstance(decoded_levels, QuantizedTensor):
        assert np.array_equal(decoded_levels, array) or np.array_equal(
            decoded_levels, array.astype(np.float32)
        )
        return
    assert decoded_levels.levels.shape == array.shape
    if decoded_levels.qp is None:
        assert np.array_equal(decoded_levels.levels, array)
        return
    job = TensorJob("w", array, config, Encoder(config)._quantization)
    levels = encode_tensor(job).levels
    assert levels is not None
    assert np.array_equal(decoded_levels.levels.reshape(-1), levels)


# Steps are drawn without regard to the values.
@pytest.mark.filterwarnings("ignore::nnr_codec.errors.QualityWarning")
@settings(max_examples=200)
@given(arrays(), configs())
def test_the_error_is_bounded_by_the_step(array: np.ndarray[Any, Any], config: EncoderConfig) -> None:
    config = replace(config, effort="fast")
    try:
        stream = encode({"w": array}, config)
    except NnrError:
        return
    tensor = decode(stream, dequantize=False)["w"]
    # A codebook's entries may be farther apart than the step.
    if not isinstance(tensor, QuantizedTensor) or tensor.qp is None or tensor.codebook is not None:
        return
    error = np.abs(tensor.dequantize().astype(np.float64) - array.astype(np.float64))
    bound = tensor.step_size * (2.0 if tensor.dependent else 0.5)
    assert float(error.max()) <= bound * (1 + 1e-5) + 1e-6 * float(np.abs(array).max())


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_any_bytes_give_a_model_or_an_error_of_the_family(octets: bytes) -> None:
    start = b"\x00\x04\x02\x01\x00\x08\x06\x01\x00\x40\x00\x80"
    for stream in (octets, start + octets):
        try:
            decode(stream)
        except NnrError as error:
            assert error.path is not None
            assert error.bit_offset is not None
