# SPDX-License-Identifier: Apache-2.0
"""Encoding of model files."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, cast

from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.encoder import encode
from nnr_codec.errors import NnrError
from nnr_codec.files.base_models import BasePaths, open_base
from nnr_codec.files.paths import (
    FilePath,
    default_stream_path,
    refuse_model_as_stream,
    refuse_same_file,
    seekable,
)
from nnr_codec.files.stream_file import StreamFile
from nnr_codec.files.untied import UntiedModel
from nnr_codec.files.update_files import write_update
from nnr_codec.files.verification import TensorError, errors_of, measure_errors
from nnr_codec.frameworks import Origin, open_model, replacing
from nnr_codec.rate_control.adapters import config_for_adapter
from nnr_codec.rate_control.target_report import TargetReport
from nnr_codec.rate_control.targets import compress_to_target

#: Called with a tensor's name, the bytes of elements done, and those of the whole model.
FileProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class EncodeReport:
    """Result of `encode_file`.

    Attributes
    ----------
    path : str or None
        The stream's file; None when it was written to a file object.
    kind : str
        Kind of the model file: "safetensors", "npz", "pytorch", "onnx" and so on.
    model_bytes, stream_bytes : int
        Sizes of the files, before and after.
    n_tensors, n_weights : int
        Numbers of tensors and elements; shared ones count once.
    not_encoded : tuple of str
        Entries of the model file that are not encoded, such as the optimizer state of a checkpoint.
    notes : tuple of str
        Remarks about the model file for the user.
    target : TargetReport or None
        Result of the search for a target size or error.
    errors : tuple of TensorError
        Error of each tensor, with ``verify``.
    seconds : float
        Wall time.
    """

    path: str | None
    kind: str
    model_bytes: int
    stream_bytes: int
    n_tensors: int
    n_weights: int
    not_encoded: tuple[str, ...]
    notes: tuple[str, ...]
    target: TargetReport | None
    errors: tuple[TensorError, ...]
    seconds: float

    @property
    def ratio(self) -> float:
        """Size of the model file over that of the stream."""
        return self.model_bytes / self.stream_bytes if self.stream_bytes else math.inf

    @property
    def bits_per_weight(self) -> float:
        """Bits of the stream per weight; NaN for a model without weights."""
        return 8 * self.stream_bytes / self.n_weights if self.n_weights else math.nan


def encode_file(
    model: FilePath | BinaryIO,
    stream: FilePath | BinaryIO | None = None,
    config: EncoderConfig | None = None,
    *,
    key: str | None = None,
    optimizer: bool = False,
    dequantize: bool = False,
    target_ratio: float | None = None,
    target_bits: float | None = None,
    max_error: float | None = None,
    per_tensor: bool = False,
    base: BasePaths | None = None,
    change_error: float | None = None,
    verify: bool = False,
    overwrite: bool = False,
    threads: int | None = None,
    progress: FileProgress | None = None,
    **options: Any,
) -> EncodeReport:
    """Encode a model file to a stream file, which decodes to the same kind of file.

    In LoRA adapters the error of the products of the factors counts; see `nnr_codec.rate.config_for_adapter`.

    Parameters
    ----------
    model : path-like or binary file
        Model file of a kind that `nnr_codec.frameworks.open_model` reads, folder with one, or index of a sharded set. A pipe
        or file object is copied to a temporary file first.
    stream : path-like or binary file, optional
        By default the model's name with the suffix ``.nnr``.
    config : EncoderConfig, optional
    key, optimizer, dequantize
        Parts of a checkpoint to encode, and values instead of blocks of a GGUF file; see `nnr_codec.frameworks.open_model`.
    target_ratio, target_bits, max_error, per_tensor
        Size or error to reach, as ``ratio``, ``bits``, ``max_error`` and ``per_tensor`` of `compress_to_target`.
    base : path-like, or sequence of them, optional
        Encode the model as an update of this one: a model file or stream, followed by the streams of earlier updates. The update
        decodes with the same base only. Options that set a step or an error apply to new tensors only.
    change_error : float, optional
        Error of the differences to the base, as a fraction of their root mean square; by default 0.2.
    verify : bool
        Decode the stream and measure the error of each tensor. A stream that fails is deleted.
    overwrite : bool
        Replace an existing stream. A file that is no stream is never replaced.
    threads : int, optional
        By default one for each core. The stream does not depend on it.
    progress : callable of (str, int, int), optional
        Called after each tensor, and often inside a large one, with its name, the bytes of elements done so far, and those of the
        whole model.
    **options
        Fields of `EncoderConfig`, instead of or on top of `config`.

    Returns
    -------
    EncodeReport

    Raises
    ------
    NotEncodable
        The model cannot be read or encoded, or the output would replace a file that is no stream; ``path`` names the file and,
        where it applies, the tensor.
    FileExistsError
        The stream exists and ``overwrite`` is false.
    OSError
        A file cannot be read or written. No output file is left behind.

    Examples
    --------
    >>> import os, tempfile, numpy, nnr_codec
    >>> weights = numpy.random.default_rng(0).standard_normal((64, 64)).astype(numpy.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     numpy.savez(os.path.join(folder, "model.npz"), w=weights)
    ...     report = nnr_codec.encode_file(os.path.join(folder, "model.npz"), effort="fast")
    >>> os.path.basename(report.path), report.n_tensors, report.ratio > 3
    ('model.nnr', 1, True)
    """
    started = time.perf_counter()
    if stream is None:
        if not isinstance(model, str | os.PathLike):
            raise TypeError("a model from a file object needs a name or a file for the stream")
        stream = default_stream_path(model)
    config = replace(config or EncoderConfig(), **options)
    if isinstance(stream, str | os.PathLike):
        if isinstance(model, str | os.PathLike):
            refuse_same_file(model, stream)
        refuse_model_as_stream(stream)
    has_target = per_tensor or any(value is not None for value in (target_ratio, target_bits, max_error))
    threads = threads or os.cpu_count() or 1
    reading: dict[str, Any] = {"key": key, "optimizer": optimizer, "dequantize": dequantize}
    with (
        seekable(model) as model_path,
        _output(stream, overwrite) as file,
        open_model(model_path, **reading) as opened,
    ):
        tensors = UntiedModel(opened)
        size_of = {name: opened.describe(name).size_bytes for name in tensors}
        n_elements_of = {name: math.prod(opened.shape_of(name)) for name in tensors}
        on_elements = None if progress is None else _by_bytes(progress, size_of, n_elements_of)
        counted = _Counted(file)
        described: dict[str, Any] = {
            "kind": opened.kind,
            "metadata": Origin.of(opened).to_metadata(),
            "topology": opened.topology(),
            "attachments": opened.attachments,
            "threads": threads,
        }
        report = None
        if base is not None:
            if has_target:
                raise ValueError("an update has no target size or error; change_error sets its accuracy")
            described["progress"] = on_elements
            write_update(tensors, base, config, change_error, cast(BinaryIO, counted), key=key, **described)
        elif has_target:
            encoded, report = compress_to_target(
                tensors,
                ratio=target_ratio,
                bits=target_bits,
                max_error=max_error,
                per_tensor=per_tensor,
                config=config,
                **described,
            )
            counted.write(encoded)
        else:
            encode(
                tensors,
                config_for_adapter(tensors, config, threads=threads),
                file=cast(BinaryIO, counted),  # the encoder only writes
                progress=on_elements,
                **described,
            )
        errors = _verified(file, stream, tensors, threads, base, key) if verify else ()
        return EncodeReport(
            os.fspath(stream) if isinstance(stream, str | os.PathLike) else None,
            opened.kind,
            sum(os.path.getsize(path) for path in opened.paths),
            counted.n_bytes,
            len(tensors),
            sum(n_elements_of.values()),
            opened.left_out,
            opened.notes,
            report,
            errors,
            time.perf_counter() - started,
        )


class _Counted:
    """Binary output that counts the bytes written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.n_bytes = 0

    def write(self, piece: bytes) -> int:
        self._file.write(piece)
        self.n_bytes += len(piece)
        return len(piece)


@contextlib.contextmanager
def _output(stream: FilePath | BinaryIO, overwrite: bool) -> Iterator[BinaryIO]:
    if isinstance(stream, str | os.PathLike):
        with replacing(stream, overwrite=overwrite) as file:
            yield file
    else:
        yield stream


def _by_bytes(
    progress: FileProgress, size_of: Mapping[str, int], n_elements_of: Mapping[str, int]
) -> Callable[[str, int, int], None]:
    """Turn the encoder's progress in elements into progress in bytes of the model file."""
    total, done = sum(size_of.values()), 0.0

    def on_elements(name: str, n_elements: int, n_stream_bytes: int) -> None:
        nonlocal done
        del n_stream_bytes
        # A tensor without elements has no bytes either.
        done += size_of.get(name, 0) * n_elements / max(n_elements_of.get(name, 1), 1)
        progress(name, round(done), total)

    return on_elements


def _verified(
    file: BinaryIO,
    stream: FilePath | BinaryIO,
    tensors: UntiedModel,
    threads: int,
    base: BasePaths | None,
    key: str | None,
) -> tuple[TensorError, ...]:
    file.flush()
    path = getattr(file, "name", None)
    if not isinstance(path, str) or not os.path.isfile(path):
        raise ValueError("only a stream that is written to a regular file can be verified")
    try:
        if base is None:
            return tuple(measure_errors(path, tensors, threads=threads))
        with open_base(base, threads=threads, key=key) as opened, StreamFile(path, threads=threads) as update:
            decoded = opened.after(update).tensors
            return tuple(errors_of(((name, decoded[name]) for name in decoded), tensors))
    except NnrError as error:
        error.path = f"{stream}: {error.path}" if error.path else str(stream)
        raise
