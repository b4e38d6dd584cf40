# SPDX-License-Identifier: Apache-2.0
"""Input of a stream: bytes, paths and binary files."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, TypeAlias

StreamSource: TypeAlias = "bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO"


@contextmanager
def opened(source: StreamSource, max_bytes: int | None = None) -> Iterator[memoryview]:
    """Give the bytes of a stream: a path is mapped, not read; a file object is read from where it stands.

    Of a file object no more than one byte beyond `max_bytes` is read: enough to see that it is too long.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        yield memoryview(source).cast("B")
    elif isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                # A pipe has no size and cannot be mapped.
                yield memoryview(file.read() if max_bytes is None else _read(file, max_bytes + 1))
                return
            if status.st_size == 0:
                yield memoryview(b"")
                return
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            # Not closed here: arrays and errors may still hold views of it; the last one gone unmaps it.
            yield memoryview(mapped)
    elif hasattr(source, "read"):
        yield memoryview(source.read() if max_bytes is None else _read(source, max_bytes + 1))
    else:
        raise TypeError(f"a stream is bytes, a path or a binary file, not {type(source).__name__}")


def _read(source: BinaryIO, most: int) -> bytes:
    # In pieces, since a file object may take the size it is asked for as one to allocate.
    pieces: list[bytes] = []
    while most > 0 and (piece := source.read(min(most, 1 << 20))):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)


#: How much of a mapped stream stays in memory behind the place where reading is.
_KEPT_BYTES = 1 << 24


class PagesRead:
    """Gives back the memory of a mapped stream's pages once they are read.

    They would count as the process's own until the system runs short. Reading them again is possible, and
    only costs time.
    """

    def __init__(self, buffer: memoryview) -> None:
        mapped = buffer.obj
        self._mapped = mapped if isinstance(mapped, mmap.mmap) and hasattr(mapped, "madvise") else None
        self._released = 0

    def passed(self, byte_offset: int) -> None:
        """Say that nothing before this will be read soon."""
        upto = byte_offset // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        if self._mapped is not None and upto - self._released >= _KEPT_BYTES:
            self._mapped.madvise(mmap.MADV_DONTNEED, self._released, upto - self._released)
            self._released = upto
