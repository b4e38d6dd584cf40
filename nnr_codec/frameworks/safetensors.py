# SPDX-License-Identifier: Apache-2.0
"""safetensors files: reader of single tensors, writer of tensors in any order.

The format is eight bytes of header length, a JSON header, and the elements. This module reads it directly
because the library's NumPy interface has no bfloat16 or 8-bit floats and writes only a complete dictionary.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import numpy as np

from nnr_codec.codec.element_storage import STORAGE, Array, bits_per_element, stored_elements, widen
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.file_reads import naming, read_fully
from nnr_codec.frameworks.model_file import ModelFile, TensorDescription

#: The cap of the format's own library; a longer header is an attack or no header.
MAX_HEADER_BYTES = 100_000_000


class SafetensorsFile(ModelFile):
    """A safetensors file. Tensors are read, not mapped.

    A mapping's pages would count as resident memory for as long as the file is open, and a file cut short by
    somebody else would end the process with a bus error.
    """

    kind = "safetensors"

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by close()
        self._lock = threading.Lock()
        self._begin: dict[str, int] = {}
        try:
            super().__init__(path, {})
            self._read_header()
        except BaseException:
            self._file.close()
            raise

    def _read_header(self) -> None:
        file_size = self._file.seek(0, 2)
        self._file.seek(0)
        prefix = self._file.read(8) or b""
        header_size = int.from_bytes(prefix, "little")
        if len(prefix) < 8 or header_size > min(MAX_HEADER_BYTES, file_size - 8):
            raise NotEncodable(
                "not a safetensors file, or cut short: the header's length does not fit", path=self.path
            )
        header = _parse_header(_read_exactly(self._file, header_size), self.path)
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict):
            raise NotEncodable("damaged safetensors header: __metadata__ is no object", path=self.path)
        # The format says strings; files with integers exist, and their text is worth keeping.
        self.metadata = {key: v if isinstance(v, str) else json.dumps(v) for key, v in metadata.items()}
        end_of_previous = 0
        entries = sorted((_offsets(e, n, self.path), n, e) for n, e in header.items())
        described = {}
        for (begin, end), name, entry in entries:
            described[name] = description = _description(entry, name, end - begin, self.path)
            if begin != end_of_previous or end < begin or end - begin != description.size_bytes:
                raise NotEncodable(
                    "damaged safetensors header: offsets do not fit", path=f"{self.path}: {name}"
                )
            self._begin[name] = 8 + header_size + begin
            end_of_previous = end
        if 8 + header_size + end_of_previous != file_size:
            raise NotEncodable("the safetensors file is cut short or too long", path=self.path)
        self._descriptions = {name: described[name] for name in header}

    def _read(self, name: str) -> Array:
        description = self._descriptions[name]
        opaque = description.is_opaque
        stored: Array = (
            np.empty(description.size_bytes, np.uint8)
            if opaque
            else np.empty(description.shape, STORAGE[description.dtype])
        )
        view = stored.reshape(-1).view(np.uint8).data
        with self._lock, naming(self.path):
            self._file.seek(self._begin[name])
            if read_fully(self._file, view) != len(view):
                raise NotEncodable("the file became shorter while it was read", path=f"{self.path}: {name}")
        return stored if opaque else widen(stored, description.dtype)

    def close(self) -> None:
        """Release the file."""
        self._file.close()


class SafetensorsWriter:
    """Writer of one file: the header from all descriptions, then tensors in any order.

    Parameters
    ----------
    file : binary file
        Seekable, unless tensors arrive in the order of `descriptions`.
    descriptions : mapping of name to TensorDescription
        All tensors, in the file's order.
    metadata : mapping of str to str

    Raises
    ------
    NotEncodable
        Also by the methods: a tensor is missing, unannounced, or not of the announced shape or type.
    """

    def __init__(
        self, file: BinaryIO, descriptions: Mapping[str, TensorDescription], metadata: Mapping[str, str]
    ) -> None:
        self._file = file
        self._descriptions = descriptions
        self._begin: dict[str, int] = {}  # of the tensors that have not arrived
        header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
        offset = 0
        for name, description in descriptions.items():
            if name == "__metadata__":
                raise NotEncodable("safetensors reserves this name", path=name)
            _check_storable(name, description)
            end = offset + description.size_bytes
            header[name] = {
                "dtype": description.dtype,
                "shape": list(description.shape),
                "data_offsets": [offset, end],
            }
            self._begin[name] = offset
            offset = end
        try:
            text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise NotEncodable("a name or text with a lone surrogate has no UTF-8 form") from None
        text += b" " * (-len(text) % 8)
        file.write(len(text).to_bytes(8, "little") + text)
        self._position = 0  # in bytes from the first element
        self._origin = 8 + len(text)

    def write(self, name: str, array: Array) -> None:
        """Write one tensor at its place."""
        if name not in self._begin:
            raise NotEncodable("the tensor is not among those announced, or arrives twice", path=name)
        description = self._descriptions[name]
        if not description.is_opaque and array.shape != description.shape:
            raise NotEncodable(
                f"the tensor has shape {list(array.shape)} instead of {list(description.shape)}", path=name
            )
        stored = stored_elements(array, description.dtype, description.size_bytes, name)
        begin = self._begin.pop(name)
        if begin != self._position:
            if not self._file.seekable():
                raise NotEncodable("a pipe takes tensors only in the file's order", path=name)
            self._file.seek(self._origin + begin)
        self._file.write(np.ascontiguousarray(stored).reshape(-1).view(np.uint8).data)
        self._position = begin + description.size_bytes

    def finish(self) -> None:
        """Check that all announced tensors arrived."""
        for name in self._begin:
            raise NotEncodable("an announced tensor did not arrive", path=name)


def write_safetensors(
    file: BinaryIO,
    tensors: Iterable[tuple[str, Array]],
    descriptions: Mapping[str, TensorDescription],
    metadata: Mapping[str, str],
) -> None:
    """Write one file; parameters and errors are those of `SafetensorsWriter`."""
    writer = SafetensorsWriter(file, descriptions, metadata)
    for name, array in tensors:
        writer.write(name, array)
        # The loop variable would keep the tensor while the next one is made.
        del array
    writer.finish()


def _check_storable(name: str, description: TensorDescription) -> None:
    tag = description.dtype
    # Types that the format does not know yet have no prefix, and go back into the format they came from.
    if ":" in tag or (bits_per_element(tag) is None and description.n_bytes is None):
        raise NotEncodable(f"safetensors has no type for tensors of type {tag}", path=name)


def _parse_header(text: bytes, path: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise NotEncodable("damaged safetensors header: a name occurs twice", path=path)
        return result

    try:
        header = json.loads(text.decode(), object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise NotEncodable("not a safetensors file: the header is no JSON", path=path) from None
    if not isinstance(header, dict):
        raise NotEncodable("not a safetensors file: the header is no JSON object", path=path)
    return header


def _offsets(entry: Any, name: str, path: str) -> tuple[int, int]:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not (isinstance(offsets, list) and len(offsets) == 2 and all(_is_count(v) for v in offsets)):
        raise NotEncodable("damaged safetensors header: bad data_offsets", path=f"{path}: {name}")
    return offsets[0], offsets[1]


def _description(entry: Any, name: str, n_bytes: int, path: str) -> TensorDescription:
    dtype, shape = entry.get("dtype"), entry.get("shape")
    if not (isinstance(dtype, str) and isinstance(shape, list) and all(_is_count(v) for v in shape)):
        raise NotEncodable("damaged safetensors header: bad dtype or shape", path=f"{path}: {name}")
    # NumPy takes at most 64 dimensions, and counts elements in a signed machine word.
    if len(shape) > 64 or math.prod(max(v, 1) for v in shape) >= 1 << 60:
        raise NotEncodable("the shape is beyond what can be held", path=f"{path}: {name}")
    bits = bits_per_element(dtype)
    if bits is not None and math.prod(shape) * bits % 8:
        raise NotEncodable("a tensor of part of a byte", path=f"{path}: {name}")
    return TensorDescription(dtype, tuple(shape), n_bytes if bits is None else None)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _read_exactly(file: Any, size: int) -> bytes:
    buffer = bytearray(size)
    return bytes(memoryview(buffer)[: read_fully(file, memoryview(buffer))])
