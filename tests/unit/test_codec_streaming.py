# SPDX-License-Identifier: Apache-2.0
"""Models larger than memory: number of tensors in memory at a time."""

import gc
import io
import os
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from nnr_codec import Decoder, NotEncodable, decode, encode
from nnr_codec.codec import job_pipeline
from nnr_codec.codec.decode import decoder
from nnr_codec.codec.decode.decode_task import DecodeTask
from nnr_codec.codec.encode import stream_writer
from nnr_codec.codec.job_pipeline import in_order
from nnr_codec.codec.stream import stream_reader
from nnr_codec.entropy import EncodeTask, TensorCoding, Workers
from nnr_codec.model import DataUnit, DataUnitHeader, ModelParameterSet, PayloadType
from nnr_codec.syntax import SyntaxState, build_unit

SIZES = [3000, 10, 5000, 5000, 20, 5000, 4000, 5000, 1, 5000]
LARGEST = max(SIZES)


class Counted:
    """Counts the elements of arrays that are still alive."""

    def __init__(self) -> None:
        self.alive = 0
        self.most = 0

    def add(self, array: Any) -> Any:
        self.alive += array.size
        self.most = max(self.most, self.alive)
        weakref.finalize(array, self._gone, array.size)
        return array

    def _gone(self, size: int) -> None:
        self.alive -= size


class LazyModel(Mapping[str, Any]):
    """Mapping that creates a tensor on access."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted

    def __getitem__(self, name: str) -> Any:
        return self._counted.add(
            np.random.default_rng(int(name)).laplace(0, 1, SIZES[int(name)]).astype(np.float32)
        )

    def __iter__(self) -> Iterator[str]:
        return iter(map(str, range(len(SIZES))))

    def __len__(self) -> int:
        return len(SIZES)

    def dtype_of(self, name: str) -> str:
        return "F32"

    def shape_of(self, name: str) -> tuple[int, ...]:
        return (SIZES[int(name)],)


@pytest.fixture
def no_allowance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_pipeline, "ALWAYS_ELEMENTS", 0)
    monkeypatch.setattr(stream_reader, "BATCH_ELEMENTS", 0)


@pytest.mark.usefixtures("no_allowance")
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_encoding_holds_few_of_the_largest_tensors(threads: int) -> None:
    counted = Counted()
    out = io.BytesIO()
    encode(LazyModel(counted), file=out, threads=threads, effort="fast")
    assert counted.alive == 0
    # One more than the threads work on has been read and waits for room.
    assert counted.most <= (threads + (threads > 1)) * LARGEST
    assert out.getvalue() == encode(dict(LazyModel(Counted())), effort="fast")


@pytest.mark.usefixtures("no_allowance")
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_decoding_holds_few_of_the_largest_tensors(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = encode(dict(LazyModel(Counted())), effort="fast")
    expected = decode(stream)
    counted = Counted()

    class Counting(DecodeTask):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            for array in self._arrays:
                counted.add(array)

    monkeypatch.setattr(decoder, "DecodeTask", Counting)
    names = []
    for name, array in Decoder(threads=threads).iterate(stream):
        assert np.array_equal(array, expected[name])
        names.append(name)
        del array
    assert names == list(expected)
    assert counted.most > 0
    assert counted.alive == 0
    assert counted.most <= (threads + (threads > 1)) * LARGEST


class LazyExecutor(Executor):
    """Task that runs when its result is requested."""

    def __init__(self) -> None:
        self.waiting = 0
        self.most = 0

    def submit(self, function: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        executor = self

        class Lazy(Future[Any]):
            def result(self, timeout: float | None = None) -> Any:
                executor.waiting -= 1
                return function(*arguments, **options)

        return Lazy()


def test_many_small_jobs_or_few_large_ones_are_in_flight() -> None:
    executor = LazyExecutor()
    small = [(i, 1, i) for i in range(500)]
    assert [r for _, r in in_order(lambda i: executor.submit(lambda: i * i), iter(small), 3)] == [
        i * i for i in range(500)
    ]
    assert executor.most == 192
    executor = LazyExecutor()
    large = [(i, job_pipeline.ALWAYS_ELEMENTS, i) for i in range(20)]
    assert [t for t, _ in in_order(lambda i: executor.submit(lambda: i), iter(large), 3)] == list(range(20))
    assert executor.most == 3


def test_an_error_in_a_job_is_raised_and_cancels_the_rest() -> None:
    def fail(i: int) -> int:
        if i == 2:
            raise ValueError(i)
        return i

    with ThreadPoolExecutor(2) as pool, pytest.raises(ValueError, match="2"):
        list(in_order(lambda i: pool.submit(fail, i), ((i, 1, i) for i in range(1000)), 2))


def test_the_last_job_in_flight_is_cancelled_first() -> None:
    # Otherwise threads would take up the jobs behind the one that is waited for.
    class Job:
        def __init__(self, number: int) -> None:
            self.number = number

        def result(self) -> int:
            return self.number

        def cancel(self) -> None:
            given_up.append(self.number)

    given_up: list[int] = []
    results = in_order(Job, iter([(i, 1, i) for i in range(10)]), 1)
    assert next(results) == (0, 0)
    results.close()
    assert given_up == list(range(9, 0, -1))


def test_no_thread_reads_weights_after_encoding_failed() -> None:
    weights = [np.ones((200, 200), np.float32) for _ in range(20)]
    bad = np.full(4, 1e30, np.float32)
    with pytest.raises(NotEncodable) as caught:
        encode({"bad": bad, **{f"w{i}": w for i, w in enumerate(weights)}}, effort="fast", qp=-32, threads=4)
    before = time.process_time()
    time.sleep(0.2)  # the traceback keeps what was in flight; a thread at work would take processor time
    assert time.process_time() - before < 0.1
    assert caught.value.path == "bad"


def test_a_cancelled_job_has_no_result() -> None:
    begun = EncodeTask(
        np.ones(6, np.float32), 0.5, TensorCoding(rows=2, width=3), 0, row_skip=False,
        search_initialisations=False, workers=Workers(1),
    )  # fmt: skip
    begun.cancel()
    begun.cancel()
    with pytest.raises(RuntimeError, match="cancelled"):
        begun.result()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_does_not_wait_for_its_parents_threads() -> None:
    script = """
import os, numpy, nnr_codec
stream = nnr_codec.encode({f"w{i}": numpy.ones((50, 50), numpy.float32) for i in range(300)}, effort="fast")
left = nnr_codec.Decoder(threads=3).iterate(stream)
next(left)
child = os.fork()
left.close()
if child:
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "0\n"


@pytest.mark.parametrize("threads", [0, -1])
def test_fewer_threads_than_one(threads: int) -> None:
    with pytest.raises(ValueError, match="threads must be 1 or more"):
        decode(b"", threads=threads)
    with pytest.raises(ValueError, match="threads must be 1 or more"):
        encode({}, threads=threads)


def test_a_unit_beyond_the_size_field_names_the_tensor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_large(*_: Any) -> bytes:
        raise NotEncodable("a unit has less than 2 GiB", element="nnr_unit_size")

    real = stream_writer.build_unit
    monkeypatch.setattr(
        stream_writer,
        "build_unit",
        lambda unit, state: too_large() if hasattr(unit, "payload") else real(unit, state),
    )
    with pytest.raises(NotEncodable) as caught:
        encode({"huge": np.ones(3, np.float32)})
    assert caught.value.path == "huge"
    assert caught.value.element == "nnr_unit_size"


def test_building_a_unit_keeps_nothing_of_its_payload() -> None:
    """A reference cycle would keep it until the next collection, which few large tensors do not trigger."""
    payload = bytes(1000)
    header = DataUnitHeader(
        topology_elem_ids=("w",), payload_type=PayloadType.NNR_PT_RAW_FLOAT, tensor_dimensions=(250,)
    )
    state = SyntaxState(general_profile_idc=1, mps=ModelParameterSet())
    gc.disable()
    try:
        before = sys.getrefcount(payload)
        build_unit(DataUnit(header=header, payload=payload), state)
        assert sys.getrefcount(payload) == before
    finally:
        gc.enable()
