# SPDX-License-Identifier: Apache-2.0
"""Mutation fuzzer of the Python targets, with line coverage of the decoder."""

from __future__ import annotations

import random
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import nnr_codec
from tools.fuzz.targets import TARGETS, checked, seeds

_PACKAGE = Path(nnr_codec.__file__).parent
#: Rooms that process untrusted bytes.
_ROOMS = ("bitio", "syntax", "entropy", "quant", "codec", "inspect")
#: Number of traced executions; tracing takes twenty times as long.
_TRACED = 200


def fuzz(name: str, *, seconds: float, runs: int, seed: int, crashes: Path) -> dict[str, Any]:
    """Run a target until the time or the number of runs is over, or until a finding.

    Returns
    -------
    dict
        Log entry: executions, seconds, reached and total lines, finding if any.
    """
    target, choose = TARGETS[name], random.Random(seed)
    pool = [stream for stream in seeds() if stream]
    started, n_runs, finding = time.monotonic(), 0, ""
    reached: set[tuple[str, int]] = set()
    while n_runs < runs and time.monotonic() - started < seconds:
        octets = _bits(choose, pool) if name == "decoder" else choose.randbytes(choose.randint(8, 64))
        n_runs += 1
        try:
            if n_runs <= _TRACED:
                _traced(target, octets, reached)
            else:
                checked(target, octets)
        except Exception as error:
            crashes.mkdir(parents=True, exist_ok=True)
            path = crashes / f"{name}-{seed}-{n_runs}"
            path.write_bytes(octets)
            traceback.print_exception(error)
            finding = f"{type(error).__name__}: {error} ({path})"
            break
    return {
        "target": name, "executions": n_runs, "seconds": round(time.monotonic() - started, 1),
        "reached": len(reached), "of": sum(1 for _ in _lines()), "unit": "lines", "finding": finding,
    }  # fmt: skip


def _bits(choose: random.Random, pool: list[bytes]) -> bytes:
    octets = bytearray(choose.choice(pool))
    for _ in range(choose.randint(1, 4)):
        at = choose.randrange(len(octets) + 1)
        match choose.randrange(5):
            case 0 if at < len(octets):
                octets[at] ^= 1 << choose.randrange(8)
            case 1 if at < len(octets):
                octets[at] = choose.choice((0, 1, 127, 128, 255))
            case 2:
                del octets[at : at + choose.randint(1, 4)]
            case 3:
                octets[at:at] = choose.randbytes(choose.randint(1, 3))
            case _:
                other = choose.choice(pool)
                start = choose.randrange(len(other))
                octets[at:at] = other[start : start + choose.randint(1, 40)]
    return bytes(octets)


def _traced(target: Any, octets: bytes, reached: set[tuple[str, int]]) -> None:
    def local(frame: FrameType, event: str, argument: Any) -> Any:
        del argument
        if event == "line":
            reached.add((frame.f_code.co_filename, frame.f_lineno))
        return local

    def entered(frame: FrameType, event: str, argument: Any) -> Any:
        del event, argument
        return local if _counts(frame.f_code.co_filename) else None

    sys.settrace(entered)
    try:
        target(octets)
    finally:
        sys.settrace(None)


def _counts(filename: str) -> bool:
    return filename.startswith(tuple(f"{_PACKAGE}/{room}/" for room in _ROOMS))


def _lines() -> Iterator[tuple[str, int]]:
    """Yield the lines inside functions of the rooms."""
    for room in _ROOMS:
        for path in sorted((_PACKAGE / room).rglob("*.py")):
            module = compile(path.read_text(encoding="utf-8"), str(path), "exec")
            yield from (
                (str(path), line)
                for line in {line for code in _functions(module) for line in _lines_of(code)}
            )


def _functions(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_flags & 2:  # CO_NEWLOCALS: a function, no class body
                yield constant
            yield from _functions(constant)


def _lines_of(code: CodeType) -> Iterator[int]:
    for _, _, line in code.co_lines():
        if line is not None and line != code.co_firstlineno:
            yield line
