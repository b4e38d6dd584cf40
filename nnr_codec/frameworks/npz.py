# SPDX-License-Identifier: Apache-2.0
"""NPZ archives: a zip file of arrays, never with pickled objects."""

from __future__ import annotations

import threading
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from nnr_codec.codec.element_storage import STORAGE, Array, narrow, tag_of
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.source import ModelSource, TensorDescription


class NpzSource(ModelSource):
    """An NPZ archive; shapes and types come from the arrays' headers alone."""

    kind = "npz"

    def __init__(self, path: str) -> None:
        super().__init__(path, {})
        self._lock = threading.Lock()
        try:
            self._zip = zipfile.ZipFile(path)
        except zipfile.BadZipFile:
            raise NotEncodable("not an NPZ archive", path=path) from None
        self._members: dict[str, zipfile.ZipInfo] = {}
        try:
            for member in self._zip.infolist():
                name = member.filename.removesuffix(".npy")
                if name in self._members:
                    raise NotEncodable("a name occurs twice in the archive", path=f"{path}: {name}")
                self._descriptions[name] = self._read_header(member, name)
                self._members[name] = member
        except BaseException:
            self._zip.close()
            raise

    def _read_header(self, member: zipfile.ZipInfo, name: str) -> TensorDescription:
        place = f"{self.path}: {name}"
        try:
            with self._zip.open(member) as file:
                shape, dtype = _read_npy_header(file)
                header_size = file.tell()
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, OSError) as error:
            raise NotEncodable(f"not a NumPy array: {error}", path=place) from None
        if dtype.hasobject:
            raise NotEncodable("arrays of Python objects are pickles, which are never read", path=place)
        count = 1
        for extent in shape:
            count *= extent
        # Checked before numpy allocates what the header promises.
        if header_size + count * dtype.itemsize != member.file_size:
            raise NotEncodable("the array's size does not fit its shape", path=place)
        return TensorDescription(tag_of(dtype) or str(dtype), shape)

    def _read(self, name: str) -> Array:
        place = f"{self.path}: {name}"
        if self.dtype_of(name) not in STORAGE:
            raise NotEncodable(f"tensors of type {self.dtype_of(name)} are not supported", path=place)
        try:
            with self._lock, self._zip.open(self._members[name]) as file:
                array: Array = npy.read_array(file, allow_pickle=False)
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise NotEncodable(f"damaged array: {error}", path=place) from None
        return array.astype(array.dtype.newbyteorder("="), copy=False)

    def close(self) -> None:
        """Release the archive."""
        self._zip.close()


def write_npz(
    file: BinaryIO, tensors: Iterable[tuple[str, Array]], descriptions: Mapping[str, TensorDescription]
) -> None:
    """Write arrays as they come; types NumPy lacks are stored as float32, which loses nothing.

    Parameters
    ----------
    file : binary file
    tensors : iterable of (name, ndarray)
    descriptions : mapping of name to TensorDescription
        Gives each tensor's type.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in tensors:
            tag = tag_in_npz(descriptions[name].dtype)
            # A fixed date makes equal models equal files.
            member = zipfile.ZipInfo(name + ".npy", date_time=(1980, 1, 1, 0, 0, 0))
            if member.filename != name + ".npy":
                raise NotEncodable("an NPZ archive cannot hold a tensor of this name", path=name)
            with archive.open(member, "w", force_zip64=True) as out:
                npy.write_array(out, np.asarray(narrow(array, tag, name)), allow_pickle=False)
            # A loop's variable would keep it while the next one is made.
            del array


def tag_in_npz(tag: str) -> str:
    """Name the type in which NPZ holds tensors of type ``tag``."""
    return "F32" if tag in ("BF16", "F8_E4M3", "F8_E5M2") else tag


def _read_npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = npy.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = npy.read_array_header_2_0(file)
    else:
        raise ValueError(f"array format version {version} is unknown")
    return shape, dtype
