# SPDX-License-Identifier: Apache-2.0
"""Jobs done elsewhere, with their results in order and few tensors in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Ticket = TypeVar("Ticket")
Job = TypeVar("Job")
Result = TypeVar("Result")

#: Tensors that together are no larger than this may always be in flight: a wait costs more than their memory.
ALWAYS_ELEMENTS = 1 << 22
#: Jobs in flight for each worker, however small: nobody is to wait while a large tensor holds up the order.
_JOBS_PER_WORKER = 16


def in_order(
    executor: Executor,
    function: Callable[[Job], Result],
    jobs: Iterator[tuple[Ticket, int, Job]],
    workers: int,
) -> Iterator[tuple[Ticket, Result]]:
    """Do jobs side by side and yield the results in the jobs' order.

    The tensors in flight are together no larger than `workers` times the largest of them, or
    `ALWAYS_ELEMENTS`: memory is bounded by a few of a model's largest tensors, whatever the model.

    Parameters
    ----------
    executor : concurrent.futures.Executor
    function : callable
        With a process pool or a cluster, it and the jobs are pickled.
    jobs : iterator of (ticket, n_elements, job)
        Pulled when there is room. The ticket stays here and comes back with the result; the job is not kept.
    workers : int

    Yields
    ------
    (ticket, result)
    """
    pending: deque[tuple[Ticket, int, Future[Result]]] = deque()
    fault: Exception | None = None
    try:
        while True:
            try:
                ticket, n_elements, job = next(jobs)
            except StopIteration:
                break
            except Exception as error:
                # It comes out behind what precedes it, as if the jobs had been done one by one.
                fault = error
                break
            while pending and not _has_room(pending, n_elements, workers):
                yield _take(pending)
            pending.append((ticket, n_elements, executor.submit(function, job)))
            del job
        while pending:
            yield _take(pending)
        if fault is not None:
            raise fault
    finally:
        for _, _, future in pending:
            future.cancel()


def _take(pending: deque[tuple[Ticket, int, Future[Result]]]) -> tuple[Ticket, Result]:
    ticket, _, future = pending.popleft()
    return ticket, future.result()


def _has_room(pending: deque[tuple[Ticket, int, Future[Result]]], n_elements: int, workers: int) -> bool:
    if len(pending) >= _JOBS_PER_WORKER * workers:
        return False
    sizes = [n for _, n, _ in pending]
    return sum(sizes) + n_elements <= max(ALWAYS_ELEMENTS, workers * max(n_elements, *sizes))
