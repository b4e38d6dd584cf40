# SPDX-License-Identifier: Apache-2.0
"""ONNX models written from a topology, or a template, and tensors in any order."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import BinaryIO

from nnr_codec.codec.element_storage import Array
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.atomic import replacing, replacing_all
from nnr_codec.frameworks.model_file import TensorDescription
from nnr_codec.frameworks.onnx.elements import Bytes
from nnr_codec.frameworks.onnx.layout import Layout, Room, plan
from nnr_codec.frameworks.onnx.render import Hole
from nnr_codec.frameworks.onnx.template import Template

#: Protocol buffers end at 2 GiB; larger models have their weights in a file beside.
MAX_MODEL_BYTES = (1 << 31) - 1
#: Customary name of that file, behind the model's.
DATA_SUFFIX = ".data"


def save_onnx(
    path: str | os.PathLike[str],
    tensors: Iterable[tuple[str, Array]],
    descriptions: Mapping[str, TensorDescription],
    template: str | os.PathLike[str] | bytes,
    metadata: Mapping[str, str],
    *,
    tied: Mapping[str, str] | None = None,
    external_data: bool | None = None,
    overwrite: bool = False,
) -> None:
    """Write an ONNX model, whole or not at all, holding one tensor in memory at a time.

    Parameters
    ----------
    path : path-like
    tensors : iterable of (name, ndarray)
        In any order. Opaque tensors are ``uint8[n_bytes]``, or arrays of as many bytes.
    descriptions : mapping of name to TensorDescription
        What ``tensors`` will bring.
    template : path-like or bytes
        What ``OnnxFile.topology`` gave, or a model, whose tensors of other names are kept.
    metadata : mapping of str to str
        Replaces the template's, unless empty.
    tied : mapping of name to name, optional
        Tensors that share another's elements; a file of external data holds them once.
    external_data : bool, optional
        Write the initialisers to ``path`` + ".data"; by default where the model exceeds 2 GiB.
    overwrite : bool
        Replace existing files.

    Raises
    ------
    NotEncodable
        A tensor is missing, unknown to the template, or not of the template's shape; ``path`` is its name.
    FileExistsError
        A file exists and ``overwrite`` is false.
    """
    with Template.open(template) as model:
        model.replace_metadata(metadata)
        layout = plan(model, descriptions)
        if external_data or (external_data is None and layout.size > MAX_MODEL_BYTES):
            _save_external(path, tensors, descriptions, model, tied or {}, overwrite=overwrite)
            return
        if layout.size > MAX_MODEL_BYTES:
            raise NotEncodable("one ONNX file cannot exceed 2 GiB", path=os.fspath(path))
        with replacing(path, overwrite=overwrite) as file:
            if file.seekable():
                write_model(layout, model, tensors, file, None)
            else:
                whole = io.BytesIO()
                write_model(layout, model, tensors, whole, None)
                file.write(whole.getbuffer())


def _save_external(
    path: str | os.PathLike[str],
    tensors: Iterable[tuple[str, Array]],
    descriptions: Mapping[str, TensorDescription],
    model: Template,
    tied: Mapping[str, str],
    *,
    overwrite: bool,
) -> None:
    target = os.fspath(path)
    if os.path.exists(target) and not os.path.isfile(target):
        raise NotEncodable("a model with external data needs a file to be written to", path=target)
    location = os.path.basename(os.path.realpath(target)) + DATA_SUFFIX
    layout = plan(
        model, descriptions, location=location, is_external=lambda place: place.is_initializer, tied=tied
    )
    if layout.size > MAX_MODEL_BYTES:
        layout = plan(model, descriptions, location=location, is_external=lambda _: True, tied=tied)
    if layout.size > MAX_MODEL_BYTES:
        raise NotEncodable("the graph alone exceeds the 2 GiB of an ONNX file", path=target)
    data_path = os.path.join(os.path.dirname(os.path.realpath(target)), location)
    with replacing_all([data_path, target], overwrite=overwrite) as create, ExitStack() as opened:
        data_file = opened.enter_context(create(0))
        file = opened.enter_context(create(1))
        write_model(layout, model, tensors, file, data_file)


def write_model(
    layout: Layout,
    model: Template,
    tensors: Iterable[tuple[str, Array]],
    file: BinaryIO,
    data_file: BinaryIO | None,
) -> None:
    """Write the files of a model, which are seekable, as planned."""
    for piece in layout.pieces:
        if isinstance(piece, Hole):
            file.seek(piece.size, os.SEEK_CUR)
        else:
            file.write(piece)

    def write(_: str, room: Room, octets: Bytes) -> None:
        target = data_file if room.is_external and data_file is not None else file
        target.seek(room.offset)
        target.write(octets.data)

    layout.fill(model, tensors, write)
