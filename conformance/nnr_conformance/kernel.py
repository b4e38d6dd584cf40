# SPDX-License-Identifier: Apache-2.0
"""The few things that only the operating system knows: descendants, their memory and CPU, and orphans.

Linux has all of it. Elsewhere the process group alone is watched and killed, and memory is known afterwards.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PROC = Path("/proc")
HAS_PROC = sys.platform == "linux" and (_PROC / "self" / "stat").exists()


def _prctl(option: int, argument: int) -> bool:
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).prctl(option, argument, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def adopt_orphans() -> bool:
    """Make this process the parent of every descendant whose own parent dies; False where that cannot be."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(number: int = signal.SIGTERM) -> bool:
    """Ask for a signal when the parent dies, however it dies."""
    return _prctl(_PR_SET_PDEATHSIG, number)


def _children(pid: int) -> list[int]:
    """Direct children, from the lists that the kernel keeps per thread."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(_PROC / str(pid) / "task"):
            with contextlib.suppress(OSError):
                found += map(int, (_PROC / str(pid) / "task" / thread / "children").read_text().split())
    return found


def _children_by_search(pid: int) -> list[int]:
    """The same by asking every process for its parent, for kernels without those lists."""
    found: list[int] = []
    for entry in os.listdir(_PROC):
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                # The command's name is in brackets and may hold anything, brackets and blanks included.
                if int((_PROC / entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(entry))
    return found


def descendants(pid: int) -> list[int]:
    """Pids of all living or unreaped descendants, parents first; empty where there is no /proc."""
    if not HAS_PROC:
        return []
    children = (
        _children
        if (_PROC / "self" / "task" / str(os.getpid()) / "children").exists()
        else _children_by_search
    )
    found: list[int] = []
    pending = [pid]
    while pending:
        offspring = children(pending.pop())
        found += offspring
        pending += offspring
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def usage(pids: list[int]) -> tuple[int, float]:
    """Resident bytes and CPU seconds of some processes together."""
    resident, cpu = 0, 0.0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            # utime, stime and those of reaped children: fields 14 to 17 of proc(5); rss is field 24.
            cpu += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
            resident += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return resident, cpu


def peak_memory(pid: int) -> int:
    """Peak resident bytes of one process since `forget_peak`; 0 when not known."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (_PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def forget_peak(pid: int) -> None:
    """Start the measurement of a process's peak memory afresh."""
    with contextlib.suppress(OSError):
        (_PROC / str(pid) / "clear_refs").write_text("5")
