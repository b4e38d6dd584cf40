# SPDX-License-Identifier: Apache-2.0
"""Which reader and which writer a file gets."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping

from nnr_codec.codec.element_storage import Array, tag_of
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.atomic import replacing
from nnr_codec.frameworks.source import ModelSource, TensorDescription

_INDEX_SUFFIX = ".index.json"
_KIND_OF_SUFFIX = {
    ".safetensors": "safetensors",
    ".npz": "npz",
    ".pt": "pytorch",
    ".pth": "pytorch",
    ".bin": "pytorch",
    ".ckpt": "pytorch",
    ".onnx": "onnx",
}


def kind_of_path(path: str | os.PathLike[str]) -> str | None:
    """Tell a file's kind by its name; None when the name says nothing.

    >>> kind_of_path("resnet.PTH"), kind_of_path("model.safetensors.index.json")
    ('pytorch', 'safetensors')
    """
    name = os.fspath(path).removesuffix(_INDEX_SUFFIX)
    return _KIND_OF_SUFFIX.get(os.path.splitext(name)[1].lower())


def open_model(path: str | os.PathLike[str]) -> ModelSource:
    """Open a model file of any kind.

    Parameters
    ----------
    path : path-like
        A safetensors file, NPZ archive, PyTorch state dict or ONNX model; the ``*.index.json`` of a sharded
        set; or a folder that holds one of the two. Names without a known suffix are told by their
        first bytes.

    Returns
    -------
    ModelSource
        A lazy mapping of names to arrays.

    Raises
    ------
    NotEncodable
        The file is of no known kind or damaged; ``path`` names the file and, where it applies, the tensor.
    OSError
        The file cannot be read.
    """
    name = os.fspath(path)
    if os.path.isdir(name):
        name = _model_in_folder(name)
    if name.endswith(_INDEX_SUFFIX):
        from nnr_codec.frameworks.sharded import ShardedSource

        return ShardedSource(name, open_model)
    kind = kind_of_path(name) or _kind_of_content(name)
    if kind == "safetensors":
        from nnr_codec.frameworks.safetensors import SafetensorsSource

        return SafetensorsSource(name)
    if kind == "npz":
        from nnr_codec.frameworks.npz import NpzSource

        return NpzSource(name)
    if kind == "pytorch":
        from nnr_codec.frameworks.pytorch import PytorchSource

        return PytorchSource(name)
    if kind == "onnx":
        from nnr_codec.frameworks.onnx import OnnxSource

        return OnnxSource(name)
    raise NotEncodable("the kind of this model file is unknown", path=name)


def save_model(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Array] | Iterable[tuple[str, Array]],
    *,
    kind: str | None = None,
    metadata: Mapping[str, str] | None = None,
    dtypes: Mapping[str, str] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    tied: Mapping[str, str] | None = None,
    template: str | os.PathLike[str] | bytes | None = None,
    overwrite: bool = False,
) -> None:
    """Write a model file, whole or not at all.

    safetensors and NPZ are written tensor by tensor when ``tensors`` is a ``ModelSource``, or an iterable
    together with ``shapes``; an iterable without shapes is gathered in memory first.

    Parameters
    ----------
    path : path-like
    tensors : mapping or iterable of (name, ndarray)
    kind : str, optional
        "safetensors", "npz", "pytorch" or "onnx"; by default what the file's name says.
    metadata : mapping of str to str, optional
        Kept by safetensors and ONNX; the other kinds have no place for it.
    dtypes : mapping of name to tag, optional
        Types to store, in safetensors' spelling; by default each array's own.
    shapes : mapping of name to shape, optional
        In the order of ``tensors``; goes with ``dtypes``.
    tied : mapping of name to name, optional
        Tensors that share another's elements; PyTorch keeps that, the other kinds store each.
    template : path-like or bytes, optional
        For ONNX: the original model, or what ``ModelSource.topology`` gave.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    NotEncodable
        The kind cannot hold a tensor; ``path`` is the tensor's name.
    FileExistsError
        The file exists and ``overwrite`` is false.
    """
    kind = kind or kind_of_path(path)
    items: Iterable[tuple[str, Array]]
    if isinstance(tensors, ModelSource):
        descriptions = {name: tensors.describe(name) for name in tensors}
        if dtypes:
            descriptions = {
                n: TensorDescription(dtypes.get(n, d.dtype), d.shape) for n, d in descriptions.items()
            }
        items = ((name, tensors[name]) for name in descriptions)
    elif shapes is not None and dtypes is not None:
        descriptions = {name: TensorDescription(dtypes[name], tuple(shape)) for name, shape in shapes.items()}
        items = tensors.items() if isinstance(tensors, Mapping) else tensors
    else:
        gathered = dict(tensors)
        descriptions = {name: _describe(array, name, dtypes or {}) for name, array in gathered.items()}
        items = gathered.items()
    model = None if template is None else _read_template(template)
    with replacing(path, overwrite=overwrite) as file:
        if kind == "safetensors":
            from nnr_codec.frameworks.safetensors import write_safetensors

            write_safetensors(file, items, descriptions, metadata or {})
        elif kind == "npz":
            from nnr_codec.frameworks.npz import write_npz

            write_npz(file, _checked(items, descriptions), descriptions)
        elif kind == "pytorch":
            from nnr_codec.frameworks.pytorch import write_pytorch

            write_pytorch(file, _checked(items, descriptions), descriptions, tied or {})
        elif kind == "onnx":
            from nnr_codec.frameworks.onnx import write_onnx

            if model is None:
                raise NotEncodable("an ONNX file is written into the original model, which is not given")
            write_onnx(file, _checked(items, descriptions), descriptions, model, metadata or {})
        else:
            raise NotEncodable(f"model files of kind {kind!r} are unknown", path=os.fspath(path))


def _checked(
    items: Iterable[tuple[str, Array]], descriptions: Mapping[str, TensorDescription]
) -> Iterator[tuple[str, Array]]:
    missing = dict.fromkeys(descriptions)
    for name, array in items:
        if name not in missing or array.shape != descriptions[name].shape:
            raise NotEncodable("the tensor arrives otherwise than announced", path=name)
        del missing[name]
        yield name, array
        del array
    if missing:
        raise NotEncodable("an announced tensor did not arrive", path=next(iter(missing)))


def _describe(array: Array, name: str, dtypes: Mapping[str, str]) -> TensorDescription:
    tag = dtypes.get(name) or tag_of(array.dtype)
    if tag is None:
        raise NotEncodable(f"tensors of type {array.dtype} are not supported", path=name)
    return TensorDescription(tag, array.shape)


def _read_template(template: str | os.PathLike[str] | bytes) -> bytes:
    if isinstance(template, bytes):
        return template
    with open(template, "rb") as file:
        return file.read()


def _model_in_folder(folder: str) -> str:
    names = sorted(os.listdir(folder))
    for suffix in (".safetensors.index.json", ".index.json", ".safetensors"):
        found = [name for name in names if name.endswith(suffix)]
        if len(found) == 1:
            return os.path.join(folder, found[0])
        if found:
            break
    raise NotEncodable("the folder does not hold exactly one model or index", path=folder)


def _kind_of_content(path: str) -> str | None:
    with open(path, "rb") as file:
        start = file.read(9)
    if start[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(path) as archive:
            return "npz" if all(name.endswith(".npy") for name in archive.namelist()) else "pytorch"
    return "safetensors" if start[8:] == b"{" else None
