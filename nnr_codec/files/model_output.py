# SPDX-License-Identifier: Apache-2.0
"""Decoded models, and the model files that they are written to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from numpy.typing import NDArray

from nnr_codec.errors import NotEncodable
from nnr_codec.files.paths import FilePath, refuse_same_file, refuse_stream_as_model
from nnr_codec.frameworks import (
    Origin,
    TensorDescription,
    kind_of_path,
    save_folder,
    save_model,
    save_shards,
    shards_by_size,
)
from nnr_codec.frameworks.file_kinds import INDEX_SUFFIX
from nnr_codec.frameworks.shard_writer import USUAL_SHARD_BYTES
from nnr_codec.model.data_types import DATA_TYPES, TAG_OF_NAME

NamedTensor = tuple[str, NDArray[Any]]

#: Suffix of each kind of model file.
SUFFIX_OF_KIND = {
    "safetensors": ".safetensors",
    "npz": ".npz",
    "pytorch": ".pt",
    "onnx": ".onnx",
    "gguf": ".gguf",
    "keras": ".keras",
    "h5": ".h5",
}
#: Tags of floating-point types, which `dtype` replaces.
_FLOAT_TAGS = frozenset({"F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2"})


@dataclass(frozen=True)
class DecodedModel:
    """Tensors of a stream in file order, with everything else that a model file holds."""

    tensors: Iterator[NamedTensor]
    descriptions: dict[str, TensorDescription]
    aliases: dict[str, str]
    topology: bytes | None
    attachments: Mapping[str, bytes]


def write_model(
    decoded: DecodedModel,
    destination: Destination,
    origin: Origin,
    tag: str | None,
    shard_bytes: int | None,
    template: FilePath | bytes | None,
    overwrite: bool,
) -> dict[str, TensorDescription]:
    """Write the model file, and return the descriptions of its tensors."""
    descriptions = decoded.descriptions
    if template is not None and destination.kind != "onnx":
        raise NotEncodable(f"a template is for ONNX, not for {destination.kind}", path=destination.path)
    if tag is not None:
        descriptions = {name: _retyped(d, tag) for name, d in descriptions.items()}
    numbers = origin.shard_numbers(len(descriptions)) if shard_bytes is None else None
    if destination.is_folder:
        save_folder(
            destination.path,
            decoded.tensors,
            descriptions,
            shards=numbers,
            metadata=origin.metadata,
            attachments=decoded.attachments,
            overwrite=overwrite,
        )
    elif destination.in_shards:
        if numbers is None:
            numbers = shards_by_size(descriptions, shard_bytes or USUAL_SHARD_BYTES)
        save_shards(
            destination.path,
            decoded.tensors,
            descriptions,
            numbers,
            metadata=origin.metadata,
            overwrite=overwrite,
        )
    else:
        save_model(
            destination.path,
            decoded.tensors,
            kind=destination.kind,
            metadata=origin.metadata,
            descriptions=descriptions,
            attachments=decoded.attachments,
            tied=decoded.aliases,
            template=template if template is not None else decoded.topology,
            overwrite=overwrite,
        )
    return descriptions


@dataclass(frozen=True)
class Destination:
    """Kind and path of the output; for a sharded set, the path of its index."""

    kind: str
    path: str
    in_shards: bool

    @property
    def is_folder(self) -> bool:
        """True for a folder, which gets weights, configuration and tokenizer."""
        return self.path.endswith(("/", os.sep)) or os.path.isdir(self.path)

    @classmethod
    def choose(
        cls,
        stream: FilePath | BinaryIO,
        model: FilePath | None,
        kind: str | None,
        origin: Origin,
        shard_bytes: int | None,
    ) -> Destination:
        """Choose kind and path from the options, the name of the output and the origin of the stream.

        Raises
        ------
        NotEncodable
            The name says no kind of model file, or shards of another kind than safetensors are asked for.
        ValueError
            An unknown kind.
        """
        if kind is not None and kind not in SUFFIX_OF_KIND:
            raise ValueError(f"kind is one of {', '.join(SUFFIX_OF_KIND)}, not {kind!r}")
        path = None if model is None else os.fspath(model)
        if path is not None and kind is None and kind_of_path(path) is None and _has_suffix(path):
            suffixes = ", ".join(SUFFIX_OF_KIND.values())
            raise NotEncodable(f"the suffix says no kind of model file ({suffixes})", path=path)
        names_kind = kind is not None
        kind = kind or (kind_of_path(path) if path else None) or origin.kind or "safetensors"
        in_shards = kind == "safetensors" and (
            shard_bytes is not None or (path.endswith(INDEX_SUFFIX) if path else bool(origin.shards))
        )
        if shard_bytes is not None and not in_shards:
            raise NotEncodable("only safetensors files are written in shards", path=path)
        if path is None:
            if not isinstance(stream, str | os.PathLike):
                raise TypeError("a stream from a file object needs a name or a file for the model")
            stem = os.path.splitext(os.fspath(stream))[0]
            path = stem + (os.sep if origin.is_folder else SUFFIX_OF_KIND.get(kind, ".safetensors"))
        elif origin.is_folder and not names_kind and not _has_suffix(path) and not os.path.exists(path):
            path = os.path.join(path, "")
        if in_shards and not path.endswith((INDEX_SUFFIX, os.sep)):
            path += INDEX_SUFFIX
        return cls(kind, path, in_shards)

    def refuse(self, stream: FilePath | BinaryIO, overwrite: bool) -> None:
        """Refuse outputs that would destroy a file. The writer checks again when it renames its temporary file."""
        if isinstance(stream, str | os.PathLike):
            refuse_same_file(stream, self.path)
        refuse_stream_as_model(self.path)
        if os.path.isfile(self.path) and not overwrite:
            raise FileExistsError(17, "File exists", self.path)


def _has_suffix(path: str) -> bool:
    is_special = os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)
    return bool(os.path.splitext(path)[1]) and not is_special


def float_tag(dtype: str) -> str:
    """Return the tag of a real type by its name in NumPy or safetensors.

    Raises
    ------
    ValueError
        It is no real type.
    """
    tag = TAG_OF_NAME.get(dtype, dtype.upper())
    if tag not in _FLOAT_TAGS:
        known = ", ".join(DATA_TYPES[known].name for known in DATA_TYPES if known in _FLOAT_TAGS)
        raise ValueError(f"dtype is one of {known}, not {dtype!r}")
    return tag


def _retyped(description: TensorDescription, tag: str) -> TensorDescription:
    return replace(description, dtype=tag) if description.dtype in _FLOAT_TAGS else description
