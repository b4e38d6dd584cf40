# SPDX-License-Identifier: Apache-2.0
"""Zip archives with bounded allocations and uniform errors."""

from __future__ import annotations

import errno
import os
import struct
import threading
import zipfile
import zlib

import numpy as np
import numpy.typing as npt

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.file_reads import read_fully

#: Deflate expands a byte to at most 1032; a directory that promises more is damaged.
_MAX_DEFLATE_RATIO = 1032
_LOCAL_HEADER = struct.Struct("<4s22xHH")


class ZipArchive:
    """An archive of stored or deflated members, safe to read from several threads.

    Parameters
    ----------
    path : str

    Raises
    ------
    NotEncodable
        Also by the methods: the archive is damaged; ``path`` names the file and the member.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file = open(path, "rb")  # noqa: SIM115 - closed by close()
        try:
            self._size = os.fstat(self._file.fileno()).st_size
            self._zip = zipfile.ZipFile(self._file)
            self._members = self._zip.infolist()
        except zipfile.BadZipFile:
            self._file.close()
            raise NotEncodable(
                "the archive is cut short, as an interrupted download leaves it, or damaged", path=path
            ) from None
        # Damaged directories make zipfile raise all of these.
        except (ValueError, NotImplementedError, OverflowError, EOFError, struct.error, OSError) as error:
            self._file.close()
            raise NotEncodable(f"the archive is damaged: {error}", path=path) from None

    @property
    def members(self) -> list[zipfile.ZipInfo]:
        """Entries of the directory, in the file's order."""
        return self._members

    def read(self, member: zipfile.ZipInfo, limit: int) -> bytes:
        """Read a whole member of at most `limit` bytes."""
        if member.file_size > limit:
            raise NotEncodable(f"the member has more than {limit} bytes", path=self._place(member))
        return self.read_range(member, 0, member.file_size).tobytes()

    def read_range(self, member: zipfile.ZipInfo, begin: int, n_bytes: int) -> npt.NDArray[np.uint8]:
        """Read part of a member.

        Stored members are read in place; deflated ones are inflated from their start.
        """
        self._check(member)
        if begin < 0 or n_bytes < 0 or begin + n_bytes > member.file_size:
            raise NotEncodable("the member is shorter than expected", path=self._place(member))
        octets = np.empty(n_bytes, np.uint8)
        try:
            with self._lock:
                if member.compress_type == zipfile.ZIP_STORED:
                    self._file.seek(self._content_begin(member) + begin)
                    filled = read_fully(self._file, octets.data)
                else:
                    with self._zip.open(member) as file:
                        file.seek(begin)
                        filled = read_fully(file, octets.data)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            ValueError,
            NotImplementedError,
            RuntimeError,
            struct.error,
        ) as error:
            raise NotEncodable(f"the member is damaged: {error}", path=self._place(member)) from None
        except OSError as error:
            if error.errno == errno.EINVAL:
                # The directory leads to a place before the file's begin.
                raise NotEncodable("the archive's directory is damaged", path=self._place(member)) from None
            error.filename = self.path
            raise
        if filled != n_bytes:
            raise NotEncodable("the member is cut short", path=self._place(member))
        return octets

    def close(self) -> None:
        """Release the file."""
        self._zip.close()
        self._file.close()

    def _place(self, member: zipfile.ZipInfo) -> str:
        return f"{self.path}: {member.filename}"

    def _check(self, member: zipfile.ZipInfo) -> None:
        if member.flag_bits & 1:
            raise NotEncodable("the member is encrypted", path=self._place(member))
        if member.compress_type == zipfile.ZIP_STORED:
            largest = member.compress_size
        elif member.compress_type == zipfile.ZIP_DEFLATED:
            largest = member.compress_size * _MAX_DEFLATE_RATIO
        else:
            raise NotEncodable(
                f"compression method {member.compress_type} is not supported", path=self._place(member)
            )
        if member.file_size > largest or member.compress_size > self._size:
            raise NotEncodable("the archive's directory is damaged", path=self._place(member))

    def _content_begin(self, member: zipfile.ZipInfo) -> int:
        self._file.seek(member.header_offset)
        header = self._file.read(_LOCAL_HEADER.size)
        signature, name_size, extra_size = _LOCAL_HEADER.unpack(header)
        if signature != b"PK\x03\x04":
            raise zipfile.BadZipFile("bad magic number for file header")
        return int(member.header_offset + _LOCAL_HEADER.size + name_size + extra_size)
