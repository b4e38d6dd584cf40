# SPDX-License-Identifier: Apache-2.0
"""Names of files: defaults, and outputs that would destroy an input."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import BinaryIO, TypeAlias

from nnr_codec.errors import NnrError, NotEncodable
from nnr_codec.frameworks import kind_of_content, kind_of_path
from nnr_codec.frameworks.atomic import temporary_folder
from nnr_codec.frameworks.file_kinds import INDEX_SUFFIX

FilePath: TypeAlias = "str | os.PathLike[str]"

#: Size of a start unit, with which every stream begins. Clause: format 2.
_START_UNIT_SIZE = b"\x00\x04"
#: The type of a unit, 0 for a start unit, stands in the upper six bits of its third byte.
_UNIT_TYPE_SHIFT = 2


def default_stream_path(model: FilePath) -> str:
    """Return the name of the stream made from a model file.

    >>> default_stream_path("a/model.safetensors"), default_stream_path("a/model.safetensors.index.json")
    ('a/model.nnr', 'a/model.nnr')
    """
    path = os.fspath(model).rstrip("/")
    if os.path.isdir(path):
        return path + ".nnr"
    return os.path.splitext(path.removesuffix(INDEX_SUFFIX))[0] + ".nnr"


def refuse_model_as_stream(stream: FilePath) -> None:
    """Refuse to write a stream under a model file's name.

    A shell pattern that matches several model files gives the second one as output, and ``--force`` would replace it.

    Raises
    ------
    NotEncodable
        The name ends like a model file's, or the file that exists is one.
    """
    path = os.fspath(stream)
    kind = kind_of_path(path)
    if kind is None and os.path.isfile(path) and not is_stream(path):
        kind = kind_of_content(path)
    if kind is not None:
        raise NotEncodable(
            f"the output of encode is a stream, and this is a {kind} file; encode takes one model at a time",
            path=path,
        )


def refuse_stream_as_model(model: FilePath) -> None:
    """Refuse to overwrite a stream by a decoded model.

    Raises
    ------
    NotEncodable
        The file that exists is a stream.
    """
    path = os.fspath(model)
    if os.path.isfile(path) and is_stream(path):
        raise NotEncodable("the file exists and is an NNR stream; it is not overwritten", path=path)


def is_stream(path: str) -> bool:
    """Tell whether a file begins with a start unit, as every stream does."""
    with open(path, "rb") as file:
        start = file.read(3)
    return start[:2] == _START_UNIT_SIZE and len(start) == 3 and start[2] >> _UNIT_TYPE_SHIFT == 0


def refuse_same_file(input_path: FilePath, output_path: FilePath) -> None:
    """Refuse an output that is the input.

    Raises
    ------
    NotEncodable
    """
    with contextlib.suppress(FileNotFoundError):
        if os.path.samefile(input_path, output_path):
            raise NotEncodable("input and output are the same file", path=os.fspath(output_path))


@contextlib.contextmanager
def seekable(source: FilePath | BinaryIO) -> Iterator[str]:
    """Give the path of a regular file with the input's bytes: pipes and file objects are copied to a temporary file first.

    Parameters
    ----------
    source : path-like or binary file

    Yields
    ------
    str
    """
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        if not os.path.exists(path) or os.path.isfile(path) or os.path.isdir(path):
            yield path
            return
        with open(path, "rb") as file, _spooled(file, path) as copy:
            yield copy
        return
    with _spooled(source, getattr(source, "name", None)) as copy:
        yield copy


@contextlib.contextmanager
def _spooled(file: BinaryIO, name: object) -> Iterator[str]:
    label = name if isinstance(name, str) else "standard input"
    with temporary_folder() as folder:
        path = os.path.join(folder, "input")
        with open(path, "wb") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
        try:
            yield path
        except NnrError as error:
            if error.path is not None:
                error.path = error.path.replace(path, label)
            raise
