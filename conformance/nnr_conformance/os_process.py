# SPDX-License-Identifier: Apache-2.0
"""Operating-system facts about processes: descendants, memory, CPU time and orphans.

All of it needs Linux. Elsewhere only the process group is watched and killed, and memory is known after the end.
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
    """Make this process the subreaper of its descendants; returns False where that is not supported."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(number: int = signal.SIGTERM) -> bool:
    """Request a signal for the death of the parent; returns False where that is not supported."""
    return _prctl(_PR_SET_PDEATHSIG, number)


def _children(pid: int) -> list[int]:
    """Direct children, from the lists that Linux keeps per thread."""
    pids: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(_PROC / str(pid) / "task"):
            with contextlib.suppress(OSError):
                pids += map(int, (_PROC / str(pid) / "task" / thread / "children").read_text().split())
    return pids


def _children_by_search(pid: int) -> list[int]:
    """Direct children, by reading the parent of every process; for kernels without child lists."""
    pids: list[int] = []
    for entry in os.listdir(_PROC):
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                # The command name is in brackets and may itself contain brackets and blanks.
                if int((_PROC / entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    pids.append(int(entry))
    return pids


def descendants(pid: int) -> list[int]:
    """Pids of all living or unreaped descendants, parents first; empty without /proc."""
    if not HAS_PROC:
        return []
    children = (
        _children
        if (_PROC / "self" / "task" / str(os.getpid()) / "children").exists()
        else _children_by_search
    )
    pids: list[int] = []
    pending = [pid]
    while pending:
        offspring = children(pending.pop())
        pids += offspring
        pending += offspring
    return pids


def is_alive(pid: int) -> bool:
    """True if a process runs; a zombie does not."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def usage(pids: list[int]) -> tuple[int, float]:
    """Total resident bytes and CPU seconds of processes."""
    resident, cpu = 0, 0.0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            # utime, stime and those of reaped children: fields 14 to 17 of proc(5); rss is field 24.
            cpu += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
            resident += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return resident, cpu


def peak_memory(pid: int) -> int:
    """Peak resident bytes of a process since `forget_peak`; 0 if unknown."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (_PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def forget_peak(pid: int) -> None:
    """Reset the peak memory of a process."""
    with contextlib.suppress(OSError):
        (_PROC / str(pid) / "clear_refs").write_text("5")
