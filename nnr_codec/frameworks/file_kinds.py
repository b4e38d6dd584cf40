# SPDX-License-Identifier: Apache-2.0
"""Identification of model files by name and by content."""

from __future__ import annotations

import errno
import os
import zipfile

from nnr_codec.errors import NotEncodable

INDEX_SUFFIX = ".index.json"
KIND_OF_SUFFIX = {
    ".safetensors": "safetensors",
    ".npz": "npz",
    ".pt": "pytorch",
    ".pth": "pytorch",
    ".bin": "pytorch",
    ".ckpt": "pytorch",
    ".onnx": "onnx",
    ".gguf": "gguf",
    ".keras": "keras",
    ".h5": "h5",
    ".hdf5": "h5",
}
_START_BYTES = 512
_ZIP = b"PK\x03\x04"
_HDF5 = b"\x89HDF\r\n\x1a\n"
#: First bytes of files that people have in place of a model, with what to do about it.
_NO_MODELS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself; fetch it with: git lfs pull"),
    (b"\x1f\x8b", "a gzip-compressed file; unpack it first"),
    (b"BZh", "a bzip2-compressed file; unpack it first"),
    (b"\xfd7zXZ\x00", "an xz-compressed file; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd-compressed file; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive; unpack it first"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x93NUMPY", "a single NumPy array; save a dictionary of arrays with numpy.savez"),
)
_TFLITE, _TAR, _TAR_OFFSET = b"TFL3", b"ustar", 257


def kind_of_path(path: str | os.PathLike[str]) -> str | None:
    """Return a file's kind by its name; None when the name has no known suffix.

    >>> kind_of_path("resnet.PTH"), kind_of_path("model.safetensors.index.json")
    ('pytorch', 'safetensors')
    """
    name = os.fspath(path).removesuffix(INDEX_SUFFIX)
    return KIND_OF_SUFFIX.get(os.path.splitext(name)[1].lower())


def kind_of_content(path: str | os.PathLike[str]) -> str | None:
    """Return a file's kind by its content; None when the content has no known signature."""
    name = os.fspath(path)
    with open(name, "rb") as file:
        start = file.read(_START_BYTES)
    try:
        _refuse_strangers(start, name)
        return _kind_of_start(start, name)
    except NotEncodable:
        return None


def identify(path: str) -> str:
    """Return a model file's kind by its content, else by its name.

    Raises
    ------
    NotEncodable
        The file is no model: empty, a pointer, an error page, a compressed file, an archive cut short; the
        message names what it is.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.ESPIPE, "Not a regular file", path)
    with open(path, "rb") as file:
        start = file.read(_START_BYTES)
    if not start:
        raise NotEncodable("the file is empty", path=path)
    _refuse_strangers(start, path)
    by_name = kind_of_path(path)
    kind = _kind_of_start(start, path) or by_name
    if kind is None:
        raise NotEncodable("the kind of this model file is unknown", path=path)
    if kind in ("npz", "keras") and start[:4] != _ZIP:
        raise NotEncodable(f"the name says {kind}, but the file is no zip archive", path=path)
    return kind


def _kind_of_start(start: bytes, path: str) -> str | None:
    if start[:4] == _ZIP:
        return _kind_of_zip(path)
    if start[:8] == _HDF5:
        return "h5"
    if start[:4] == b"GGUF":
        return "gguf"
    if _is_safetensors(start, os.path.getsize(path)):
        return "safetensors"
    return "pytorch" if _is_legacy_pytorch(start) else None


def _refuse_strangers(start: bytes, path: str) -> None:
    for magic, what in _NO_MODELS:
        if start.startswith(magic):
            raise NotEncodable(what, path=path)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<!--")):
        raise NotEncodable("an HTML page, such as a server's error message, instead of the model", path=path)
    if text.startswith((b"<?xml", b"<error")):
        raise NotEncodable("an XML text, such as a server's error message, instead of the model", path=path)
    if text.startswith((b'{"error', b'{"message', b'{"detail')):
        raise NotEncodable("a JSON text, such as a server's error message, instead of the model", path=path)
    if start[_TAR_OFFSET : _TAR_OFFSET + 5] == _TAR:
        raise NotEncodable("a tar archive; unpack it first", path=path)
    if start[4:8] == _TFLITE:
        raise NotEncodable("a TensorFlow Lite model, which is not supported", path=path)
    if len(start) == _START_BYTES and not any(start):
        raise NotEncodable("the file begins with zeros, as an interrupted download leaves it", path=path)


def _kind_of_zip(path: str) -> str:
    from nnr_codec.frameworks.zip_archive import ZipArchive

    archive = ZipArchive(path)
    members: list[zipfile.ZipInfo] = archive.members
    archive.close()
    names = [member.filename for member in members]
    if any(name.endswith("model.weights.h5") and name.count("/") == 0 for name in names):
        return "keras"
    if any(name == "data.pkl" or name.endswith("/data.pkl") for name in names):
        return "pytorch"
    if not names or any(name.endswith(".npy") for name in names):
        return "npz"
    if any("/data/weights/" in name or name.endswith("serialized_exported_program.json") for name in names):
        raise NotEncodable("a torch.export archive; save model.state_dict() with torch.save", path=path)
    models = [name for name in names if kind_of_path(name) is not None]
    if models:
        raise NotEncodable(f"a zip archive that holds {models[0]}; unpack it first", path=path)
    raise NotEncodable(
        f"a zip archive without a model{f' (it holds {names[0]!r})' if names else ''}; unpack it first",
        path=path,
    )


def _is_safetensors(start: bytes, file_size: int) -> bool:
    return len(start) > 9 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= file_size - 8


def _is_legacy_pytorch(start: bytes) -> bool:
    """Return whether a pickle of PyTorch's magic number opens the file."""
    return start[:1] == b"\x80" and bytes.fromhex("6cfc9c46f9206aa85019") in start[:32]
