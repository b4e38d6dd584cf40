# SPDX-License-Identifier: Apache-2.0
"""HDF5 files read by h5py in a process of its own.

The HDF5 library crashes or hangs on some damaged files; here that ends a child process with limited memory and
time, not the caller's. The child answers requests on its standard input: one JSON line each, answered by a
length of 8 bytes (all ones for an error) and as many bytes.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import threading
import time
from typing import Any, BinaryIO

from nnr_codec.errors import NotEncodable

_ERROR = (1 << 64) - 1
_MAX_STRUCTURE_BYTES = 1 << 28
#: Of address space, beside the largest dataset's share; h5py and NumPy need about a third.
_MEMORY_BYTES = 2 << 30
#: Processor time of a request, beside that for its bytes.
_PROCESSOR_SECONDS = 2.0
#: Wall time of a request, for systems without limits of processor time, and for a child that waits for ever.
_SECONDS = 60.0
_BYTES_PER_SECOND = 20e6
_CHILD = """
import sys
sys.path[:] = sys.argv[2:]
from nnr_codec.frameworks import hdf5_worker
hdf5_worker.main()
"""


class Hdf5Process:
    """A child process that has an HDF5 file open.

    Parameters
    ----------
    path : str
        The file.
    label : str
        Its name in errors.

    Raises
    ------
    NotEncodable
        Also by the methods: h5py is missing, the file is damaged, or reading it takes too long.
    """

    def __init__(self, path: str, label: str) -> None:
        self._label = label
        self._lock = threading.Lock()
        self._file_bytes = os.path.getsize(path)
        # Isolated from the current folder; the child finds packages where this process does.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _CHILD, path, *filter(None, sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def structure(self) -> dict[str, Any]:
        """Return groups, attributes and datasets; `hdf5_worker` has the form."""
        content = self._request({"structure": True}, _MAX_STRUCTURE_BYTES)
        result: dict[str, Any] = json.loads(content)
        return result

    def read(self, name: str, n_bytes: int) -> bytes:
        """Return a dataset's elements in C order, little-endian."""
        content = self._request({"read": name}, n_bytes)
        if len(content) != n_bytes:
            raise NotEncodable("the dataset's size does not fit its shape", path=f"{self._label}: {name}")
        return content

    def close(self) -> None:
        """End the child."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()

    def _request(self, request: dict[str, Any], limit: int) -> bytes:
        source, sink = self._process.stdout, self._process.stdin
        if source is None or sink is None:
            raise NotEncodable("the HDF5 file is closed", path=self._label)
        seconds = _SECONDS + (self._file_bytes + min(limit, 1 << 34)) / _BYTES_PER_SECOND
        with self._lock:
            timer = threading.Timer(seconds, self._process.kill)
            timer.daemon = True
            timer.start()
            try:
                sink.write(json.dumps(request).encode() + b"\n")
                sink.flush()
                return self._answer(source, limit)
            except (BrokenPipeError, EOFError):
                raise NotEncodable(
                    "the HDF5 library failed on this file: it is damaged, or takes too long to read",
                    path=self._label,
                ) from None
            finally:
                timer.cancel()

    def _answer(self, source: Any, limit: int) -> bytes:
        size = int.from_bytes(_exactly(source, 8), "little")
        if size == _ERROR:
            message = _exactly(source, int.from_bytes(_exactly(source, 2), "little"))
            raise NotEncodable(message.decode(errors="replace"), path=self._label)
        if size > limit:
            raise NotEncodable("the HDF5 file is damaged: an answer is too long", path=self._label)
        return _exactly(source, size)


def limit_memory(file_bytes: int) -> None:
    """Limit this process's address space, where the system can."""
    try:
        import resource
    except ImportError:
        return
    limit = _MEMORY_BYTES + 3 * file_bytes
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_time(n_bytes: int) -> None:
    """Limit this process's processor time from now on, where the system can.

    Parameters
    ----------
    n_bytes : int
        Bytes to read until the limit is set anew.
    """
    try:
        import resource
    except ImportError:
        return
    seconds = math.ceil(time.process_time() + _PROCESSOR_SECONDS + n_bytes / _BYTES_PER_SECOND)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def send(sink: BinaryIO, content: bytes) -> None:
    """Write an answer."""
    sink.write(len(content).to_bytes(8, "little") + content)
    sink.flush()


def send_error(sink: BinaryIO, message: str) -> None:
    """Write an error in place of an answer."""
    text = message.encode(errors="replace")[:4096]
    sink.write(_ERROR.to_bytes(8, "little") + len(text).to_bytes(2, "little") + text)
    sink.flush()


def _exactly(source: Any, size: int) -> bytes:
    content: bytes = source.read(size)
    if len(content) != size:
        raise EOFError
    return content
