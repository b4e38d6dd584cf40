# SPDX-License-Identifier: Apache-2.0
"""Threads that encode tensors: the native core's where a tensor needs little Python, Python's own for the others."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from types import TracebackType

from nnr_codec.codec.encode.bounded_quantizer import TensorEncodeTask
from nnr_codec.codec.encode.tensor_encoder import (
    begin_tensor,
    encode_without_levels,
    needs_little_python,
)
from nnr_codec.codec.encode.tensor_job import EncodedTensor, TensorJob
from nnr_codec.codec.job_pipeline import Task
from nnr_codec.entropy import Workers


class EncodingThreads:
    """A context that begins tensors, several at a time.

    Parameters
    ----------
    threads : int
        The caller's own among them, which works while it waits; tensors that need much Python have as many of their own.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads)  # makes its threads when they are needed

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
        """Begin a tensor. Its result, or its error, comes in its turn."""
        if not needs_little_python(job):
            return self._pool.submit(encode_without_levels, job)
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
