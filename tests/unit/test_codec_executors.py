# SPDX-License-Identifier: Apache-2.0
"""Units on other processes and other machines: any ``concurrent.futures.Executor`` does."""

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest

from nnr_codec import MalformedBitstream, NotEncodable, decode, encode

RNG = np.random.default_rng(5)
MODEL: dict[str, Any] = {
    **{f"layer{i}.weight": RNG.laplace(0, 1, (20, 10 + i)).astype(np.float32) for i in range(12)},
    "half": RNG.laplace(0, 1, 30).astype(np.float16),
    "raw": np.array([np.inf, 1], np.float32),
    "ids": np.arange(6, dtype=np.int64),
}


@pytest.fixture(scope="module", params=["processes", pytest.param("dask", marks=pytest.mark.slow)])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "processes":
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            yield pool
        return
    distributed = pytest.importorskip(
        "distributed", reason="dask is not installed: the extra 'cluster' has it"
    )
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client.get_executor()


# Dask's processes close their sockets when they are collected, and warn of it.
@pytest.mark.filterwarnings("ignore")
def test_the_stream_and_the_tensors_are_the_same_elsewhere(executor: Executor) -> None:
    stream = encode(MODEL)
    assert encode(MODEL, executor=executor, threads=2) == stream
    expected = decode(stream)
    found = decode(stream, executor=executor, threads=2)
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)
    levels = decode(stream, executor=executor, dequantize=False)
    assert np.array_equal(levels["half"].levels, decode(stream, dequantize=False)["half"].levels)


@pytest.mark.filterwarnings("ignore")
def test_errors_come_back_with_their_place(executor: Executor) -> None:
    stream = bytearray(encode({"half": MODEL["half"]}, describe_source=False))
    stream[-1] ^= 0xFF
    with pytest.raises(MalformedBitstream) as here:
        decode(stream)
    with pytest.raises(MalformedBitstream) as there:
        decode(stream, executor=executor, threads=2)
    assert (there.value.path, there.value.bit_offset) == (here.value.path, here.value.bit_offset)
    with pytest.raises(NotEncodable) as caught:
        encode({"w": np.random.default_rng(0).normal(size=20)}, qp=0, qp_1d=4000, executor=executor)
    assert caught.value.path == "w"
