# SPDX-License-Identifier: Apache-2.0
"""Encoding threads: native threads for tensors that need little Python, Python threads for the others."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
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
from nnr_codec.entropy import Workers


class EncodingThreads:
    """Context manager that encodes several tensors in parallel.

    Parameters
    ----------
    threads : int
        Native threads, including the calling thread, which also takes jobs. Tensors that need much Python run in a pool of
        the same number of Python threads, and share the native ones for their longest calls.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads)  # starts threads on demand

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
            return self._pool.submit(encode_without_levels, job, self._workers)
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
