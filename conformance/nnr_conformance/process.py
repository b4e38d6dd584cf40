# SPDX-License-Identifier: Apache-2.0
"""Processes of a decoder: started in their own session, watched, and killed together.

A worker runs one decoder at a time and is its subreaper, so every stray descendant of the worker belongs to the
decoder. Finding strays needs no thread and no list of process ids.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Literal

from nnr_conformance import os_process
from nnr_conformance.errors import StartError
from nnr_conformance.limits import Limits

_POLL_SECONDS, _FIRST_POLL_SECONDS = 0.02, 0.0005
_GRACE_SECONDS = 0.25
"""Time that the other processes of a finished decoder have to end."""

End = Literal["ended", "readable", "timeout", "oom"]


class Process:
    """One child with all its descendants.

    Parameters
    ----------
    argv : sequence of str
        Command line.
    pipes : bool
        If True, stdin and stdout are pipes (persistent child); else stdin is empty and stdout joins stderr.
    stderr : Path
        File for the output to stderr.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        limits: Limits,
        environment: Mapping[str, str] | None = None,
        pipes: bool = False,
        stderr: Path,
    ) -> None:
        self.peak_memory_bytes = 0
        self.cpu_seconds = 0.0
        self._stderr_path = stderr
        started_before = set(os_process.descendants(os.getpid()))
        with stderr.open("wb") as errors:
            try:
                self._child: subprocess.Popen[bytes] = subprocess.Popen(
                    argv,
                    cwd=cwd,
                    env={**os.environ, **(environment or {})},
                    stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                    stdout=subprocess.PIPE if pipes else errors,
                    stderr=errors,
                    start_new_session=True,
                    preexec_fn=lambda: _constrain(limits),
                )
            except (OSError, subprocess.SubprocessError, ValueError) as error:
                raise StartError(f"cannot start {argv[0]}: {error}") from error
        self._spared = started_before
        self._cpu_before = 0.0

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._child.pid

    @property
    def stdin(self) -> IO[bytes]:
        """Pipe to a persistent child."""
        assert self._child.stdin is not None
        return self._child.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """Pipe from a persistent child."""
        assert self._child.stdout is not None
        return self._child.stdout

    @property
    def returncode(self) -> int | None:
        """Exit code, or minus the signal; None while the child runs."""
        return self._child.returncode

    def stderr_tail(self, size: int = 4000) -> str:
        """Last ``size`` bytes of stderr."""
        with contextlib.suppress(OSError), self._stderr_path.open("rb") as stream:
            stream.seek(max(0, self._stderr_path.stat().st_size - size))
            return stream.read().decode("utf-8", "replace").strip()
        return ""

    def begin(self) -> None:
        """Reset the measurements for the next vector."""
        os_process.forget_peak(self.pid)
        self.peak_memory_bytes = 0
        self._cpu_before = os_process.usage(self._family())[1]

    def wait(self, limits: Limits, *, readable: bool = False, deadline: float) -> End:
        """Watch until the child ends, its stdout can be read (``readable``), or a limit is passed.

        Parameters
        ----------
        deadline : float
            Deadline in seconds of ``time.monotonic``.
        """
        with contextlib.ExitStack() as stack:
            watched: list[int] = [self.stdout.fileno()] if readable else []
            if not readable and hasattr(os, "pidfd_open"):
                with contextlib.suppress(OSError):
                    watched.append(os.pidfd_open(self.pid))
                    stack.callback(os.close, watched[-1])
            started = time.monotonic()
            while True:
                # A short run is read often at its start, or its memory would never be seen.
                age = time.monotonic() - started
                pause = min(_POLL_SECONDS if watched else _POLL_SECONDS / 4, _FIRST_POLL_SECONDS + age / 4)
                ready = bool(select.select(watched, [], [], pause)[0])
                if readable and ready:
                    self._measure()
                    return "oom" if self.peak_memory_bytes > limits.memory_bytes else "readable"
                self._measure()
                if not readable and self._reap():
                    return "oom" if self.peak_memory_bytes > limits.memory_bytes else "ended"
                if self.peak_memory_bytes > limits.memory_bytes:
                    return "oom"
                if time.monotonic() > deadline:
                    return "timeout"
                if limits.cpu_seconds is not None and self.cpu_seconds > limits.cpu_seconds:
                    return "timeout"

    def _family(self) -> list[int]:
        pids = dict.fromkeys([self.pid, *os_process.descendants(os.getpid())])
        return [pid for pid in pids if pid not in self._spared]

    def _measure(self) -> None:
        resident, cpu = os_process.usage(self._family())
        peak = os_process.peak_memory(self.pid)
        self.peak_memory_bytes = max(self.peak_memory_bytes, resident, peak)
        self.cpu_seconds = max(self.cpu_seconds, cpu - self._cpu_before)

    def _reap(self) -> bool:
        """Reap the child if it has ended, and read its total resource usage."""
        if self._child.returncode is not None:
            return True
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return False
        if not os_process.HAS_PROC:
            # Until the leader is reaped, no other process group can have its number.
            self._kill_group()
        _, status, used = os.wait4(self.pid, 0)
        self._child.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_seconds = max(self.cpu_seconds, used.ru_utime + used.ru_stime - self._cpu_before)
        unit = 1 if sys.platform == "darwin" else 1024
        # A forked child inherits this process's peak; a smaller value is not the decoder's.
        floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        if used.ru_maxrss * unit > floor:
            self.peak_memory_bytes = max(self.peak_memory_bytes, used.ru_maxrss * unit)
        return True

    def strays(self) -> list[int]:
        """Living processes outside the tree of the child: its orphans."""
        family = {self.pid, *os_process.descendants(self.pid)}
        around = os_process.descendants(os.getpid())
        return [
            pid
            for pid in around
            if pid not in family and pid not in self._spared and os_process.is_alive(pid)
        ]

    def remove_strays(self) -> int:
        """Kill the processes that outlive the answer and the grace period; returns their number."""
        deadline = time.monotonic() + _GRACE_SECONDS
        while (strays := self.strays()) and time.monotonic() < deadline:
            _collect(strays)
            time.sleep(_POLL_SECONDS / 2)
        number = len(strays)
        while strays:
            _kill(strays)
            strays = self.strays()
        return number

    def kill(self) -> None:
        """Kill and reap the child and every descendant, in whatever session."""
        if self._child.returncode is None:
            self._kill_group()
            _, status, _ = os.wait4(self.pid, 0)
            self._child.returncode = os.waitstatus_to_exitcode(status)
        while strays := self.strays():
            _kill(strays)
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def _constrain(limits: Limits) -> None:
    """Limit the child before it executes the decoder: no core files, bounded output files."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.output_bytes, limits.output_bytes))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def kill_descendants() -> None:
    """Kill every descendant of this process."""
    while living := [pid for pid in os_process.descendants(os.getpid()) if os_process.is_alive(pid)]:
        _kill(living)


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    time.sleep(0.002)
    _collect(pids)


def _collect(pids: list[int]) -> None:
    """Reap adopted orphans; a process that is not yet a child of this one is reaped later."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
