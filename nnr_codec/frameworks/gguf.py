# SPDX-License-Identifier: Apache-2.0
"""GGUF files: quantisation blocks as they are stored, or their float32 values.

A file is a header, metadata, the tensors' descriptions, and their elements, aligned. The metadata travels as an
attachment: a GGUF file of its own, without tensors. The package gguf is needed for float32 values only.
"""

from __future__ import annotations

import io
import itertools
import math
import os
import struct
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from nnr_codec.codec.element_storage import STORAGE, Array, stored_elements, widen
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.attachments import Attachments
from nnr_codec.frameworks.file_reads import naming, read_fully
from nnr_codec.frameworks.gguf_types import ARRAY, BLOCK_TYPES, NUMBER_OF_TAG, STRING, VALUE_BYTES
from nnr_codec.frameworks.model_file import ModelFile, TensorDescription

METADATA_FILE = "metadata.gguf"
_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_DEFAULT_ALIGNMENT = 32
_MAX_HEADER_BYTES = 1 << 27
_MAX_TEXT_BYTES = 1 << 10


@dataclass(frozen=True)
class _Header:
    """Metadata of a file: its entries as they are stored, and what the reader needs of them."""

    version: int
    n_tensors: int
    n_entries: int
    entries: bytes
    alignment: int
    texts: dict[str, str]

    def serialize(self, n_tensors: int) -> bytes:
        return _MAGIC + struct.pack("<IQQ", self.version, n_tensors, self.n_entries) + self.entries


class GgufFile(ModelFile):
    """A GGUF file.

    Quantised tensors are opaque ("GGUF:Q4_1"), with their elements' shape and their blocks' bytes. Shapes have
    the slowest dimension first, the reverse of the file's.

    Parameters
    ----------
    path : str
    dequantize : bool
        Read quantised tensors as float32 values.
    """

    kind = "gguf"

    def __init__(self, path: str, *, dequantize: bool = False) -> None:
        super().__init__(path, {})
        self._lock = threading.Lock()
        self._file = open(path, "rb")  # noqa: SIM115 - closed by close()
        try:
            cursor = _Cursor(self._file, path)
            header = _read_header(cursor)
            self._begin: dict[str, int] = {}
            self._stored: dict[str, TensorDescription] = {}
            self._read_tensors(cursor, header)
            if dequantize:
                self._gguf = _import_gguf()
                self._descriptions = {
                    name: TensorDescription("F32", d.shape) if d.is_opaque else d
                    for name, d in self._stored.items()
                }
            else:
                self._descriptions = dict(self._stored)
        except BaseException:
            self._file.close()
            raise
        self.metadata = header.texts
        self.attachments = Attachments({METADATA_FILE: lambda: header.serialize(0)})

    def _read_tensors(self, cursor: _Cursor, header: _Header) -> None:
        entries = []
        for _ in range(header.n_tensors):
            name = cursor.text()
            n_dimensions = cursor.number(4)
            if n_dimensions > 64:
                raise cursor.damaged("a tensor has too many dimensions")
            shape = tuple(cursor.number(8) for _ in range(n_dimensions))[::-1]
            entries.append((name, shape, cursor.number(4), cursor.number(8)))
        begin = -(-cursor.position // header.alignment) * header.alignment
        ends = sorted({offset for _, _, _, offset in entries} | {max(cursor.size - begin, 0)})
        following = dict(itertools.pairwise(ends))
        for name, shape, number, offset in entries:
            place = f"{self.path}: {name}"
            if name in self._stored:
                raise NotEncodable("a name occurs twice", path=place)
            if math.prod(max(extent, 1) for extent in shape) >= 1 << 60:
                raise NotEncodable("the shape is beyond what can be held", path=place)
            description = _description(shape, number, following.get(offset, offset) - offset, place)
            if begin + offset + description.size_bytes > cursor.size:
                raise NotEncodable(
                    "the file is cut short, as an interrupted download leaves it, or damaged", path=place
                )
            self._stored[name] = description
            self._begin[name] = begin + offset

    def _read(self, name: str) -> Array:
        stored = self._stored[name]
        octets = np.empty(stored.size_bytes, np.uint8)
        with self._lock, naming(self.path):
            self._file.seek(self._begin[name])
            if read_fully(self._file, octets.data) != len(octets):
                raise NotEncodable("the file became shorter while it was read", path=f"{self.path}: {name}")
        if not stored.is_opaque:
            return widen(octets.view(STORAGE[stored.dtype]).reshape(stored.shape), stored.dtype)
        if self._descriptions[name].is_opaque:
            return octets
        return self._dequantized(octets, stored, name)

    def _dequantized(self, octets: Array, stored: TensorDescription, name: str) -> Array:
        unknown = NotEncodable(
            f"the package gguf cannot dequantise {stored.dtype}", path=f"{self.path}: {name}"
        )
        number = NUMBER_OF_TAG.get(stored.dtype)
        if number is None:
            raise unknown
        try:
            # gguf works by rows; whole rows keep it fast.
            row_bytes = octets.size // max(math.prod(stored.shape[:-1]), 1)
            blocks = octets.reshape(-1, row_bytes or BLOCK_TYPES[number].block_bytes)
            kind = self._gguf.constants.GGMLQuantizationType(number)
            values = self._gguf.quants.dequantize(blocks, kind)
        except (NotImplementedError, ValueError):  # gguf's signals of a type that it cannot dequantise
            raise unknown from None
        return np.asarray(values, np.float32).reshape(stored.shape)

    def close(self) -> None:
        """Release the file."""
        self._file.close()


class _Cursor:
    """Reader of a header's fields, within the file and within the header's limit."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._path = path
        self.position = 0

    def take(self, n_bytes: int) -> bytes:
        if self.position + n_bytes > min(self.size, _MAX_HEADER_BYTES):
            raise self.damaged("the header leads beyond the file")
        self.position += n_bytes
        return self._file.read(n_bytes)

    def number(self, n_bytes: int) -> int:
        return int.from_bytes(self.take(n_bytes), "little")

    def text(self) -> str:
        try:
            return self.take(self.number(8)).decode()
        except UnicodeDecodeError:
            raise self.damaged("a name is no UTF-8") from None

    def value(self, number: int, depth: int = 0) -> bytes:
        """Read a metadata value as it is stored; arrays are skipped."""
        if number in VALUE_BYTES:
            return self.take(VALUE_BYTES[number])
        if number == STRING:
            return self.take(self.number(8))
        if number != ARRAY or depth > 4:
            raise self.damaged(f"a metadata value of unknown type {number}")
        element, length = self.number(4), self.number(8)
        if element in VALUE_BYTES:
            self.take(length * VALUE_BYTES[element])
        else:
            for _ in range(length):
                self.value(element, depth + 1)
        return b""

    def damaged(self, what: str) -> NotEncodable:
        return NotEncodable(f"the GGUF file is damaged or cut short: {what}", path=self._path)

    def slice(self, begin: int, end: int) -> bytes:
        self._file.seek(begin)
        content = self._file.read(end - begin)
        self._file.seek(self.position)
        return content


def _read_header(cursor: _Cursor) -> _Header:
    if cursor.take(4) != _MAGIC:
        raise cursor.damaged("the magic number is missing")
    version = cursor.number(4)
    if version not in _VERSIONS:
        raise cursor.damaged(f"version {version} is not supported (a big-endian file, or of before 2023-08)")
    n_tensors, n_entries = cursor.number(8), cursor.number(8)
    begin, alignment = cursor.position, _DEFAULT_ALIGNMENT
    texts: dict[str, str] = {}
    for _ in range(n_entries):
        key = cursor.text()
        number = cursor.number(4)
        value = cursor.value(number)
        if key == "general.alignment" and number in VALUE_BYTES:
            alignment = int.from_bytes(value, "little")
        elif number == STRING and key.startswith("general.") and len(value) <= _MAX_TEXT_BYTES:
            texts[key] = value.decode(errors="replace")
    if not 1 <= alignment <= 1 << 20:
        raise cursor.damaged("the alignment is no size")
    entries = cursor.slice(begin, cursor.position)
    return _Header(version, n_tensors, n_entries, entries, alignment, texts)


def _description(shape: tuple[int, ...], number: int, n_available: int, place: str) -> TensorDescription:
    block_type = BLOCK_TYPES.get(number)
    if block_type is None:
        # Types of later versions: all bytes up to the next tensor.
        return TensorDescription(f"GGUF:{number}", shape, n_available)
    n_elements = math.prod(shape)
    if block_type.block_elements == 1:
        return TensorDescription(block_type.tag, shape)
    if not shape or shape[-1] % block_type.block_elements:
        raise NotEncodable("a row is no whole number of blocks", path=place)
    n_bytes = n_elements // block_type.block_elements * block_type.block_bytes
    return TensorDescription(block_type.tag, shape, n_bytes)


def write_gguf(
    file: BinaryIO,
    tensors: Iterable[tuple[str, Array]],
    descriptions: Mapping[str, TensorDescription],
    attachments: Mapping[str, bytes],
) -> None:
    """Write a GGUF file.

    Parameters
    ----------
    file : seekable binary file
    tensors : iterable of (name, ndarray)
        In any order.
    descriptions : mapping of name to TensorDescription
        In the file's order.
    attachments : mapping of str to bytes
        ``metadata.gguf``, as `GgufFile` has it, is the metadata; without it the file has none.

    Raises
    ------
    NotEncodable
        GGUF has no such type, or a tensor is missing or not as described; ``path`` is the tensor's name.
    """
    header = _attached_header(attachments)
    content = bytearray(header.serialize(len(descriptions)))
    begin: dict[str, int] = {}
    offset = 0
    for name, description in descriptions.items():
        number = _number_of(description.dtype, name)
        content += _packed_text(name) + struct.pack("<I", len(description.shape))
        content += struct.pack(f"<{len(description.shape)}QIQ", *description.shape[::-1], number, offset)
        begin[name] = offset
        offset += -(-description.size_bytes // header.alignment) * header.alignment
    content += bytes(-len(content) % header.alignment)
    file.write(content)
    for name, array in tensors:
        if name not in begin:
            raise NotEncodable("the tensor is not among those announced, or arrives twice", path=name)
        description = descriptions[name]
        if not description.is_opaque and array.shape != description.shape:
            raise NotEncodable("the tensor has another shape than announced", path=name)
        stored = stored_elements(array, description.dtype, description.size_bytes, name)
        file.seek(len(content) + begin.pop(name))
        file.write(np.ascontiguousarray(stored).reshape(-1).view(np.uint8).data)
        file.write(bytes(-description.size_bytes % header.alignment))
        del array
    for name in begin:
        raise NotEncodable("an announced tensor did not arrive", path=name)


def _attached_header(attachments: Mapping[str, bytes]) -> _Header:
    if METADATA_FILE not in attachments:
        return _Header(3, 0, 0, b"", _DEFAULT_ALIGNMENT, {})
    return _read_header(_Cursor(io.BytesIO(attachments[METADATA_FILE]), METADATA_FILE))


def _number_of(tag: str, name: str) -> int:
    number = NUMBER_OF_TAG.get(tag)
    if number is None and tag.removeprefix("GGUF:").isdecimal() and len(tag) < 16:
        number = int(tag.removeprefix("GGUF:"))
    if number is None or number >= 1 << 32:
        raise NotEncodable(f"GGUF has no type for tensors of type {tag}", path=name)
    return number


def _packed_text(text: str) -> bytes:
    try:
        octets = text.encode()
    except UnicodeEncodeError:
        raise NotEncodable("a GGUF file cannot hold a tensor of this name", path=repr(text)) from None
    return struct.pack("<Q", len(octets)) + octets


def _import_gguf() -> Any:
    try:
        import gguf
        import gguf.constants
        import gguf.quants
    except ImportError:
        raise NotEncodable("dequantising GGUF needs gguf: pip install 'nnr_codec[gguf]'") from None
    return gguf
