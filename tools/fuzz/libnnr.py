# SPDX-License-Identifier: Apache-2.0
"""LibFuzzer targets of libnnr: one-call decode, headers only, and sequences of streams whole and pushed in pieces."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

from nnr_codec import encode
from tools import libnnr
from tools.damage.__main__ import vectors
from tools.fuzz.native import entry_of

NAMES = ("libnnr-decode", "libnnr-headers", "libnnr-push")
#: Longest input in bytes. Short ones make ten million executions a matter of minutes.
_LONGEST = 512
_OPTIONS = {
    # A long quarantine and stack traces of allocations would take most of the time.
    "ASAN_OPTIONS": "quarantine_size_mb=1:thread_local_quarantine_size_kb=16:malloc_context_size=0",
}


def can_run() -> bool:
    """Return True if the compiler of libFuzzer is here."""
    return shutil.which("clang++") is not None


def fuzz(name: str, *, folder: Path, seconds: float, runs: int, seed: int) -> dict[str, Any]:
    """Build and run a target, and return its log entry."""
    binary = libnnr.build("libnnr-fuzz", quiet=True) / f"fuzz_{name.replace('-', '_')}"
    corpus, crashes = folder / f"corpus-{name}", folder / "crashes"
    crashes.mkdir(parents=True, exist_ok=True)
    if not corpus.exists():
        _write_corpus(corpus, are_sequences=name.endswith("push"))
    limits = [f"-max_total_time={max(1, int(seconds))}"] if seconds < 1e9 else []
    limits += [f"-runs={runs}"] if runs < 1 << 60 else []
    command = [
        str(binary), str(corpus), *limits, f"-seed={seed}", f"-max_len={_LONGEST}", "-entropic=0",
        "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={crashes}/{name}-",
    ]  # fmt: skip
    started = time.monotonic()
    result = subprocess.run(
        command, env={**os.environ, **_OPTIONS}, capture_output=True, text=True, errors="replace", check=False
    )
    return entry_of(name, result.stderr, time.monotonic() - started, result.returncode)


def _write_corpus(corpus: Path, *, are_sequences: bool) -> None:
    """Seed a corpus with the small vectors, and with streams that describe their source."""
    corpus.mkdir(parents=True)
    sequences = [streams for _, streams in vectors()]
    tensors: dict[str, Any] = {
        "w": np.array([[1, np.nan], [2, 3]], np.float32),
        "x.norm.h": np.ones((2, 3), np.float16),
    }
    exact: dict[str, Any] = {
        "i": np.array([1 << 40]),
        "none": np.zeros((0, 2), np.uint8),
        "s": np.array(3, np.int64),
    }
    choices: list[dict[str, Any]] = [{}, {"short_names": True}, {"peer_compatible": True}]
    sequences += [[bytes(encode(model, **options))] for model in (tensors, exact) for options in choices]
    number = 0
    for streams in sequences:
        # The first byte of a sequence is the size of its pieces; see native/fuzz/libnnr/push.cpp.
        inputs = [b"\x07" + b"\xff\0".join(streams)] if are_sequences else streams
        for content in inputs:
            if len(content) <= _LONGEST:
                (corpus / f"seed-{number:04}").write_bytes(content)
                number += 1
