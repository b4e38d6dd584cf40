# SPDX-License-Identifier: Apache-2.0
"""Model folders as Hugging Face's libraries write them: weights, configuration, tokenizer."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence

from nnr_codec.codec.element_storage import Array
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.atomic import replacing, replacing_all
from nnr_codec.frameworks.attachments import (
    MAX_ATTACHMENT_BYTES,
    Attachments,
    attachments_beside,
    checked_file_name,
)
from nnr_codec.frameworks.file_kinds import INDEX_SUFFIX, KIND_OF_SUFFIX
from nnr_codec.frameworks.model_file import TensorDescription
from nnr_codec.frameworks.safetensors import write_safetensors
from nnr_codec.frameworks.shard_writer import USUAL_SHARD_BYTES, save_shards, shards_by_size

#: Names that libraries load from a folder, in their order of preference.
_CONVENTIONAL = (
    "model.safetensors.index.json",
    "model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "adapter_model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
)
#: Weights in other formats, pickles, and archives are not carried along.
_NOT_ATTACHED = (
    *KIND_OF_SUFFIX,
    *(".msgpack", ".pkl", ".pickle", ".joblib", ".onnx_data", ".tflite", ".ot", ".pb", ".mlmodel"),
    *(".zip", ".tar", ".gz", ".nnr", ".nnc", ".dill", ".pt2", ".npy"),
)
#: PEFT finds the weights of an adapter by their name, and knows an adapter by this file.
_ADAPTER_CONFIG = "adapter_config.json"
_MAX_ATTACHED_BYTES = 4 * MAX_ATTACHMENT_BYTES


def model_in_folder(folder: str) -> str:
    """Return the path of a folder's model file or index.

    Raises
    ------
    NotEncodable
        The folder holds no model, or several without a conventional name.
    """
    names = sorted(os.listdir(folder))
    for name in _CONVENTIONAL:
        if name in names:
            return os.path.join(folder, name)
    for suffix in (".safetensors.index.json", INDEX_SUFFIX, ".safetensors", *KIND_OF_SUFFIX):
        candidates = [name for name in names if name.endswith(suffix)]
        if len(candidates) == 1:
            return os.path.join(folder, candidates[0])
        if candidates:
            raise NotEncodable(
                f"the folder holds several models ({', '.join(candidates[:5])}); name one of them",
                path=folder,
            )
    raise NotEncodable("the folder holds no model file", path=folder)


def folder_attachments(folder: str, weights: Sequence[str]) -> tuple[Attachments, tuple[str, ...]]:
    """List a folder's files that belong to the model.

    Parameters
    ----------
    folder : str
    weights : sequence of str
        File names that the model was read from.

    Returns
    -------
    attachments : Attachments
        Regular files beside the weights, links to such files included.
    left_out : tuple of str
        Subfolders, hidden files, other weights, pickles, and files beyond the size limits.
    """
    attached: list[str] = []
    left_out: list[str] = []
    total = 0
    for name in sorted(set(os.listdir(folder)) - set(weights)):
        status = os.stat(os.path.join(folder, name))
        if not stat.S_ISREG(status.st_mode):
            left_out.append(f"{name}/" if stat.S_ISDIR(status.st_mode) else name)
        elif (
            name.startswith(".")
            or name.lower().endswith(_NOT_ATTACHED)
            or name.endswith(INDEX_SUFFIX)
            or status.st_size > MAX_ATTACHMENT_BYTES
            or total + status.st_size > _MAX_ATTACHED_BYTES
        ):
            left_out.append(name)
        else:
            attached.append(name)
            total += status.st_size
    return attachments_beside(folder, attached), tuple(left_out)


def save_folder(
    folder: str | os.PathLike[str],
    tensors: Iterable[tuple[str, Array]],
    descriptions: Mapping[str, TensorDescription],
    *,
    shards: Sequence[int] | None = None,
    metadata: Mapping[str, str] | None = None,
    attachments: Mapping[str, bytes] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a folder with ``model.safetensors``, or shards and their index, and the attachments.

    The weights of an adapter, which has an ``adapter_config.json``, are in ``adapter_model.safetensors``.

    Parameters
    ----------
    folder : path-like
        Created if missing.
    tensors : iterable of (name, ndarray)
        In any order.
    descriptions : mapping of name to TensorDescription
    shards : sequence of int, optional
        Shard number of each tensor; by default shards of at most 5 GB.
    metadata, attachments
        As `save_model`.
    overwrite : bool
        Replace existing files.

    Raises
    ------
    NotEncodable
        An attachment's name is no plain file name, or that of the weights.
    FileExistsError
        A file exists and ``overwrite`` is false.
    """
    target = os.fspath(folder)
    numbers = list(shards) if shards is not None else shards_by_size(descriptions, USUAL_SHARD_BYTES)
    texts = {checked_file_name(name): content for name, content in (attachments or {}).items()}
    for name in texts:
        if name.lower().endswith((".safetensors", INDEX_SUFFIX)):
            raise NotEncodable("an attachment may not take the place of weights", path=name)
    os.makedirs(target, exist_ok=True)
    paths = [os.path.join(target, name) for name in texts]
    stem = "adapter_model" if _ADAPTER_CONFIG in texts else "model"
    # Attachments get their names last: a folder with a configuration has its weights.
    with replacing_all(paths, overwrite=overwrite) as create:
        for number, content in enumerate(texts.values()):
            with create(number) as file:
                file.write(content)
        if len(set(numbers)) > 1:
            index = os.path.join(target, f"{stem}.safetensors{INDEX_SUFFIX}")
            save_shards(index, tensors, descriptions, numbers, metadata=metadata, overwrite=overwrite)
        else:
            weights = os.path.join(target, f"{stem}.safetensors")
            with replacing(weights, overwrite=overwrite) as file:
                write_safetensors(file, tensors, descriptions, metadata or {})
