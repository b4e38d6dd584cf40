# SPDX-License-Identifier: Apache-2.0
"""Order-preserving job pipeline with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

Ticket = TypeVar("Ticket")
Job = TypeVar("Job")
Result = TypeVar("Result")
_Done = TypeVar("_Done", covariant=True)


class Task(Protocol[_Done]):
    """Submitted job, such as a `concurrent.futures.Future`."""

    def result(self) -> _Done:
        """Wait for the result, or raise the job's error."""

    def cancel(self) -> object:
        """Cancel the job if it has not started."""


#: Total elements that may always be in flight. Waiting would cost more than their memory.
ALWAYS_ELEMENTS = 1 << 23
#: Largest number of jobs in flight per worker. Workers must not run out of jobs while a large tensor, such as the embedding at
#: the start of a language model, delays the results in order.
_JOBS_PER_WORKER = 64
_MAX_JOBS = 1024


#: Largest number of threads. Results do not depend on the number of threads.
_MAX_THREADS = 256


def checked_threads(threads: int | None) -> int:
    """Return the number of threads to use; 1 by default.

    Raises
    ------
    ValueError
        The number is less than 1.

    Examples
    --------
    >>> checked_threads(None), checked_threads(10**6)
    (1, 256)
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be 1 or more, not {threads}")
    return min(threads or 1, _MAX_THREADS)


def in_order(
    submit: Callable[[Job], Task[Result]],
    jobs: Iterator[tuple[Ticket, int, Job]],
    workers: int,
    *,
    abandon: Callable[[], object] = lambda: None,
) -> Iterator[tuple[Ticket, Result]]:
    """Run jobs concurrently and yield their results in order.

    The total size of the tensors in flight is at most `workers` times the largest of them, or `ALWAYS_ELEMENTS`. Memory
    therefore does not grow with the model.

    Parameters
    ----------
    submit : callable
        Starts a job and returns its task.
    jobs : iterator of (ticket, n_elements, job)
        Advanced when a job can be submitted. The ticket is returned with the result. The job is not kept.
    workers : int
    abandon : callable, optional
        Called before jobs in flight are cancelled, to end those that run.

    Yields
    ------
    (ticket, result)

    Raises
    ------
    Exception
        The error of a job, or of `jobs`, after the results of all earlier jobs.
    """
    pending: deque[tuple[Ticket, int, Task[Result]]] = deque()
    max_jobs = min(_JOBS_PER_WORKER * workers, _MAX_JOBS)
    total = 0  # elements in flight
    fault: Exception | None = None
    try:
        while True:
            try:
                ticket, n_elements, job = next(jobs)
            except StopIteration:
                break
            except Exception as error:
                # Raised after the results of earlier jobs, as in sequential execution.
                fault = error
                break
            while pending and (
                len(pending) >= max_jobs or _too_large(pending, total + n_elements, n_elements, workers)
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
        if pending:
            abandon()
        # In reverse order: while one task is awaited, its threads would start later tasks.
        for _, _, task in reversed(pending):
            task.cancel()


def _take(pending: deque[tuple[Ticket, int, Task[Result]]]) -> tuple[Ticket, Result]:
    ticket, _, task = pending.popleft()
    return ticket, task.result()


def _too_large(
    pending: deque[tuple[Ticket, int, Task[Result]]], total: int, n_elements: int, workers: int
) -> bool:
    # The cheap condition comes first; the second iterates over all tasks.
    return total > ALWAYS_ELEMENTS and total > workers * max(n_elements, *(n for _, n, _ in pending))
