# SPDX-License-Identifier: Apache-2.0
"""Writer of a sharded model: several safetensors files and their index, all of them or none."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import BinaryIO

from nnr_codec.codec.element_storage import Array
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.atomic import replacing_all
from nnr_codec.frameworks.file_kinds import INDEX_SUFFIX
from nnr_codec.frameworks.model_file import TensorDescription
from nnr_codec.frameworks.safetensors import SafetensorsWriter

#: Size of the shards that Hugging Face's tools write by default.
USUAL_SHARD_BYTES = 5_000_000_000


def shards_by_size(descriptions: Mapping[str, TensorDescription], shard_bytes: int) -> list[int]:
    """Assign tensors to shards in order, at most `shard_bytes` of elements each unless one tensor has more.

    >>> sizes = {"a": 2, "b": 1, "c": 9, "d": 1}
    >>> shards_by_size({name: TensorDescription("F32", (size,)) for name, size in sizes.items()}, 12)
    [0, 0, 1, 2]
    """
    numbers: list[int] = []
    number = filled = 0
    for description in descriptions.values():
        if numbers and filled + description.size_bytes > shard_bytes:
            number, filled = number + 1, 0
        filled += description.size_bytes
        numbers.append(number)
    return numbers


def save_shards(
    index: str | os.PathLike[str],
    tensors: Iterable[tuple[str, Array]],
    descriptions: Mapping[str, TensorDescription],
    shards: Sequence[int],
    *,
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write shards beside an index, tensor by tensor, under the customary names.

    Parameters
    ----------
    index : path-like
        ``model.safetensors.index.json`` names shards ``model-00001-of-00003.safetensors``.
    tensors : iterable of (name, ndarray)
        In any order; files are closed as they are complete.
    descriptions : mapping of name to TensorDescription
    shards : sequence of int
        Shard number of each tensor, from 0, in the order of `descriptions`; not necessarily ascending.
    metadata : mapping of str to str, optional
        Goes into every shard and into the index.
    overwrite : bool
        Replace existing files.

    Raises
    ------
    NotEncodable
        As `SafetensorsWriter`.
    FileExistsError
        A file exists and ``overwrite`` is false. Nothing is left behind then, nor by any interruption.
    """
    used = sorted(set(shards)) or [0]
    files = _shard_names(os.fspath(index), len(used))
    rank = {number: index for index, number in enumerate(used)}
    shard_of = {name: rank[number] for name, number in zip(descriptions, shards, strict=True)}
    parts: list[dict[str, TensorDescription]] = [{} for _ in used]
    for name, number in shard_of.items():
        parts[number][name] = descriptions[name]
    folder = os.path.dirname(os.fspath(index))
    paths = [*(os.path.join(folder, name) for name in files), os.fspath(index)]
    texts = dict(metadata or {})
    with replacing_all(paths, overwrite=overwrite) as create, ExitStack() as opened:
        writers: dict[int, tuple[SafetensorsWriter, BinaryIO]] = {}
        waiting = [len(part) for part in parts]
        for name, array in tensors:
            number = shard_of.get(name, -1)
            if number < 0 or not waiting[number]:
                raise NotEncodable("the tensor is not among those announced, or arrives twice", path=name)
            if number not in writers:
                file = opened.enter_context(create(number))
                writers[number] = SafetensorsWriter(file, parts[number], texts), file
            writers[number][0].write(name, array)
            del array
            waiting[number] -= 1
            if not waiting[number]:
                # Hundreds of shards are more than may be open at a time.
                writers.pop(number)[1].close()
        for number, part in enumerate(parts):
            if waiting[number]:
                if number in writers:
                    writers[number][0].finish()
                raise NotEncodable("an announced tensor did not arrive", path=next(iter(part)))
            if not part:
                with create(number) as file:
                    SafetensorsWriter(file, {}, texts)
        total = sum(description.size_bytes for description in descriptions.values())
        text = {
            "metadata": {**texts, "total_size": total},
            "weight_map": {name: files[number] for name, number in shard_of.items()},
        }
        with create(len(files)) as file:
            file.write(json.dumps(text, indent=2, ensure_ascii=False).encode() + b"\n")


def _shard_names(index: str, count: int) -> list[str]:
    stem = os.path.basename(index).removesuffix(INDEX_SUFFIX).removesuffix(".safetensors")
    return [f"{stem}-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)]
