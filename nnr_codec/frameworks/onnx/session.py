# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime sessions from streams, without a model file in between.

onnxruntime is imported when a session is made, not with this module.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nnr_codec.codec.element_storage import STORAGE, WIDENED, Array
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.model_file import TensorDescription
from nnr_codec.frameworks.onnx import schema
from nnr_codec.frameworks.onnx.elements import Bytes
from nnr_codec.frameworks.onnx.layout import Room, plan
from nnr_codec.frameworks.onnx.names import Place
from nnr_codec.frameworks.onnx.render import Hole
from nnr_codec.frameworks.onnx.template import Template
from nnr_codec.frameworks.onnx.tree import Tensor
from nnr_codec.frameworks.onnx.writer import MAX_MODEL_BYTES
from nnr_codec.frameworks.stream_tensors import StreamContents
from nnr_codec.model import Limits

#: Stands for a file in models whose initialisers are handed over in memory.
_LOCATION = "nnr_codec.in-memory"


def inference_session(
    stream: bytes | str | os.PathLike[str],
    *,
    limits: Limits | None = None,
    threads: int | None = None,
    sess_options: Any = None,
    **options: Any,
) -> Any:
    """Decode a stream that was made from an ONNX model into a session of ONNX Runtime.

    Parameters
    ----------
    stream : bytes or path-like
    limits : Limits, optional
    threads : int, optional
        As `Decoder` has it; ONNX Runtime's own threads are a matter of ``sess_options``.
    sess_options : onnxruntime.SessionOptions, optional
    **options
        Passed to ``onnxruntime.InferenceSession``: ``providers``, ``provider_options``.

    Returns
    -------
    onnxruntime.InferenceSession

    Raises
    ------
    NotEncodable
        The stream holds no ONNX model, or onnxruntime is not installed.
    BitstreamError
        The stream is damaged.
    """
    from nnr_codec.codec.decode.decoder import Decoder
    from nnr_codec.codec.stream.summary import describe_stream

    summary = describe_stream(stream, limits=limits)
    if summary.topology is None:
        raise NotEncodable("the stream was not made from an ONNX model: it holds no graph")
    contents = StreamContents.of(summary)
    decoded = Decoder(limits=limits, threads=threads).iterate(stream)
    return session_from_tensors(
        _with_aliases(decoded, contents.aliases),
        contents.descriptions,
        summary.topology,
        sess_options=sess_options,
        **options,
    )


def session_from_tensors(
    tensors: Iterable[tuple[str, Array]],
    descriptions: Mapping[str, TensorDescription],
    topology: bytes,
    *,
    sess_options: Any = None,
    max_model_bytes: int = MAX_MODEL_BYTES,
    **options: Any,
) -> Any:
    """Make a session of ONNX Runtime from a topology and its tensors.

    Parameters
    ----------
    tensors : iterable of (name, ndarray)
        In any order.
    descriptions : mapping of name to TensorDescription
        What ``tensors`` will bring.
    topology : bytes
        What ``OnnxFile.topology`` gave.
    sess_options : onnxruntime.SessionOptions, optional
    max_model_bytes : int
        Initialisers of larger models are handed over apart from the graph.
    **options
        Passed to ``onnxruntime.InferenceSession``.

    Returns
    -------
    onnxruntime.InferenceSession

    Raises
    ------
    NotEncodable
        As `save_onnx`; also when onnxruntime is not installed.
    """
    runtime = _import_runtime()
    with Template.open(topology) as model:
        layout = plan(model, descriptions)
        if layout.size > max_model_bytes:
            layout = plan(model, descriptions, location=_LOCATION, is_external=_is_replaceable)
        if layout.size > max_model_bytes:
            raise NotEncodable("the model exceeds the 2 GiB that a session takes besides its initialisers")
        whole = io.BytesIO()
        for piece in layout.pieces:
            if isinstance(piece, Hole):
                whole.seek(piece.size, os.SEEK_CUR)
            else:
                whole.write(piece)
        values: dict[str, Any] = {}

        def write(name: str, room: Room, octets: Bytes) -> None:
            if room.is_external:
                values[name] = _value(runtime, model.places[name].element, octets)
            else:
                whole.seek(room.offset)
                whole.write(octets.data)

        layout.fill(model, tensors, write)
    sess_options = sess_options or runtime.SessionOptions()
    if values:
        sess_options.add_external_initializers(list(values), list(values.values()))
    session = runtime.InferenceSession(whole.getvalue(), sess_options, **options)
    # The runtime does not copy initialisers that it is handed.
    session._nnr_codec_initializers = values
    return session


def _is_replaceable(place: Place) -> bool:
    """Select what ONNX Runtime takes apart from the graph: initialisers of the main graph by their names."""
    element = place.element
    return (
        place.is_initializer
        and not place.scope
        and isinstance(element, Tensor)
        and element.name == element.own_name
        and schema.tag_of_type(element.data_type) in STORAGE
    )


def _value(runtime: Any, element: Any, octets: Bytes) -> Any:
    tag = schema.tag_of_type(element.data_type)
    array = octets.view(STORAGE[tag]).reshape(element.dims)
    if tag in WIDENED:
        return runtime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, element.data_type)
    return runtime.OrtValue.ortvalue_from_numpy(array)


def _with_aliases(
    tensors: Iterable[tuple[str, Array]], aliases: Mapping[str, str]
) -> Iterator[tuple[str, Array]]:
    names: dict[str, list[str]] = {}
    for name, target in aliases.items():
        names.setdefault(target, []).append(name)
    for name, array in tensors:
        for alias in (name, *names.get(name, ())):
            yield alias, array
        del array


def _import_runtime() -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise NotEncodable("sessions need ONNX Runtime: pip install 'nnr_codec[onnx]'") from None
    return onnxruntime
