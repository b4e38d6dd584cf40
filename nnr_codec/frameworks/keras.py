# SPDX-License-Identifier: Apache-2.0
"""Keras files: ``.weights.h5`` and other HDF5 files, and ``.keras`` archives.

Datasets are tensors, named by their path in the file. Groups, attributes and datasets of strings travel as an
attachment, ``structure.h5.json``; a ``.keras`` archive's other members (``config.json``, ``metadata.json``) are
attachments too.
"""

from __future__ import annotations

import base64
import contextlib
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO

import numpy as np

from nnr_codec.codec.element_storage import STORAGE, Array, stored_elements, tag_of, widen
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.atomic import temporary_folder
from nnr_codec.frameworks.attachments import MAX_ATTACHMENT_BYTES, Attachments
from nnr_codec.frameworks.hdf5_process import Hdf5Process
from nnr_codec.frameworks.model_file import ModelFile, TensorDescription
from nnr_codec.frameworks.npz import opaque_array, opaque_dtype, opaque_tag
from nnr_codec.frameworks.zip_archive import ZipArchive

STRUCTURE_FILE = "structure.h5.json"
_WEIGHTS = "model.weights.h5"
_COPY_BYTES = 1 << 24
#: What a damaged structure, and a tensor beyond HDF5, make json, NumPy and h5py raise.
_DAMAGED = (LookupError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError, OSError)


class KerasFile(ModelFile):
    """An HDF5 file of weights, or the one inside a ``.keras`` archive.

    Parameters
    ----------
    path : str
    kind : str
        "h5" or "keras".
    """

    def __init__(self, path: str, kind: str) -> None:
        super().__init__(path, {})
        self.kind = kind
        self._archive: ZipArchive | None = None
        with contextlib.ExitStack() as opened:
            weights = path
            readers: dict[str, Callable[[], bytes]] = {}
            if kind == "keras":
                self._archive = ZipArchive(path)
                opened.callback(self._archive.close)
                folder = opened.enter_context(temporary_folder())
                weights = f"{folder}/{_WEIGHTS}"
                readers = self._extract(self._archive, weights)
            self._process = Hdf5Process(weights, path)
            opened.callback(self._process.close)
            self._structure = self._process.structure()
            try:
                self._describe_datasets()
            except (ValueError, TypeError, SyntaxError, KeyError) as error:
                raise NotEncodable(f"the HDF5 file is damaged: {error}", path=path) from None
            self._opened = opened.pop_all()
        self.left_out += tuple(self._structure["left_out"])
        readers[STRUCTURE_FILE] = self._packed_structure
        self.attachments = Attachments(readers)

    def _extract(self, archive: ZipArchive, target: str) -> dict[str, Callable[[], bytes]]:
        readers: dict[str, Callable[[], bytes]] = {}
        for member in archive.members:
            if member.filename == _WEIGHTS:
                with open(target, "wb") as file:
                    for begin in range(0, member.file_size, _COPY_BYTES):
                        size = min(_COPY_BYTES, member.file_size - begin)
                        file.write(archive.read_range(member, begin, size).data)
            elif not member.is_dir():
                if member.file_size > MAX_ATTACHMENT_BYTES:
                    self.left_out += (member.filename,)
                else:
                    readers[member.filename] = _reader(archive, member)
        return readers

    def _describe_datasets(self) -> None:
        for name, dataset in self._structure["datasets"].items():
            shape = tuple(dataset["shape"])
            dtype = opaque_dtype(dataset["dtype"])
            tag = tag_of(dtype)
            # Keras stores bfloat16 as its bits.
            if tag == "U16" and dataset["attributes"].get("dtype", {}).get("strings") == ["bfloat16"]:
                tag = "BF16"
            if tag is None:
                n_bytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
                self._descriptions[name] = TensorDescription(opaque_tag(dtype), shape, n_bytes)
            else:
                self._descriptions[name] = TensorDescription(tag, shape)

    def _packed_structure(self) -> bytes:
        return json.dumps(self._structure, separators=(",", ":")).encode()

    def _read(self, name: str) -> Array:
        description = self._descriptions[name]
        octets: Array = np.frombuffer(self._process.read(name, description.size_bytes), np.uint8).copy()
        if description.is_opaque:
            return octets
        stored = octets.view(STORAGE[description.dtype]).reshape(description.shape)
        return widen(stored, description.dtype)

    def close(self) -> None:
        """End the reading process and release the archive."""
        self._opened.close()


def _reader(archive: ZipArchive, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    return lambda: archive.read(member, MAX_ATTACHMENT_BYTES)


def write_keras(
    file: BinaryIO,
    tensors: Iterable[tuple[str, Array]],
    descriptions: Mapping[str, TensorDescription],
    kind: str,
    attachments: Mapping[str, bytes],
) -> None:
    """Write an HDF5 file, or a ``.keras`` archive around one.

    Parameters
    ----------
    file : seekable binary file
    tensors : iterable of (name, ndarray)
        In any order.
    descriptions : mapping of name to TensorDescription
    kind : str
        "h5" or "keras".
    attachments : mapping of str to bytes
        As `KerasFile` has them; without a structure the file has datasets only.

    Raises
    ------
    NotEncodable
        HDF5 cannot hold a tensor, or the structure does not fit; ``path`` is the tensor's name.
    """
    structure = _parsed_structure(attachments.get(STRUCTURE_FILE))
    if kind == "h5":
        # The library reads what it wrote, which the target need not allow.
        with tempfile.TemporaryFile() as weights:
            _write_hdf5(weights, tensors, descriptions, structure)
            _copy(weights, file)
        return
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, content in attachments.items():
            if name not in (STRUCTURE_FILE, _WEIGHTS):
                archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), content)
        with tempfile.TemporaryFile() as weights:
            _write_hdf5(weights, tensors, descriptions, structure)
            member = zipfile.ZipInfo(_WEIGHTS, date_time=(1980, 1, 1, 0, 0, 0))
            with archive.open(member, "w", force_zip64=True) as out:
                _copy(weights, out)


def _copy(source: Any, target: Any) -> None:
    source.seek(0)
    while chunk := source.read(_COPY_BYTES):
        target.write(chunk)


def _write_hdf5(
    file: Any,
    tensors: Iterable[tuple[str, Array]],
    descriptions: Mapping[str, TensorDescription],
    structure: dict[str, Any],
) -> None:
    h5py = _import_h5py()
    with h5py.File(file, "w") as out:
        try:
            for path, attributes in structure["groups"].items():
                _set_attributes(out.require_group(path) if path else out, attributes)
            for path, text in structure["texts"].items():
                strings = h5py.string_dtype(text["encoding"])
                dataset = out.create_dataset(path, data=_unpacked(text["value"]), dtype=strings)
                _set_attributes(dataset, text["attributes"])
        except _DAMAGED as error:
            raise NotEncodable(f"the HDF5 structure is damaged: {error}", path=STRUCTURE_FILE) from None
        for name, array in tensors:
            try:
                attributes = structure["datasets"].get(name, {}).get("attributes", {})
                dataset = out.create_dataset(name, data=_as_stored(array, descriptions[name], name))
                _set_attributes(dataset, attributes)
            except _DAMAGED as error:
                raise NotEncodable(f"HDF5 cannot hold this tensor: {error}", path=name) from None
            del array


def _as_stored(array: Array, description: TensorDescription, name: str) -> Array:
    if description.is_opaque:
        return opaque_array(array, description, name)
    return stored_elements(array, description.dtype, description.size_bytes, name)


def _set_attributes(member: Any, attributes: Mapping[str, Any]) -> None:
    for name, packed in attributes.items():
        member.attrs[name] = _unpacked(packed)


def _unpacked(packed: Mapping[str, Any]) -> Any:
    shape = tuple(packed["shape"])
    if "strings" in packed:
        texts = list(packed["strings"])
        if packed["dtype"] == "bytes":
            texts = [text.encode("latin-1") for text in texts]
        if not shape:
            return texts[0]
        array = np.empty(len(texts), object)
        array[:] = texts
        return array.reshape(shape)
    content = base64.b64decode(packed["base64"])
    return np.frombuffer(content, opaque_dtype(packed["dtype"])).reshape(shape)[()]


def _parsed_structure(content: bytes | None) -> dict[str, Any]:
    empty: dict[str, Any] = {"groups": {}, "datasets": {}, "texts": {}, "left_out": []}
    if content is None:
        return empty
    try:
        structure = json.loads(content)
    except (ValueError, RecursionError):
        structure = None
    if not isinstance(structure, dict) or not all(
        isinstance(structure.get(part), type(value)) for part, value in empty.items()
    ):
        raise NotEncodable("the HDF5 structure is damaged", path=STRUCTURE_FILE)
    return structure


def _import_h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise NotEncodable("Keras and HDF5 files need h5py: pip install 'nnr_codec[keras]'") from None
    return h5py
