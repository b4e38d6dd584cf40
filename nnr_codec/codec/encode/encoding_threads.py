# SPDX-License-Identifier: Apache-2.0
"""Encoding threads: native threads for tensors that need little Python, Python threads for the others."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cached_property
from types import TracebackType

from nnr_codec.codec.encode.quantize.bounded_quantizer import TensorEncodeTask
from nnr_codec.codec.encode.tensor_encoder import (
    begin_tensor,
    encode_without_levels,
    needs_little_python,
)
from nnr_codec.codec.encode.tensor_job import EncodedTensor, TensorJob
from nnr_codec.codec.job_pipeline import Task
from nnr_codec.entropy import Observer, Workers

_REPORT_SECONDS = 0.05


class _ObservedTask:
    """Job of the pool of Python threads; the thread that waits for it reports progress."""

    def __init__(self, future: Future[EncodedTensor], observer: Observer) -> None:
        self._future, self._observer = future, observer

    def result(self) -> EncodedTensor:
        while not wait([self._future], _REPORT_SECONDS).done:
            self._observer.advance()
        return self._future.result()

    def cancel(self) -> None:
        self._future.cancel()


class EncodingThreads:
    """Context manager that encodes several tensors in parallel.

    Parameters
    ----------
    threads : int
        Native threads, including the calling thread, which also takes jobs. Tensors that need much Python run in a pool of
        the same number of Python threads, and share the native ones for their longest calls.
    observer : Observer
        Ends the work of all threads early.
    """

    def __init__(self, threads: int, observer: Observer) -> None:
        self._threads, self._observer = threads, observer
        self._pool = ThreadPoolExecutor(
            threads, initializer=observer.attach_worker
        )  # starts threads on demand

    def __enter__(self) -> EncodingThreads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    @cached_property
    def _workers(self) -> Workers:
        return Workers(self._threads - 1)

    def submit(self, job: TensorJob) -> Task[EncodedTensor]:
        """Start the encoding of a tensor; the task returns its result or raises its error."""
        if not needs_little_python(job):
            return _ObservedTask(self._pool.submit(encode_without_levels, job, self._workers), self._observer)
        known: Future[EncodedTensor] = Future()
        try:
            begun = begin_tensor(job, self._workers, keep_levels=job.config.incremental)
        except Exception as error:
            known.set_exception(error)
            return known
        if isinstance(begun, TensorEncodeTask):
            return begun
        known.set_result(begun)
        return known
