# SPDX-License-Identifier: Apache-2.0
"""The runner: vectors are handed to lanes, results collected, and nothing is left behind."""

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
from nnr_conformance.host import launch
from nnr_conformance.lane import Orders
from nnr_conformance.limits import Limits
from nnr_conformance.record import read_record, write_record
from nnr_conformance.result import EndEvent, Log, Result, RunEvent, SuiteName
from nnr_conformance.suite import Suite
from nnr_conformance.vector import Vector
from nnr_conformance.version import __version__

EXIT_CONFORMING, EXIT_NOT_CONFORMING, EXIT_DIFFERS = 0, 1, 2
_LANE_STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Plan:
    """One run of one decoder.

    Parameters
    ----------
    vectors : sequence of (Suite, Vector)
        What to run, in order.
    jobs : int
        Lanes at once, each with a decoder of its own.
    selection, decoder, folder : str
        What was asked for, for the log.
    repeats : int
        How often each vector is run; differing runs are FLAKY.
    """

    adapter: Adapter
    suites: Sequence[Suite]
    vectors: Sequence[tuple[Suite, Vector]]
    limits: Limits = field(default_factory=Limits)
    jobs: int = 1
    repeats: int = 1
    baseline: Baseline | None = None
    selection: str = ""
    decoder: str = ""
    folder: str = ""


def run(plan: Plan, on_result: Callable[[Result], None] | None = None) -> Log:
    """Run a plan to its end.

    Raises
    ------
    ConformanceError
        If the runner, a suite or the decoder's start fails; verdicts on the decoder are never exceptions.
    """
    if not plan.vectors:
        raise UsageError("nothing is selected")
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    lanes = _Lanes(plan)
    with _signals_as_exceptions():
        try:
            lanes.start()
            results = lanes.collect(on_result)
        finally:
            lanes.stop()
    departures: list[str] = []
    if plan.baseline is not None:
        known = [vector.id for suite in plan.suites for vector in suite.manifest.vectors]
        results, departures = plan.baseline.apply(results, known)
        code = EXIT_DIFFERS if departures else EXIT_CONFORMING
    else:
        code = EXIT_NOT_CONFORMING if any(result.counts_against for result in results) else EXIT_CONFORMING
    opening = RunEvent(
        event="run",
        checker=__version__,
        decoder=plan.decoder or plan.adapter.name,
        claims=lanes.claims,
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


class _Lanes:
    """The lanes of one run and what they have still to do."""

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
            orders = Orders(
                adapter=plan.adapter,
                suites={suite.name: str(suite.folder) for suite in plan.suites},
                workspace=str(workspace),
                seconds=plan.limits.seconds,
                memory_bytes=plan.limits.memory_bytes,
                output_bytes=plan.limits.output_bytes,
                time_scale=plan.limits.time_scale,
                cpu_seconds=plan.limits.cpu_seconds,
                repeats=plan.repeats,
            )
            # In a session of its own, a lane does not get the terminal's Ctrl-C: the runner tells it to end.
            child = subprocess.Popen(
                launch("nnr_conformance.lane"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            self._children.append(child)
            self._tell(child, write_record(orders))

    def collect(self, on_result: Callable[[Result], None] | None) -> list[Result]:
        """Serve the lanes until every vector has its result."""
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

    def _serve(self, lane: int) -> Result | Claims | None:
        """Take one line of a lane and give it its next vector; None when there is no more for it."""
        child = self._children[lane]
        assert child.stdout is not None
        # A lane says one line and then waits, so nothing is left in the buffer that `select` does not see.
        line = child.stdout.readline()
        if not line:
            raise RunnerError(f"lane {lane} ended unexpectedly, with exit code {child.wait()}")
        message = json.loads(line)
        if "error" in message:
            raise _error(message)
        said: Result | Claims
        if "claims" in message:
            said = self.claims = read_record(Claims, message["claims"])
        else:
            said = read_record(Result, message["result"])
            self._results[self._running.pop(lane)] = said
        if not self._waiting:
            # Idle from here on; its decoder ends with `stop`.
            return said
        number, (suite, vector) = self._waiting.popleft()
        self._running[lane] = number
        self._tell(child, [suite.name, vector.id])
        return said

    def _tell(self, child: subprocess.Popen[str], message: Any) -> None:
        assert child.stdin is not None
        try:
            child.stdin.write(json.dumps(message) + "\n")
            child.stdin.flush()
        except BrokenPipeError:
            # Its last words, if any, are on stdout.
            return

    def stop(self) -> None:
        """End every lane and remove every file, whatever happened before."""
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)
        for child in self._children:
            try:
                child.wait(_LANE_STOP_SECONDS)
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
    """SIGTERM and SIGHUP unwind like Ctrl-C does, so that every `finally` is reached."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {}
    # Only the main thread may set handlers; a caller in another one keeps its own.
    with contextlib.suppress(ValueError):
        for number in (signal.SIGTERM, signal.SIGHUP):
            before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
