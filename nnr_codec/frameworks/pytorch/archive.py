# SPDX-License-Identifier: Apache-2.0
"""The two layouts of PyTorch files: zip archives, and the sequence of pickles from before torch 1.6."""

from __future__ import annotations

import io
import os
import pickle
import threading
from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.file_reads import naming, read_fully
from nnr_codec.frameworks.pytorch.unpickler import RestrictedUnpickler, unpickle
from nnr_codec.frameworks.pytorch.values import Storage
from nnr_codec.frameworks.zip_archive import ZipArchive

#: Largest pickle read; a model of a million tensors has about 200 MB.
MAX_PICKLE_BYTES = 1 << 28
_SHORT_PICKLE_BYTES = 1 << 22
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


class TorchArchive:
    """A file's objects and storages.

    Attributes
    ----------
    root : object
        The object that was saved.
    constants : tuple or None
        Tensors that a TorchScript archive holds beside its modules.
    is_script : bool
        True for TorchScript archives, whose code is left out.
    is_little_endian : bool
        Byte order of the storages.
    """

    root: Any
    constants: Any = None
    is_script = False
    is_little_endian = True

    @abstractmethod
    def read(self, storage: Storage, begin: int, n_bytes: int) -> npt.NDArray[np.uint8]:
        """Read part of a storage."""

    @abstractmethod
    def close(self) -> None:
        """Release the file."""


class ZipTorchArchive(TorchArchive):
    """A zip archive: ``data.pkl`` with the objects, and a member per storage.

    Parameters
    ----------
    path : str

    Raises
    ------
    NotEncodable
        The file is damaged.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._zip = ZipArchive(path)
        try:
            members = {member.filename: member for member in self._zip.members}
            pickles = [name for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
            if not pickles:
                raise NotEncodable("the archive has no data.pkl", path=path)
            self._folder = min(pickles, key=lambda name: name.count("/")).removesuffix("data.pkl")
            self._members = members
            order = members.get(f"{self._folder}byteorder")
            self.is_little_endian = order is None or self._zip.read(order, 64) != b"big"
            self.is_script = any(name.startswith(f"{self._folder}code/") for name in members)
            self.root = self._unpickled("data")
            if f"{self._folder}constants.pkl" in members:
                self.constants = self._unpickled("constants")
        except BaseException:
            self._zip.close()
            raise

    def _unpickled(self, name: str) -> Any:
        content = self._zip.read(self._members[f"{self._folder}{name}.pkl"], MAX_PICKLE_BYTES)
        root, storages = _unpickled(content, self.path)
        for storage in storages.values():
            # A module's constants have storages of the same keys in another folder.
            storage.key = f"{name}/{storage.key}"
        return root

    def read(self, storage: Storage, begin: int, n_bytes: int) -> npt.NDArray[np.uint8]:
        """Read part of a storage."""
        member = self._members.get(self._folder + storage.key)
        if member is None:
            raise NotEncodable("the archive lacks the tensor's elements", path=f"{self.path}: {storage.key}")
        return self._zip.read_range(member, storage.offset_bytes + begin, n_bytes)

    def close(self) -> None:
        """Release the file."""
        self._zip.close()


class LegacyTorchArchive(TorchArchive):
    """The layout before torch 1.6: pickles of a magic number, a version, the system, the objects and the
    storages' keys, then each storage's length and elements.

    Parameters
    ----------
    path : str

    Raises
    ------
    NotEncodable
        The file is damaged or of the layout before torch 0.1.10, a tar archive.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file = open(path, "rb")  # noqa: SIM115 - closed by close()
        try:
            self._size = os.fstat(self._file.fileno()).st_size
            self._begin: dict[str, tuple[int, int]] = {}  # first byte and bytes of each storage
            self._read_objects()
        except BaseException:
            self._file.close()
            raise

    def _read_objects(self) -> None:
        # The pickles' length stands nowhere. They are short beside the elements, unless the names are many.
        for limit in (_SHORT_PICKLE_BYTES, MAX_PICKLE_BYTES):
            self._file.seek(0)
            start = io.BytesIO(self._file.read(min(self._size, limit)))
            try:
                self._read_pickles(start)
                return
            except NotEncodable:
                if limit >= min(self._size, MAX_PICKLE_BYTES):
                    raise

    def _read_pickles(self, start: io.BytesIO) -> None:
        storages: dict[str, Storage] = {}
        try:
            magic = self._next(start, storages)
            if magic != _MAGIC:
                raise NotEncodable(
                    "a pickle, but not of PyTorch's; save model.state_dict() with torch.save", path=self.path
                )
            version, system = self._next(start, storages), self._next(start, storages)
            if version != _PROTOCOL or not isinstance(system, dict):
                raise NotEncodable(f"PyTorch's file format {version!r} is unknown", path=self.path)
            self.is_little_endian = system.get("little_endian", True) is not False
            self.root = self._next(start, storages)
            keys = self._next(start, storages)
            self._locate([str(key) for key in keys], storages, start.tell())
        except NotEncodable:
            raise
        except Exception as error:
            raise NotEncodable(_damage(error), path=self.path) from None

    def _next(self, file: io.BytesIO, storages: dict[str, Storage]) -> Any:
        unpickler = RestrictedUnpickler(file, self._size)
        unpickler.storages = storages
        return unpickler.load()

    def _locate(self, keys: list[str], storages: dict[str, Storage], position: int) -> None:
        for key in keys:
            if key not in storages:
                raise NotEncodable("the file has elements of no tensor", path=self.path)
            self._file.seek(position)
            n_elements = int.from_bytes(self._file.read(8), "little" if self.is_little_endian else "big")
            n_bytes = storages[key].n_bytes
            if n_elements > self._size or position + 8 + n_bytes > self._size:
                raise NotEncodable(
                    "the file is cut short, as an interrupted download leaves it", path=self.path
                )
            self._begin[key] = position + 8, n_bytes
            position += 8 + n_bytes

    def read(self, storage: Storage, begin: int, n_bytes: int) -> npt.NDArray[np.uint8]:
        """Read part of a storage."""
        place, size = self._begin.get(storage.key, (0, -1))
        begin += storage.offset_bytes
        if begin + n_bytes > size:
            raise NotEncodable("the file lacks the tensor's elements", path=f"{self.path}: {storage.key}")
        octets = np.empty(n_bytes, np.uint8)
        with self._lock, naming(self.path):
            self._file.seek(place + begin)
            if read_fully(self._file, octets.data) != n_bytes:
                raise NotEncodable("the file became shorter while it was read", path=self.path)
        return octets

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def open_archive(path: str) -> TorchArchive:
    """Open a PyTorch file of either layout."""
    with open(path, "rb") as file:
        in_zip = file.read(4) == b"PK\x03\x04"
    return ZipTorchArchive(path) if in_zip else LegacyTorchArchive(path)


def _unpickled(content: bytes, path: str) -> tuple[Any, dict[str, Storage]]:
    try:
        return unpickle(content)
    except Exception as error:
        raise NotEncodable(_damage(error), path=path) from None


def _damage(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "the file is cut short, as an interrupted download leaves it"
    reason = (str(error).splitlines() or [""])[0][:200]
    if isinstance(error, pickle.UnpicklingError | ValueError) and reason:
        return f"not a PyTorch file, or damaged: {reason}"
    return "not a PyTorch file, or damaged"
