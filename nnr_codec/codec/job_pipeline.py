# SPDX-License-Identifier: Apache-2.0
"""Jobs done elsewhere, with their results in order and few tensors in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

Ticket = TypeVar("Ticket")
Job = TypeVar("Job")
Result = TypeVar("Result")
_Done = TypeVar("_Done", covariant=True)


class Begun(Protocol[_Done]):
    """What a submitted job is until its result is taken; a `concurrent.futures.Future` is one."""

    def result(self) -> _Done:
        """Wait for the result, or raise the job's error."""

    def cancel(self) -> object:
        """Give the job up."""


#: Tensors that together are no larger than this may always be in flight: a wait costs more than their memory.
ALWAYS_ELEMENTS = 1 << 23
#: Jobs in flight for each worker, however small: nobody is to wait while a large tensor holds up the order, as the embeddings
#: at the head of a language model do.
_JOBS_PER_WORKER = 64
_MOST_JOBS = 1024


#: More would help nobody; results do not depend on their number.
_MOST_THREADS = 256


def checked_threads(threads: int | None) -> int:
    """Return how many threads to use, 1 unless it is said.

    Raises
    ------
    ValueError
        Fewer than one.

    >>> checked_threads(None), checked_threads(10**6)
    (1, 256)
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be 1 or more, not {threads}")
    return min(threads or 1, _MOST_THREADS)


def in_order(
    submit: Callable[[Job], Begun[Result]],
    jobs: Iterator[tuple[Ticket, int, Job]],
    workers: int,
) -> Iterator[tuple[Ticket, Result]]:
    """Do jobs side by side and yield the results in the jobs' order.

    The tensors in flight are together no larger than `workers` times the largest of them, or
    `ALWAYS_ELEMENTS`: memory is bounded by a few of a model's largest tensors, whatever the model.

    Parameters
    ----------
    submit : callable
        Begins a job elsewhere.
    jobs : iterator of (ticket, n_elements, job)
        Pulled when there is room. The ticket stays here and comes back with the result; the job is not kept.
    workers : int

    Yields
    ------
    (ticket, result)
    """
    pending: deque[tuple[Ticket, int, Begun[Result]]] = deque()
    most_jobs = min(_JOBS_PER_WORKER * workers, _MOST_JOBS)
    total = 0  # elements pending
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
            while pending and (
                len(pending) >= most_jobs or _too_large(pending, total + n_elements, n_elements, workers)
            ):
                total -= pending[0][1]
                yield _take(pending)
            pending.append((ticket, n_elements, submit(job)))
            total += n_elements
            del job
        while pending:
            yield _take(pending)
        if fault is not None:
            raise fault
    finally:
        # From the last one on: while one is waited for, its threads would take up those behind it.
        for _, _, begun in reversed(pending):
            begun.cancel()


def _take(pending: deque[tuple[Ticket, int, Begun[Result]]]) -> tuple[Ticket, Result]:
    ticket, _, begun = pending.popleft()
    return ticket, begun.result()


def _too_large(
    pending: deque[tuple[Ticket, int, Begun[Result]]], total: int, n_elements: int, workers: int
) -> bool:
    # In this order: the second takes time.
    return total > ALWAYS_ELEMENTS and total > workers * max(n_elements, *(n for _, n, _ in pending))
