# SPDX-License-Identifier: Apache-2.0
"""Where a stream's bytes come from."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, TypeAlias

StreamSource: TypeAlias = "bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO"


@contextmanager
def opened(source: StreamSource) -> Iterator[memoryview]:
    """Give the bytes of a stream: a path is mapped rather than read, a file object read from where it stands."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield memoryview(source).cast("B")
    elif isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                yield memoryview(b"")
                return
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            # Not closed here: arrays and errors may still hold views of it; the last one gone unmaps it.
            yield memoryview(mapped)
    elif hasattr(source, "read"):
        yield memoryview(source.read())
    else:
        raise TypeError(f"a stream is bytes, a path or a binary file, not {type(source).__name__}")
