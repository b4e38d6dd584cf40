# SPDX-License-Identifier: Apache-2.0
"""Runner: distributes vectors to workers, collects results, and removes all processes and files."""

from __future__ import annotations

import contextlib
import datetime
import json
import platform
import selectors
import shutil
import signal
import subprocess
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnr_conformance.adapter import Adapter
from nnr_conformance.baseline import Baseline
from nnr_conformance.decoders import Claims
from nnr_conformance.errors import ConformanceError, RunnerError, StartError, UsageError
from nnr_conformance.identity import identify
from nnr_conformance.json_schema import from_json, to_json
from nnr_conformance.levels import Level
from nnr_conformance.limits import Limits
from nnr_conformance.python_child import launch
from nnr_conformance.result import EndEvent, Log, Result, RunEvent, SuiteName
from nnr_conformance.suite import Suite
from nnr_conformance.vector import Vector
from nnr_conformance.verdict import Verdict, meets
from nnr_conformance.version import __version__
from nnr_conformance.worker import WorkerTask

EXIT_CONFORMING, EXIT_NOT_CONFORMING, EXIT_DIFFERS = 0, 1, 2
_WORKER_STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Plan:
    """One run of one decoder.

    Parameters
    ----------
    vectors : sequence of (Suite, Vector)
        Vectors to run, in order.
    jobs : int
        Number of workers; every worker has its own decoder.
    selection, decoder, folder : str
        Arguments of the command line, for the log.
    repeats : int
        Runs per vector; differing runs are FLAKY.
    level : Level, optional
        Level that the decoder is to conform to; it may refuse vectors beyond it.
    """

    adapter: Adapter
    suites: Sequence[Suite]
    vectors: Sequence[tuple[Suite, Vector]]
    limits: Limits = field(default_factory=Limits)
    jobs: int = 1
    repeats: int = 1
    level: Level | None = None
    baseline: Baseline | None = None
    selection: str = ""
    decoder: str = ""
    folder: str = ""


def run(plan: Plan, on_result: Callable[[Result], None] | None = None) -> Log:
    """Run a plan.

    Raises
    ------
    ConformanceError
        If the runner, a suite or the start of the decoder fails. Faults of the decoder are verdicts, never exceptions.
    """
    if not plan.vectors:
        raise UsageError("nothing is selected")
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    workers = _Workers(plan)
    with _signals_as_exceptions():
        try:
            workers.start()
            results = workers.collect(on_result)
        finally:
            workers.stop()
    departures: list[str] = []
    if plan.baseline is not None:
        known = [vector.id for suite in plan.suites for vector in suite.manifest.vectors]
        results, departures = plan.baseline.apply(results, known)
        code = EXIT_DIFFERS if departures else EXIT_CONFORMING
    else:
        against = any(result.counts_against(plan.level is not None) for result in results)
        met = bool(plan.selection) or any(
            meets(Verdict(result.verdict), result.requirement) for result in results
        )
        code = EXIT_CONFORMING if met and not against else EXIT_NOT_CONFORMING
    opening = RunEvent(
        event="run",
        checker=__version__,
        decoder=plan.decoder or plan.adapter.name,
        identity=identify(plan.adapter),
        level=plan.level.name if plan.level is not None else "",
        claims=workers.claims,
        folder=plan.folder,
        suites=tuple(
            SuiteName(name=suite.name, version=suite.manifest.version, sha256=suite.manifest_sha256(),
                      n_vectors=len(suite.manifest.vectors))
            for suite in plan.suites
        ),
        selection=plan.selection,
        started=started,
        platform=platform.platform(),
    )  # fmt: skip
    counts = Counter(result.verdict for result in results)
    return Log(
        opening,
        results,
        EndEvent(event="end", counts=dict(counts), baseline=tuple(departures), exit_code=code),
    )


class _Workers:
    """Workers of one run, with the waiting and running vectors."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.claims = Claims(name=plan.adapter.name)
        self._waiting = deque(enumerate(plan.vectors))
        self._running: dict[int, int] = {}
        self._results: dict[int, Result] = {}
        self._children: list[subprocess.Popen[str]] = []
        self._root = Path(tempfile.mkdtemp(prefix="nnr_conformance."))

    def start(self) -> None:
        plan = self.plan
        for number in range(max(1, min(plan.jobs, len(plan.vectors)))):
            workspace = self._root / str(number)
            workspace.mkdir()
            task = WorkerTask(
                adapter=plan.adapter,
                suites={suite.name: str(suite.folder) for suite in plan.suites},
                workspace=str(workspace),
                seconds=plan.limits.seconds,
                memory_bytes=plan.limits.memory_bytes,
                output_bytes=plan.limits.output_bytes,
                time_scale=plan.limits.time_scale,
                cpu_seconds=plan.limits.cpu_seconds,
                repeats=plan.repeats,
                level=plan.level,
            )
            # Own session: the terminal's Ctrl-C does not reach the worker; the runner ends it.
            child = subprocess.Popen(
                launch("nnr_conformance.worker"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            self._children.append(child)
            self._send(child, to_json(task))

    def collect(self, on_result: Callable[[Result], None] | None) -> list[Result]:
        """Serve the workers until every vector has a result."""
        with selectors.DefaultSelector() as selector:
            for number, child in enumerate(self._children):
                assert child.stdout is not None
                selector.register(child.stdout, selectors.EVENT_READ, number)
            while len(self._results) < len(self.plan.vectors):
                for key, _ in selector.select():
                    result = self._serve(key.data)
                    if result is None:
                        selector.unregister(key.fileobj)
                    elif isinstance(result, Result) and on_result is not None:
                        on_result(result)
        return [self._results[number] for number in sorted(self._results)]

    def _serve(self, worker: int) -> Result | Claims | None:
        """Read one line of a worker and send it the next vector; None if the worker has no more lines."""
        child = self._children[worker]
        assert child.stdout is not None
        # A worker writes one line and then waits, so the read buffer never hides a second line from `select`.
        line = child.stdout.readline()
        if not line:
            raise RunnerError(f"worker {worker} ended unexpectedly, with exit code {child.wait()}")
        message = json.loads(line)
        if "error" in message:
            raise _error(message)
        event: Result | Claims
        if "claims" in message:
            event = self.claims = from_json(Claims, message["claims"])
        else:
            event = from_json(Result, message["result"])
            self._results[self._running.pop(worker)] = event
        if not self._waiting:
            # The worker stays idle until `stop` ends it.
            return event
        number, (suite, vector) = self._waiting.popleft()
        self._running[worker] = number
        self._send(child, [suite.name, vector.id])
        return event

    def _send(self, child: subprocess.Popen[str], message: Any) -> None:
        assert child.stdin is not None
        try:
            child.stdin.write(json.dumps(message) + "\n")
            child.stdin.flush()
        except BrokenPipeError:
            # The worker died; its error message, if any, is on stdout.
            return

    def stop(self) -> None:
        """End every worker and remove every file."""
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)
        for child in self._children:
            try:
                child.wait(_WORKER_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        shutil.rmtree(self._root, ignore_errors=True)


def _error(message: dict[str, Any]) -> ConformanceError:
    kinds = {UsageError.exit_code: UsageError, StartError.exit_code: StartError}
    return kinds.get(message["exit_code"], RunnerError)(message["error"])


@contextlib.contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into KeyboardInterrupt, so that every `finally` runs."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {}
    # Only the main thread may set handlers; other threads keep the existing ones.
    with contextlib.suppress(ValueError):
        for number in (signal.SIGTERM, signal.SIGHUP):
            before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
