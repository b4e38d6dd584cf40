# SPDX-License-Identifier: Apache-2.0
"""Decoding of streams to model files."""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from numpy.typing import NDArray

from nnr_codec.codec.decode.decoder import Decoder
from nnr_codec.codec.stream.summary import StreamSummary, describe_stream
from nnr_codec.errors import NotEncodable
from nnr_codec.files.base_models import BasePaths
from nnr_codec.files.encoding import FileProgress
from nnr_codec.files.model_output import (
    SUFFIX_OF_KIND,
    DecodedModel,
    Destination,
    NamedTensor,
    float_tag,
    write_model,
)
from nnr_codec.files.paths import (
    FilePath,
    refuse_model_as_input,
    seekable,
)
from nnr_codec.files.update_files import descriptions_of, origin_of, refuse_without_base, updated_model
from nnr_codec.frameworks.atomic import temporary_folder
from nnr_codec.frameworks.onnx.writer import DATA_SUFFIX
from nnr_codec.frameworks.stream_tensors import StreamContents
from nnr_codec.model import Limits


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
    base: BasePaths | None = None,
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
    base : path-like, or sequence of them, optional
        For the stream of an update: the model that it was made from, a file or stream, followed by the updates in between.
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
        The stream is damaged, unsupported or beyond the limits, or an update of another base; the fields say where.
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
            copy = os.path.join(folder, "model" + SUFFIX_OF_KIND.get(kind, ""))
            report = decode_file(
                path, copy, kind=kind, names=names, dtype=dtype, base=base, template=template, limits=limits,
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
        origin = origin_of(summary)
        destination = Destination.choose(stream, model, kind, origin, shard_bytes)
        destination.refuse(stream, overwrite)
        with _opened_model(stream_path, summary, names, base, reading, progress) as decoded:
            descriptions = write_model(decoded, destination, origin, tag, shard_bytes, template, overwrite)
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


@contextlib.contextmanager
def _opened_model(
    stream: str,
    summary: StreamSummary,
    names: Collection[str] | None,
    base: BasePaths | None,
    reading: Mapping[str, Any],
    progress: FileProgress | None,
) -> Iterator[DecodedModel]:
    if base is None:
        refuse_without_base(summary)
        contents = StreamContents.of(summary)
        yield _decoded_model(
            contents, names, summary.topology, progress, len(summary.tensors) > len(contents.coded),
            lambda needed: Decoder(**reading).iterate(stream, names=needed),
        )  # fmt: skip
        return
    with updated_model(stream, base, **reading) as updated:
        yield _decoded_model(
            StreamContents.with_names(
                origin_of(summary), descriptions_of(updated.tensors), updated.attachments
            ),
            names,
            updated.topology,
            progress,
            False,
            lambda needed: (
                (name, updated.tensors[name]) for name in updated.tensors if needed is None or name in needed
            ),
        )


def _decoded_model(
    contents: StreamContents,
    names: Collection[str] | None,
    topology: bytes | None,
    progress: FileProgress | None,
    has_repeated_names: bool,
    decode: Callable[[list[str] | None], Iterator[NamedTensor]],
) -> DecodedModel:
    coded, origin, descriptions = contents.coded, contents.origin, contents.descriptions
    if names is not None:
        descriptions = {name: descriptions[name] for name in _checked_names(names, descriptions)}
    aliases = {name: origin.tied[name] for name in descriptions if origin.tied.get(name) in descriptions}
    needed = {origin.tied.get(name, name) for name in descriptions}
    decoded = _counted(
        decode(None if names is None else sorted(needed)),
        {name: coded[name].size_bytes for name in coded if name in needed},
        progress,
    )
    if has_repeated_names:
        # The later tensor of a name counts, so decode all before writing.
        gathered = dict(decoded)
        tensors = iter([(n, gathered[origin.tied.get(n, n)]) for n in descriptions])
    else:
        tensors = _arranged(decoded, list(descriptions), origin.tied)
    return DecodedModel(tensors, descriptions, aliases, topology, contents.attachments)


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
