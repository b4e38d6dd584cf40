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
    """Yield the bytes of a stream. A path is memory-mapped; a file object is read from its current position.

    At most `max_bytes` + 1 bytes of a file object are read, which suffices to see that it is too long.
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
            # Not closed here, because arrays and errors may hold views. The last view unmaps the file.
            yield memoryview(mapped)
    elif hasattr(source, "read"):
        yield memoryview(source.read() if max_bytes is None else _read(source, max_bytes + 1))
    else:
        raise TypeError(f"a stream is bytes, a path or a binary file, not {type(source).__name__}")


def _read(source: BinaryIO, most: int) -> bytes:
    # In pieces, because a file object may allocate the requested size.
    pieces: list[bytes] = []
    while most > 0 and (piece := source.read(min(most, 1 << 20))):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)


#: Bytes of a mapped stream that stay in memory behind the reading position.
_KEPT_BYTES = 1 << 24


class PagesRead:
    """Releases the memory of pages of a mapped stream that were read.

    Otherwise they count as resident memory of the process until the system runs short. Released pages can be read again.
    """

    def __init__(self, buffer: memoryview) -> None:
        mapped = buffer.obj
        self._mapped = mapped if isinstance(mapped, mmap.mmap) and hasattr(mapped, "madvise") else None
        self._released = 0

    def passed(self, byte_offset: int) -> None:
        """Release pages before this offset, which will not be read soon."""
        upto = byte_offset // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        if self._mapped is not None and upto - self._released >= _KEPT_BYTES:
            self._mapped.madvise(mmap.MADV_DONTNEED, self._released, upto - self._released)
            self._released = upto
