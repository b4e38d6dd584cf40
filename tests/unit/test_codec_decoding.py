# SPDX-License-Identifier: Apache-2.0
"""Decoder options: inputs, names, levels and threads."""

import io
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnr_codec import (
    Decoder,
    LimitExceeded,
    Limits,
    MalformedBitstream,
    QuantizedTensor,
    UnsupportedBitstream,
    decode,
    encode,
)
from nnr_codec.model import (
    CompressedParameterTypes,
    DataUnit,
    DataUnitHeader,
    ModelParameterSet,
    PayloadType,
    StartUnit,
)
from nnr_codec.syntax import SyntaxState, build_unit

MODEL = {
    "conv": np.random.default_rng(0).laplace(0, 0.05, (8, 3, 3, 3)).astype(np.float32),
    "bias": np.random.default_rng(1).normal(0, 0.1, 8).astype(np.float32),
    "steps": np.array(12345, np.int64),
    "half": np.random.default_rng(2).normal(0, 1, (9, 5)).astype(np.float16),
}
STREAM = encode(MODEL)


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return list(a) == list(b) and all(x.dtype == b[k].dtype and np.array_equal(x, b[k]) for k, x in a.items())


def test_sources(tmp_path: Path) -> None:
    path = tmp_path / "m.nnc"
    path.write_bytes(STREAM)
    expected = decode(STREAM)
    for source in (bytearray(STREAM), memoryview(STREAM), path, str(path), io.BytesIO(STREAM)):
        assert same(decode(source), expected)


def test_some_tensors_by_name_without_reading_the_others() -> None:
    # The payload of another tensor is ruined: a decoder that touched it would notice.
    decoded = decode(STREAM, names=["half"])
    assert same(decoded, {"half": decode(STREAM)["half"]})
    start = STREAM.index(b"conv\0")
    ruined = bytearray(STREAM)
    ruined[start + 30 : start + 40] = bytes(10)
    assert np.array_equal(decode(ruined, names=["half"])["half"], decoded["half"])


def test_an_unknown_name_is_reported() -> None:
    with pytest.raises(KeyError, match="nothing"):
        decode(STREAM, names=["nothing"])


def test_levels_for_integer_inference() -> None:
    levels = decode(STREAM, dequantize=False)
    values = decode(STREAM)
    conv = levels["conv"]
    assert isinstance(conv, QuantizedTensor)
    assert conv.levels.dtype == np.int32
    assert conv.levels.shape == MODEL["conv"].shape
    assert conv.qp is not None
    assert np.array_equal(np.float32(conv.step_size) * conv.levels.astype(np.float32), values["conv"])
    assert levels["steps"].qp is None


def test_threads_and_executors_change_nothing() -> None:
    expected = decode(STREAM)
    assert same(decode(STREAM, threads=3), expected)
    assert encode(MODEL, threads=3) == STREAM
    with ThreadPoolExecutor(2) as pool:
        assert same(decode(STREAM, executor=pool), expected)
        assert encode(MODEL, executor=pool) == STREAM


@pytest.mark.slow
def test_worker_processes_change_nothing() -> None:
    import multiprocessing

    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert encode(MODEL, executor=pool) == STREAM
        assert same(decode(STREAM, executor=pool), decode(STREAM))


def test_iterate_gives_the_same_one_by_one() -> None:
    assert same(dict(Decoder().iterate(STREAM)), decode(STREAM))


def test_limits_hold() -> None:
    with pytest.raises(LimitExceeded) as caught:
        decode(STREAM, limits=Limits(max_tensor_elements=100))
    assert caught.value.path is not None
    assert caught.value.path.startswith("nnr_unit[")


def _stream(*units: Any) -> bytes:
    state = SyntaxState()
    out = b""
    for unit in units:
        out += build_unit(unit, state)
        state = state.after(unit)
    return out


def test_low_rank_factors_outside_blocks_are_multiplied_on_request() -> None:
    rng = np.random.default_rng(3)
    g, h = rng.normal(size=(6, 2)).astype(np.float32), rng.normal(size=(2, 20)).astype(np.float32)

    def raw(name: str, values: np.ndarray[Any, Any]) -> DataUnit:
        header = DataUnitHeader(
            topology_elem_ids=(name,),
            payload_type=PayloadType.NNR_PT_RAW_FLOAT,
            tensor_dimensions=(6, 4, 5),
            compressed_parameter_types=CompressedParameterTypes.DC,
            decomposition_rank=2,
            g_number_of_rows=6,
        )
        return DataUnit(header=header, payload=values.tobytes())

    stream = _stream(StartUnit(), ModelParameterSet(), raw("w_G", g), raw("w_H", h))
    apart = decode(stream)
    assert np.array_equal(apart["w_G"], g)
    assert np.array_equal(apart["w_H"], h)
    whole = decode(stream, recompose=True)
    assert list(whole) == ["w"]
    assert np.allclose(whole["w"], (g.astype(np.float64) @ h).reshape(6, 4, 5), rtol=1e-6)
    assert list(decode(stream, names=["w"], recompose=True)) == ["w"]


def test_a_declared_type_that_cannot_hold_the_values_is_a_fault() -> None:
    from nnr_codec.model import DecompressedDataFormat

    values = np.array([300.0, 1.0], np.float32)
    header = DataUnitHeader(
        topology_elem_ids=("w",),
        payload_type=PayloadType.NNR_PT_RAW_FLOAT,
        tensor_dimensions=(2,),
        decompressed_data_format=DecompressedDataFormat.INT8,
    )
    stream = _stream(StartUnit(), ModelParameterSet(), DataUnit(header=header, payload=values.tobytes()))
    with pytest.raises(MalformedBitstream):
        decode(stream)


def test_an_empty_tensor_beyond_numpys_dimensions_is_unsupported() -> None:
    header = DataUnitHeader(
        topology_elem_ids=("w",),
        payload_type=PayloadType.NNR_PT_RAW_FLOAT,
        tensor_dimensions=(0, 1 << 31, 1 << 31),
    )
    stream = _stream(StartUnit(), ModelParameterSet(), DataUnit(header=header, payload=b""))
    with pytest.raises(UnsupportedBitstream) as caught:
        decode(stream)
    assert caught.value.element == "tensor_dimensions"
    # A fault of the payload comes first.
    payload = _stream(StartUnit(), ModelParameterSet(), DataUnit(header=header, payload=b"abcd"))
    with pytest.raises(MalformedBitstream):
        decode(payload)
