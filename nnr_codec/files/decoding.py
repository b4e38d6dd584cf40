# SPDX-License-Identifier: Apache-2.0
"""Decoding of streams to model files."""

from __future__ import annotations

import difflib
import os
import shutil
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from numpy.typing import NDArray

from nnr_codec.codec.decode.decoder import Decoder
from nnr_codec.codec.stream.summary import StreamSummary, describe_stream
from nnr_codec.errors import NotEncodable
from nnr_codec.files.encoding import FileProgress
from nnr_codec.files.paths import (
    FilePath,
    refuse_model_as_input,
    refuse_same_file,
    refuse_stream_as_model,
    seekable,
)
from nnr_codec.frameworks import (
    Origin,
    TensorDescription,
    kind_of_path,
    save_folder,
    save_model,
    save_shards,
    shards_by_size,
)
from nnr_codec.frameworks.atomic import temporary_folder
from nnr_codec.frameworks.file_kinds import INDEX_SUFFIX
from nnr_codec.frameworks.onnx.writer import DATA_SUFFIX
from nnr_codec.frameworks.shard_writer import USUAL_SHARD_BYTES
from nnr_codec.frameworks.stream_tensors import StreamContents
from nnr_codec.model import Limits
from nnr_codec.model.data_types import DATA_TYPES, TAG_OF_NAME

NamedTensor = tuple[str, NDArray[Any]]

_SUFFIX_OF_KIND = {
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
class DecodeReport:
    """Result of `decode_file`.

    Attributes
    ----------
    path : str or None
        The model file, or the index of a sharded set; None when it was written to a file object.
    kind : str
        Kind of the model file.
    n_tensors : int
    model_bytes : int
        Size of the files written.
    seconds : float
        Wall time.
    """

    path: str | None
    kind: str
    n_tensors: int
    model_bytes: int
    seconds: float


def decode_file(
    stream: FilePath | BinaryIO,
    model: FilePath | BinaryIO | None = None,
    *,
    kind: str | None = None,
    names: Collection[str] | None = None,
    dtype: str | None = None,
    template: FilePath | bytes | None = None,
    shard_bytes: int | None = None,
    limits: Limits | None = None,
    require_checksum: bool = False,
    overwrite: bool = False,
    threads: int | None = None,
    progress: FileProgress | None = None,
) -> DecodeReport:
    """Decode a stream file to a model file, by default of the original kind, with original types and metadata.

    Files are written tensor by tensor and take memory for a few of the largest tensors, apart from PyTorch files, which take
    memory for the whole model.

    Parameters
    ----------
    stream : path-like or binary file
    model : path-like or binary file, optional
        The name says the kind; ``*.safetensors.index.json`` is a sharded set, and a folder or a name that ends with "/" gets
        ``model.safetensors`` and the attachments, as does a name without a suffix where the stream was made from a folder.
        By default the stream's name with the suffix of the kind it was made from.
    kind : str, optional
        Kind of the model file, in place of that of its suffix or of the stream: "safetensors", "npz", "pytorch", "onnx",
        "gguf", "keras" or "h5".
    names : collection of str, optional
        Decode these tensors only.
    dtype : str, optional
        Data type for all floating-point tensors, in NumPy's or safetensors' spelling: "float16", "bfloat16", "F32".
    template : path-like or bytes, optional
        For ONNX: the model whose weights are replaced.
    shard_bytes : int, optional
        Write a sharded set with files of at most this many bytes of elements.
    limits : Limits, optional
        Bounds on the cost of a stream.
    require_checksum : bool
        Refuse a stream without a checksum.
    overwrite : bool
        Replace an existing model file. A stream is never replaced.
    threads : int, optional
        By default one for each core. The result does not depend on it.
    progress : callable of (str, int, int), optional
        Called after each tensor with its name, the bytes of elements done so far, and those of the whole model.

    Returns
    -------
    DecodeReport

    Raises
    ------
    BitstreamError
        The stream is damaged, unsupported or beyond the limits; the fields say where.
    NotEncodable
        The kind of file cannot hold a tensor, a name is not in the stream, or the output would replace a stream.
    FileExistsError
        The model file exists and ``overwrite`` is false.
    ValueError
        An unknown kind or data type.

    Examples
    --------
    >>> import os, tempfile, numpy, nnr_codec
    >>> stream = nnr_codec.encode({"w": numpy.ones((2, 3), numpy.float32)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open(os.path.join(folder, "model.nnr"), "wb") as file:
    ...         _ = file.write(stream)
    ...     report = nnr_codec.decode_file(file.name, os.path.join(folder, "model.npz"))
    >>> report.kind, report.n_tensors
    ('npz', 1)
    """
    started = time.perf_counter()
    if model is not None and not isinstance(model, str | os.PathLike):
        with temporary_folder() as folder, seekable(stream) as path:
            kind = kind or describe_stream(path, limits=limits).kind or "safetensors"
            copy = os.path.join(folder, "model" + _SUFFIX_OF_KIND.get(kind, ""))
            report = decode_file(
                path, copy, kind=kind, names=names, dtype=dtype, template=template, limits=limits,
                require_checksum=require_checksum, threads=threads, progress=progress,
            )  # fmt: skip
            with open(copy, "rb") as file:
                shutil.copyfileobj(file, model, 1 << 20)
            return replace(report, path=None)
    tag = None if dtype is None else float_tag(dtype)
    reading: dict[str, Any] = {
        "threads": threads or os.cpu_count() or 1,
        "limits": limits or Limits(),
        "require_checksum": require_checksum,
    }
    with seekable(stream) as stream_path:
        refuse_model_as_input(stream_path)
        summary = describe_stream(stream_path, limits=reading["limits"])
        origin = Origin.from_metadata(summary.kind, summary.metadata)
        destination = _Destination.choose(stream, model, kind, origin, shard_bytes)
        destination.refuse(stream, overwrite)
        tensors, descriptions, aliases = _tensors(stream_path, summary, names, reading, progress)
        if template is not None and destination.kind != "onnx":
            raise NotEncodable(f"a template is for ONNX, not for {destination.kind}", path=destination.path)
        if tag is not None:
            descriptions = {name: _retyped(d, tag) for name, d in descriptions.items()}
        if destination.is_folder:
            save_folder(
                destination.path,
                tensors,
                descriptions,
                shards=origin.shard_numbers(len(descriptions)) if shard_bytes is None else None,
                metadata=origin.metadata,
                attachments=summary.attachments,
                overwrite=overwrite,
            )
        elif destination.in_shards:
            numbers = origin.shard_numbers(len(descriptions)) if shard_bytes is None else None
            if numbers is None:
                numbers = shards_by_size(descriptions, shard_bytes or USUAL_SHARD_BYTES)
            save_shards(
                destination.path,
                tensors,
                descriptions,
                numbers,
                metadata=origin.metadata,
                overwrite=overwrite,
            )
        else:
            save_model(
                destination.path,
                tensors,
                kind=destination.kind,
                metadata=origin.metadata,
                descriptions=descriptions,
                attachments=summary.attachments,
                tied=aliases,
                template=template if template is not None else summary.topology,
                overwrite=overwrite,
            )
    element_bytes = sum(description.size_bytes for description in descriptions.values())
    size_bytes = element_bytes
    if not destination.in_shards and os.path.isfile(destination.path):
        size_bytes = os.path.getsize(destination.path)
        beside = destination.path + DATA_SUFFIX
        if destination.kind == "onnx" and size_bytes < element_bytes and os.path.isfile(beside):
            # The weights of a model beyond 2 GiB are in a file beside.
            size_bytes += os.path.getsize(beside)
    return DecodeReport(
        destination.path, destination.kind, len(descriptions), size_bytes, time.perf_counter() - started
    )


@dataclass(frozen=True)
class _Destination:
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
    ) -> _Destination:
        if kind is not None and kind not in _SUFFIX_OF_KIND:
            raise ValueError(f"kind is one of {', '.join(_SUFFIX_OF_KIND)}, not {kind!r}")
        path = None if model is None else os.fspath(model)
        if path is not None and kind is None and kind_of_path(path) is None and _has_suffix(path):
            suffixes = ", ".join(_SUFFIX_OF_KIND.values())
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
            path = stem + (os.sep if origin.is_folder else _SUFFIX_OF_KIND.get(kind, ".safetensors"))
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


def _tensors(
    stream: str,
    summary: StreamSummary,
    names: Collection[str] | None,
    reading: Mapping[str, Any],
    progress: FileProgress | None,
) -> tuple[Iterator[NamedTensor], dict[str, TensorDescription], dict[str, str]]:
    """Return a decoding iterator over the tensors in file order, their descriptions, and tied names."""
    contents = StreamContents.of(summary)
    coded, origin, descriptions = contents.coded, contents.origin, contents.descriptions
    if names is not None:
        descriptions = {name: descriptions[name] for name in _checked_names(names, descriptions)}
    aliases = {name: origin.tied[name] for name in descriptions if origin.tied.get(name) in descriptions}
    needed = {origin.tied.get(name, name) for name in descriptions}
    decoder = Decoder(**reading)
    decoded = _counted(
        decoder.iterate(stream, names=None if names is None else sorted(needed)),
        {name: coded[name].size_bytes for name in coded if name in needed},
        progress,
    )
    if len(summary.tensors) > len(coded):
        # If a name occurs twice, the later tensor counts, so decode all before writing.
        gathered = dict(decoded)
        return iter([(n, gathered[origin.tied.get(n, n)]) for n in descriptions]), descriptions, aliases
    return _arranged(decoded, list(descriptions), origin.tied), descriptions, aliases


def _counted(
    decoded: Iterator[NamedTensor], size_of: Mapping[str, int], progress: FileProgress | None
) -> Iterator[NamedTensor]:
    total, done = sum(size_of.values()), 0
    for name, array in decoded:
        yield name, array
        # Release the tensor before the next one is decoded.
        del array
        done += size_of.get(name, 0)
        if progress is not None:
            progress(name, done, total)


def _checked_names(names: Collection[str], known: Collection[str]) -> list[str]:
    if isinstance(names, str):
        raise TypeError("names is a collection of tensor names, not one str")
    for name in names:
        if name not in known:
            similar = difflib.get_close_matches(name, known, 3)
            hint = f"; did you mean {', '.join(similar)}?" if similar else ""
            raise NotEncodable(f"the stream has no tensor of this name{hint}", path=name)
    return list(dict.fromkeys(names))


def _arranged(
    decoded: Iterator[NamedTensor], order: Sequence[str], tied: Mapping[str, str]
) -> Iterator[NamedTensor]:
    """Yield tensors in file order under all their names; keep a tensor only until its last use."""
    uses = Counter(tied.get(name, name) for name in order)
    waiting: dict[str, NDArray[Any]] = {}
    for name in order:
        target = tied.get(name, name)
        while target not in waiting:
            arrived = next(decoded, None)
            if arrived is None:
                raise NotEncodable("an announced tensor did not arrive", path=target)
            waiting[arrived[0]] = arrived[1]
            del arrived
        uses[target] -= 1
        yield name, waiting[target] if uses[target] else waiting.pop(target)
    # Exhaust the decoder, which checks the end of the stream.
    yield from decoded
