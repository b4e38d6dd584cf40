# SPDX-License-Identifier: Apache-2.0
"""LibFuzzer targets of the native core: corpora, runs and reached edges."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import time
from pathlib import Path
from typing import Any

from nnr_codec.errors import BitstreamError
from nnr_codec.model import DataUnit
from nnr_codec.syntax import SyntaxState, iter_unit_spans, parse_unit
from tools.fuzz.targets import seeds

NAMES = ("native-decode", "native-encode", "native-estimate", "native-quantize")
_LONGEST = 64
_LONGEST_SECONDS = 1
_TIMED_OUT = 70
_OPTIONS = {
    # A long quarantine and stack traces of allocations would take most of the time.
    "ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=1:thread_local_quarantine_size_kb=16:malloc_context_size=0",
}


def fuzz(name: str, *, binaries: Path, folder: Path, seconds: float, runs: int, seed: int) -> dict[str, Any]:
    """Run a target and return its log entry."""
    short = name.removeprefix("native-")
    corpus, crashes = folder / f"corpus-{short}", folder / "crashes"
    if not corpus.exists():
        _write_corpus(corpus, short)
    crashes.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={max(1, int(seconds))}"] if seconds < 1e9 else []
    limits += [f"-runs={runs}"] if runs < 1 << 60 else []
    command = [
        str(binaries / f"fuzz_{short}"), str(corpus), *limits, f"-seed={seed}", f"-max_len={_LONGEST}", "-entropic=0",
        f"-timeout={_LONGEST_SECONDS}", f"-timeout_exitcode={_TIMED_OUT}", "-rss_limit_mb=512",
        "-print_final_stats=1", f"-artifact_prefix={crashes}/{short}-",
    ]  # fmt: skip
    started = time.monotonic()
    result = subprocess.run(
        command, env={**os.environ, **_OPTIONS}, capture_output=True, text=True, errors="replace", check=False
    )
    code = result.returncode
    if code == _TIMED_OUT and not _hangs(command[0], result.stderr):
        code = 0
    return entry_of(name, result.stderr, time.monotonic() - started, code)


def _hangs(binary: str, output: str) -> bool:
    """Repeat an input that timed out and measure processor time, which does not grow with other load."""
    artifact = re.search(r"Test unit written to (.*)", output)
    if artifact is None:
        return True
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    again = subprocess.run(
        [binary, artifact[1]], env={**os.environ, **_OPTIONS}, capture_output=True, check=False
    )
    hangs = (
        again.returncode != 0
        or resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before > _LONGEST_SECONDS
    )
    if not hangs:
        Path(artifact[1]).unlink()
    return hangs


def entry_of(name: str, output: str, seconds: float, code: int) -> dict[str, Any]:
    """Parse the final output of a fuzzer."""
    executions = re.search(r"number_of_executed_units: *(\d+)", output)
    reached = re.findall(r"cov: (\d+)", output)
    edges = re.search(r"\((\d+) inline 8-bit counters\)", output)
    problem = re.search(r"property violated.*|ERROR: .*|runtime error.*", output)
    return {
        "target": name, "executions": int(executions[1]) if executions else 0, "seconds": round(seconds, 1),
        "reached": int(reached[-1]) if reached else 0, "of": int(edges[1]) if edges else 0, "unit": "edges",
        "finding": "" if code == 0 else problem[0] if problem else f"exit code {code}",
    }  # fmt: skip


def _write_corpus(corpus: Path, short: str) -> None:
    """Seed a corpus with codewords of the conformance vectors, after roughly matching choices."""
    corpus.mkdir(parents=True)
    number = 0
    for stream in seeds():
        for unit in _data_units(stream):
            dimensions = unit.header.tensor_dimensions or (1,)
            rows = dimensions[0] - 1 if 1 <= dimensions[0] <= 6 else 240
            width = dimensions[1] - 1 if len(dimensions) > 1 and 1 <= dimensions[1] <= 6 else 0
            kinds = unit.header.dq_flag | 2 | bool(unit.header.scan_order) << 3
            choices = bytes([rows, width, kinds, *([unit.header.scan_order - 1] if kinds & 8 else []), 9])
            head = b"\0" if short == "decode" else b""
            (corpus / f"seed-{number:04}").write_bytes((head + choices + bytes(unit.payload))[:_LONGEST])
            number += 1


def _data_units(stream: bytes) -> list[DataUnit]:
    state, units = SyntaxState(), []
    try:
        for span in iter_unit_spans(stream):
            unit = parse_unit(stream, span, state)
            state = state.after(unit)
            if isinstance(unit, DataUnit):
                units.append(unit)
    except BitstreamError:
        pass  # keep the units before the fault of an invalid vector
    return units
