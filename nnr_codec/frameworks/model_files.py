# SPDX-License-Identifier: Apache-2.0
"""Opening and saving of model files of every kind."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping

from nnr_codec.codec.element_storage import NUMPY_OF_OPAQUE, Array, bits_per_element, tag_of
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.atomic import replacing
from nnr_codec.frameworks.file_kinds import INDEX_SUFFIX, identify, kind_of_path
from nnr_codec.frameworks.model_file import ModelFile, TensorDescription


def open_model(
    path: str | os.PathLike[str],
    *,
    key: str | None = None,
    optimizer: bool = False,
    dequantize: bool = False,
) -> ModelFile:
    """Open a model file of any kind.

    Parameters
    ----------
    path : path-like
        A safetensors, NPZ, PyTorch, ONNX, GGUF or Keras file; the ``*.index.json`` of a sharded model; or a
        folder with one of them, whose other regular files become attachments. The content decides the kind;
        where it has no signature, the suffix does.
    key : str, optional
        For PyTorch: the entry of a checkpoint that is the model, as "state_dict" or "nets.generator"; "." is
        the whole checkpoint.
    optimizer : bool
        For PyTorch: include a checkpoint's optimizer state, under names that begin with its entry's.
    dequantize : bool
        For GGUF: read quantised tensors as float32 values instead of blocks.

    Returns
    -------
    ModelFile
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
        return _open_folder(name, key=key, optimizer=optimizer, dequantize=dequantize)
    if name.endswith(INDEX_SUFFIX):
        from nnr_codec.frameworks.sharded import ShardedFile

        return ShardedFile(
            name, lambda shard: open_model(shard, key=key, optimizer=optimizer, dequantize=dequantize)
        )
    kind = identify(name)
    if kind != "pytorch" and (key is not None or optimizer):
        raise NotEncodable(f"a key and optimizer state are of PyTorch checkpoints, not of {kind}", path=name)
    if kind != "gguf" and dequantize:
        raise NotEncodable(f"only GGUF files are dequantised, not {kind}", path=name)
    if kind == "safetensors":
        from nnr_codec.frameworks.safetensors import SafetensorsFile

        return SafetensorsFile(name)
    if kind == "npz":
        from nnr_codec.frameworks.npz import NpzFile

        return NpzFile(name)
    if kind == "pytorch":
        from nnr_codec.frameworks.pytorch import PytorchFile

        return PytorchFile(name, key=key, optimizer=optimizer)
    if kind == "gguf":
        from nnr_codec.frameworks.gguf import GgufFile

        return GgufFile(name, dequantize=dequantize)
    if kind in ("keras", "h5"):
        from nnr_codec.frameworks.keras import KerasFile

        return KerasFile(name, kind)
    from nnr_codec.frameworks.onnx import OnnxFile

    return OnnxFile(name)


def _open_folder(folder: str, *, key: str | None, optimizer: bool, dequantize: bool) -> ModelFile:
    from nnr_codec.frameworks.folder import folder_attachments, model_in_folder
    from nnr_codec.frameworks.sharded import shard_names

    path = model_in_folder(folder)
    model = open_model(path, key=key, optimizer=optimizer, dequantize=dequantize)
    try:
        weights = [os.path.basename(path)]
        if path.endswith(INDEX_SUFFIX):
            weights += shard_names(path)
        attachments, left_out = folder_attachments(folder, weights)
        # A format's own attachments stay beside those of the folder.
        model.attachments = attachments.joined(model.attachments)
        model.is_folder = True
        model.left_out += left_out
    except BaseException:
        model.close()
        raise
    return model


def save_model(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Array] | Iterable[tuple[str, Array]],
    *,
    kind: str | None = None,
    metadata: Mapping[str, str] | None = None,
    dtypes: Mapping[str, str] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    descriptions: Mapping[str, TensorDescription] | None = None,
    tied: Mapping[str, str] | None = None,
    template: str | os.PathLike[str] | bytes | None = None,
    attachments: Mapping[str, bytes] | None = None,
    external_data: bool | None = None,
    overwrite: bool = False,
) -> None:
    """Write a model file, whole or not at all.

    safetensors, NPZ and GGUF are written tensor by tensor, in any order, when ``tensors`` is a ``ModelFile``,
    or an iterable together with ``descriptions`` or ``shapes``; other iterables are gathered in memory first.

    Parameters
    ----------
    path : path-like
    tensors : mapping or iterable of (name, ndarray)
        An opaque tensor is its stored bytes, ``uint8[n_bytes]``, or an array of the equal NumPy type.
    kind : str, optional
        "safetensors", "npz", "pytorch", "onnx", "gguf", "keras" or "h5"; by default what the file's name says.
    metadata : mapping of str to str, optional
        Kept by safetensors and ONNX; the other kinds have no place for it.
    dtypes : mapping of name to tag, optional
        Types to store, in safetensors' spelling; by default each array's own.
    shapes : mapping of name to shape, optional
        All tensors, in the file's order; goes with ``dtypes``.
    descriptions : mapping of name to TensorDescription, optional
        All tensors, in the file's order; in place of ``shapes`` and ``dtypes``.
    tied : mapping of name to name, optional
        Tensors that share another's elements; PyTorch keeps that, the other kinds store each.
    template : path-like or bytes, optional
        For ONNX: the original model, or what ``ModelFile.topology`` returned.
    attachments : mapping of str to bytes, optional
        For Keras and GGUF the parts of the original beside its tensors; NPZ stores them as members; the other
        kinds of single files have no place for them (see `save_folder`).
    external_data : bool, optional
        For ONNX: write the weights to a file beside, named ``path`` + ".data"; by default beyond 2 GiB.
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
    described, items = _described_items(tensors, dtypes, shapes, descriptions)
    if kind == "onnx":
        from nnr_codec.frameworks.onnx import save_onnx

        if template is None:
            raise NotEncodable("an ONNX file needs the original model as its template")
        save_onnx(
            path,
            items,
            described,
            template,
            metadata or {},
            tied=tied,
            external_data=external_data,
            overwrite=overwrite,
        )
        return
    with replacing(path, overwrite=overwrite) as file:
        if kind == "safetensors":
            from nnr_codec.frameworks.safetensors import write_safetensors

            write_safetensors(file, items, described, metadata or {})
        elif kind == "npz":
            from nnr_codec.frameworks.npz import write_npz

            write_npz(file, _checked(items, described), described, attachments)
        elif kind == "pytorch":
            from nnr_codec.frameworks.pytorch import write_pytorch

            write_pytorch(file, _checked(items, described), described, tied or {})
        elif kind == "gguf":
            from nnr_codec.frameworks.gguf import write_gguf

            write_gguf(file, items, described, attachments or {})
        elif kind in ("keras", "h5"):
            from nnr_codec.frameworks.keras import write_keras

            write_keras(file, _checked(items, described), described, kind, attachments or {})
        else:
            raise NotEncodable(f"model files of kind {kind!r} are unknown", path=os.fspath(path))


def _described_items(
    tensors: Mapping[str, Array] | Iterable[tuple[str, Array]],
    dtypes: Mapping[str, str] | None,
    shapes: Mapping[str, tuple[int, ...]] | None,
    descriptions: Mapping[str, TensorDescription] | None,
) -> tuple[dict[str, TensorDescription], Iterable[tuple[str, Array]]]:
    """Return all tensors' descriptions, and the tensors, unread where the caller's mapping is lazy."""
    if descriptions is not None:
        return dict(descriptions), tensors.items() if isinstance(tensors, Mapping) else tensors
    if isinstance(tensors, ModelFile):
        model = tensors
        described = {name: model.describe(name) for name in model}
        for name, tag in (dtypes or {}).items():
            if name in described and tag != described[name].dtype:
                described[name] = TensorDescription(tag, described[name].shape)
        return described, ((name, model[name]) for name in described)
    if shapes is not None and dtypes is not None and all(_has_size(dtypes[name]) for name in shapes):
        described = {name: TensorDescription(dtypes[name], tuple(shape)) for name, shape in shapes.items()}
        return described, tensors.items() if isinstance(tensors, Mapping) else tensors
    gathered = dict(tensors)
    order = gathered if shapes is None else [*shapes, *(name for name in gathered if name not in shapes)]
    for name in order:
        if name not in gathered:
            raise NotEncodable("an announced tensor did not arrive", path=name)
    described = {name: _describe(gathered[name], name, dtypes or {}, shapes or {}) for name in order}
    return described, ((name, gathered[name]) for name in order)


def _has_size(tag: str) -> bool:
    return bits_per_element(tag) is not None


def _checked(
    items: Iterable[tuple[str, Array]], descriptions: Mapping[str, TensorDescription]
) -> Iterator[tuple[str, Array]]:
    """Yield tensors, each of which must be announced, arrive once, and have its shape."""
    missing = dict.fromkeys(descriptions)
    for name, array in items:
        if name not in missing:
            raise NotEncodable("the tensor is not among those announced, or arrives twice", path=name)
        description = descriptions[name]
        if not description.is_opaque and array.shape != description.shape:
            raise NotEncodable(
                f"the tensor has shape {list(array.shape)} instead of {list(description.shape)}", path=name
            )
        del missing[name]
        yield name, array
        del array
    if missing:
        raise NotEncodable("an announced tensor did not arrive", path=next(iter(missing)))


def _describe(
    array: Array, name: str, dtypes: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]
) -> TensorDescription:
    tag = dtypes.get(name) or tag_of(array.dtype)
    if tag is None:
        # Of the equal opaque tags the first in the table is the one without a framework's prefix, if any.
        little = array.dtype.newbyteorder("<")
        tag = next((tag for tag, dtype in NUMPY_OF_OPAQUE.items() if dtype == little), None)
    if tag is None:
        raise NotEncodable(f"tensors of type {array.dtype} are not supported", path=name)
    shape = tuple(shapes.get(name, array.shape))
    bits = bits_per_element(tag)
    n_bytes = array.nbytes if bits is None or bits * math.prod(shape) % 8 else None
    return TensorDescription(tag, shape, n_bytes)
