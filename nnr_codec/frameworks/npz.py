# SPDX-License-Identifier: Apache-2.0
"""NPZ archives: zip files of arrays, never with pickled objects."""

from __future__ import annotations

import ast
import math
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from nnr_codec.codec.element_storage import NUMPY_OF_OPAQUE, Array, narrow, opaque_bytes, tag_of
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.attachments import MAX_ATTACHMENT_BYTES, Attachments
from nnr_codec.frameworks.model_file import ModelFile, TensorDescription
from nnr_codec.frameworks.zip_archive import ZipArchive

#: Longest array header read. Only structured types of thousands of fields come near it.
_MAX_HEADER_BYTES = 1 << 18
_PREFIX = "NPZ:"


class NpzFile(ModelFile):
    """An NPZ archive; shapes and types come from the arrays' headers alone.

    Types without arithmetic are opaque: complex64 has the tag "C64", others the prefix "NPZ:" and NumPy's own
    description, as "NPZ:<U5" or "NPZ:[('x', '<f4'), ('y', '<i2')]". Arrays of Python objects are refused.
    """

    kind = "npz"

    def __init__(self, path: str) -> None:
        super().__init__(path, {})
        self._archive = ZipArchive(path)
        # Per name: member, bytes before the elements, stored type, column-major order.
        self._arrays: dict[str, tuple[zipfile.ZipInfo, int, np.dtype[Any], bool]] = {}
        texts: dict[str, zipfile.ZipInfo] = {}
        try:
            for member in self._archive.members:
                if not member.filename.endswith(".npy"):
                    texts[member.filename] = member
                    continue
                name = member.filename.removesuffix(".npy")
                if name in self._arrays:
                    raise NotEncodable("a name occurs twice in the archive", path=f"{path}: {name}")
                self._read_header(member, name)
            if texts and not self._arrays:
                raise NotEncodable(
                    f"a zip archive without arrays ({next(iter(texts))}); unpack it first", path=path
                )
        except BaseException:
            self._archive.close()
            raise
        self.attachments = Attachments({name: self._text_reader(member) for name, member in texts.items()})

    def _text_reader(self, member: zipfile.ZipInfo) -> Any:
        return lambda: self._archive.read(member, MAX_ATTACHMENT_BYTES)

    def _read_header(self, member: zipfile.ZipInfo, name: str) -> None:
        place = f"{self.path}: {name}"
        start = self._archive.read_range(member, 0, min(member.file_size, 12)).tobytes()
        try:
            prefix_size, header_size = _header_sizes(start)
            header = self._archive.read_range(member, prefix_size, header_size).tobytes()
            shape, fortran_order, dtype = _parse_header(header, utf8=start[6] == 3)
        # The parsers of literals and of types raise all of these on damaged text.
        except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError) as error:
            raise NotEncodable(f"not a NumPy array: {error}", path=place) from None
        if dtype.hasobject:
            raise NotEncodable("arrays of Python objects are pickles, which are never read", path=place)
        count = 1
        for extent in shape:
            count *= extent
        begin = prefix_size + header_size
        if begin + count * dtype.itemsize != member.file_size:
            raise NotEncodable("the array's size does not fit its shape", path=place)
        tag = tag_of(dtype)
        self._arrays[name] = member, begin, dtype, fortran_order
        self._descriptions[name] = (
            TensorDescription(tag, shape)
            if tag is not None
            else TensorDescription(opaque_tag(dtype), shape, count * dtype.itemsize)
        )

    def _read(self, name: str) -> Array:
        member, begin, dtype, fortran_order = self._arrays[name]
        shape = self.shape_of(name)
        whole = self._archive.read_range(member, 0, member.file_size)
        if zlib.crc32(whole.data) != member.CRC:
            raise NotEncodable("the array is damaged: its checksum does not fit", path=f"{self.path}: {name}")
        octets = whole[begin:]
        array: Array = (
            np.frombuffer(octets, dtype)
            if dtype.itemsize and octets.size
            else np.empty(shape, dtype).reshape(-1)
        )
        array = array.reshape(shape[::-1]).T if fortran_order else array.reshape(shape)
        if self._descriptions[name].is_opaque:
            return opaque_bytes(array, octets.size, name)
        return array.astype(array.dtype.newbyteorder("="), copy=False)

    def close(self) -> None:
        """Release the archive."""
        self._archive.close()


def write_npz(
    file: BinaryIO,
    tensors: Iterable[tuple[str, Array]],
    descriptions: Mapping[str, TensorDescription],
    attachments: Mapping[str, bytes] | None = None,
) -> None:
    """Write arrays as they come; floats that NumPy lacks are stored as float32, without loss.

    Parameters
    ----------
    file : binary file
    tensors : iterable of (name, ndarray)
        In any order.
    descriptions : mapping of name to TensorDescription
        Types and shapes.
    attachments : mapping of str to bytes, optional
        Members that are no arrays.

    Raises
    ------
    NotEncodable
        NumPy has no such type, or the archive cannot hold such a name; ``path`` is the tensor's name.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in tensors:
            description = descriptions[name]
            with archive.open(_member(name + ".npy", name), "w", force_zip64=True) as out:
                npy.write_array(out, _as_numpy(array, description, name), allow_pickle=False)
            # The loop variable would keep the tensor while the next one is made.
            del array
        for name, content in (attachments or {}).items():
            archive.writestr(_member(name, name), content)


def _member(file_name: str, name: str) -> zipfile.ZipInfo:
    # A fixed date makes equal models equal files.
    member = zipfile.ZipInfo(file_name, date_time=(1980, 1, 1, 0, 0, 0))
    if member.filename != file_name:
        raise NotEncodable("an NPZ archive cannot hold a tensor of this name", path=name)
    try:
        file_name.encode()
    except UnicodeEncodeError:
        raise NotEncodable("an NPZ archive cannot hold a tensor of this name", path=repr(name)) from None
    return member


def _as_numpy(array: Array, description: TensorDescription, name: str) -> Array:
    if not description.is_opaque:
        return np.asarray(narrow(array, tag_in_npz(description.dtype), name))
    return opaque_array(array, description, name)


def opaque_array(array: Array, description: TensorDescription, name: str) -> Array:
    """Return an opaque tensor as an array of its NumPy type.

    Raises
    ------
    NotEncodable
        NumPy has no such type; ``path`` is the tensor's name.
    """
    try:
        dtype = opaque_dtype(description.dtype)
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError):
        dtype = None
    if dtype is None or dtype.hasobject:
        raise NotEncodable(f"NumPy has no type for tensors of type {description.dtype}", path=name)
    octets = opaque_bytes(array, description.size_bytes, name)
    if not octets.size:
        return np.empty(description.shape, dtype)
    return np.frombuffer(octets.tobytes(), dtype).reshape(description.shape)


def tag_in_npz(tag: str) -> str:
    """Return the type in which NPZ holds tensors of type ``tag``."""
    return "F32" if tag in ("BF16", "F8_E4M3", "F8_E5M2") else tag


def opaque_tag(dtype: np.dtype[Any]) -> str:
    """Return the tag of a NumPy type without arithmetic."""
    little = dtype.newbyteorder("<")
    for tag in ("C64", "NPZ:<c16"):
        if NUMPY_OF_OPAQUE[tag] == little:
            return tag
    descr: Any = npy.dtype_to_descr(little)
    return _PREFIX + (descr if isinstance(descr, str) else repr(descr))


def opaque_dtype(tag: str) -> np.dtype[Any]:
    """Return the NumPy type of a tag, or of NumPy's own description of a type.

    Raises
    ------
    ValueError, TypeError, SyntaxError, KeyError, RecursionError, MemoryError
        There is no such type: tags come from files and streams.
    """
    if tag in NUMPY_OF_OPAQUE:
        return NUMPY_OF_OPAQUE[tag]
    text = tag.removeprefix(_PREFIX)
    if len(text) > _MAX_HEADER_BYTES or ":" in text.split("[")[0]:
        raise ValueError("no description of a type")
    return _dtype(ast.literal_eval(text) if text.startswith("[") else text)


def _dtype(descr: Any) -> np.dtype[Any]:
    with warnings.catch_warnings():
        # Aliases from before NumPy 2 are deprecated, and files keep them.
        warnings.simplefilter("ignore")
        dtype = npy.descr_to_dtype(descr)
    if not isinstance(dtype, np.dtype) or dtype.subdtype is not None:
        raise ValueError("the array's type is no element type")
    return dtype


def _header_sizes(start: bytes) -> tuple[int, int]:
    """Return the bytes before the header's text and of the text."""
    if len(start) < 10 or start[:6] != b"\x93NUMPY":
        raise ValueError("the magic number is missing")
    if start[6:8] not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        raise ValueError(f"array format version {start[6]}.{start[7]} is unknown")
    n_length = 2 if start[6] == 1 else 4
    size = int.from_bytes(start[8 : 8 + n_length], "little")
    if size > _MAX_HEADER_BYTES:
        raise ValueError(f"the header has more than {_MAX_HEADER_BYTES} bytes")
    return 8 + n_length, size


def _parse_header(text: bytes, *, utf8: bool) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Parse the dictionary literal that describes an array."""
    literal = text.decode("utf-8" if utf8 else "latin-1")
    # Python 2 wrote long integers with a suffix.
    header = ast.literal_eval(re.sub(r"(\d)L\b", r"\1", literal).strip())
    if not isinstance(header, dict) or header.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError("the header has other keys than an array's")
    shape, fortran_order = header["shape"], header["fortran_order"]
    if not (
        isinstance(shape, tuple)
        and len(shape) <= 64
        and all(isinstance(extent, int) and 0 <= extent < 1 << 60 for extent in shape)
        and math.prod(max(extent, 1) for extent in shape) < 1 << 60
        and isinstance(fortran_order, bool)
    ):
        raise ValueError("the header's shape or order is no shape or order")
    return shape, fortran_order, _dtype(header["descr"])
