# SPDX-License-Identifier: Apache-2.0
"""Processes with an installed build of this package, which time whole calls of it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tools.real_models import Tensors

#: Answers each request on standard input with the processor time of one call and the bytes of the stream.
_WORKER = """
import json, sys, time, numpy, nnr_codec
path = tensors = None
for line in sys.stdin:
    request = json.loads(line)
    if "tensors" in request and request["tensors"] != path:
        path = request["tensors"]
        tensors = dict(numpy.load(path))
    stream = b"" if "tensors" in request else open(request["stream"], "rb").read()
    start = time.process_time()
    if "tensors" in request:
        stream = nnr_codec.encode(tensors, threads=1, **request["options"])
    else:
        nnr_codec.decode(stream, threads=1)
    taken = time.process_time() - start
    if "output" in request:
        open(request["output"], "wb").write(stream)
    print(json.dumps([taken, len(stream)]), flush=True)
"""


class Build:
    """Process of one build; a context manager.

    Parameters
    ----------
    python : path
        Interpreter of the environment in which the build is installed.
    """

    def __init__(self, python: str | os.PathLike[str]) -> None:
        # An empty folder, because a package in the working folder precedes the installed one.
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [python, "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self._folder.name,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    def __enter__(self) -> Build:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()
        self._folder.cleanup()

    def encode(self, tensors: Path, output: Path | None = None, **options: Any) -> tuple[float, int]:
        """Encode the arrays of an npz file; return the seconds of processor time and the bytes."""
        request = {"tensors": str(tensors), "options": options}
        return self._ask(request if output is None else request | {"output": str(output)})

    def decode(self, stream: Path) -> float:
        """Decode a stream; return the seconds of processor time."""
        return self._ask({"stream": str(stream)})[0]

    def _ask(self, request: dict[str, Any]) -> tuple[float, int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        seconds, size = json.loads(self._process.stdout.readline())
        return float(seconds), int(size)


def saved(tensors: Tensors, path: Path) -> Path:
    """Write arrays to an npz file for `Build.encode`."""
    # savez takes names as keywords, which are not positional-only parameters of its own.
    named: dict[str, Any] = dict(tensors)
    np.savez(path, **named)
    return path
