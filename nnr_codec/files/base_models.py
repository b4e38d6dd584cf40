# SPDX-License-Identifier: Apache-2.0
"""Base models of updates: a model file or stream, with the updates that follow it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from nnr_codec.errors import MalformedBitstream, NnrError
from nnr_codec.files.paths import FilePath, is_stream
from nnr_codec.files.stream_file import StreamFile
from nnr_codec.files.untied import UntiedModel
from nnr_codec.frameworks import open_model
from nnr_codec.model import Limits
from nnr_codec.updates.typed_tensors import TypedTensors
from nnr_codec.updates.update_description import UpdateDescription
from nnr_codec.updates.updated_model import UpdatedModel

#: A base, or the base followed by updates in their order.
BasePaths: TypeAlias = "FilePath | Sequence[FilePath]"


@dataclass(frozen=True)
class BaseModel:
    """Base of an update.

    Attributes
    ----------
    tensors : TypedTensors
    topology : bytes or None
        Graph of an ONNX model.
    attachments : mapping of str to bytes
    """

    tensors: TypedTensors
    topology: bytes | None
    attachments: Mapping[str, bytes]

    def after(self, update: StreamFile) -> BaseModel:
        """Return this model with an update applied."""
        summary = update.summary
        return BaseModel(
            UpdatedModel(self.tensors, update),
            self.topology if summary.topology is None else summary.topology,
            {**self.attachments, **summary.attachments},
        )


@contextlib.contextmanager
def open_base(
    base: BasePaths, *, limits: Limits | None = None, threads: int | None = None, key: str | None = None
) -> Iterator[BaseModel]:
    """Open a base model with its updates. Tensors are read on access, a few at a time.

    Parameters
    ----------
    base : path-like, or sequence of them
        Model file or stream, followed by the streams of updates in their order.
    limits : Limits, optional
        Bounds on the cost of each stream.
    threads : int, optional
    key : str, optional
        Entry of a PyTorch checkpoint that is the model.

    Yields
    ------
    BaseModel

    Raises
    ------
    NnrError
        A file cannot be read, or an update belongs to another base; ``path`` names the file.
    """
    first, *updates = [base] if isinstance(base, str | os.PathLike) else base
    with contextlib.ExitStack() as stack:
        path = os.fspath(first)
        with naming(path):
            if os.path.isfile(path) and is_stream(path):
                model = _first(stack.enter_context(StreamFile(path, limits=limits, threads=threads)))
            else:
                opened = stack.enter_context(open_model(path, key=key))
                model = BaseModel(UntiedModel(opened), opened.topology(), opened.attachments)
        for update in updates:
            path = os.fspath(update)
            with naming(path):
                model = model.after(stack.enter_context(StreamFile(path, limits=limits, threads=threads)))
        yield model


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Put the file's name before the place of an error."""
    try:
        yield
    except NnrError as error:
        if error.path is None or not error.path.startswith(path):
            error.path = f"{path}: {error.path}" if error.path else path
        raise


def _first(file: StreamFile) -> BaseModel:
    if UpdateDescription.from_metadata(file.metadata) is not None:
        raise MalformedBitstream("the stream is an update, and its base comes first")
    return BaseModel(file, file.summary.topology, file.summary.attachments)
