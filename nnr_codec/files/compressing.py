# SPDX-License-Identifier: Apache-2.0
"""Compression of model files by what the model puts out: the model itself runs, and no script is needed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from numpy.typing import NDArray

from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.importance import Importance
from nnr_codec.errors import NotEncodable
from nnr_codec.files.paths import FilePath, default_stream_path, refuse_model_as_stream, refuse_same_file
from nnr_codec.files.untied import UntiedModel
from nnr_codec.frameworks import ModelFile, Origin, open_model, replacing
from nnr_codec.frameworks.file_kinds import INDEX_SUFFIX
from nnr_codec.rate_control.calibrated import Moments, moved_moments, normalised, scales_of_moves
from nnr_codec.rate_control.divergence_search import compress_to_divergence
from nnr_codec.rate_control.search_report import SearchReport
from nnr_codec.rate_control.step_search import OnPoint
from nnr_codec.transform import ScaleMove, move_scales

_CONFIGURATION = "config.json"

#: Receives the name of each weight whose inputs were measured.
OnMoments = Callable[[str], None]


class RunnableModel(Protocol):
    """Model that runs with replaced tensors, on fixed inputs."""

    def divergence(self, tensors: Mapping[str, NDArray[Any]]) -> float:
        """Return the divergence of the outputs with these tensors from those of the model as it is."""

    def moments(self) -> Iterator[tuple[str, Moments]]:
        """Measure the inputs of weights."""

    def moves(self) -> list[ScaleMove]:
        """Return the scales that can move between tensors without changing the function."""

    def replace(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Replace tensors of the model by ones with which it computes the same function."""


@dataclass(frozen=True)
class CompressReport:
    """Result of `compress_file`.

    Attributes
    ----------
    path : str
        The stream's file.
    kind : str
        Kind of the model file.
    model_bytes, stream_bytes : int
        Sizes of the files, before and after.
    divergence : float
        Of the outputs of the decoded model, on the inputs of the search.
    n_measured : int
        Number of weights whose inputs were measured.
    search : SearchReport
        Points of the search, with their Pareto front.
    seconds : float
        Wall time.
    """

    path: str
    kind: str
    model_bytes: int
    stream_bytes: int
    divergence: float
    n_measured: int
    search: SearchReport
    seconds: float


def compress_file(
    model: FilePath,
    stream: FilePath | None = None,
    config: EncoderConfig | None = None,
    *,
    divergence: float | None = None,
    size_bytes: float | None = None,
    ratio: float | None = None,
    inputs: FilePath | None = None,
    reparametrise: bool = False,
    key: str | None = None,
    journal: FilePath | None = None,
    overwrite: bool = False,
    threads: int | None = None,
    on_moments: OnMoments | None = None,
    on_point: OnPoint | None = None,
    **options: Any,
) -> CompressReport:
    """Compress a model file to a divergence of its outputs, or to a size.

    The model runs on the inputs, in ONNX Runtime or transformers. The second moments of the inputs of its weights guide the
    rounding (error feedback), and the measured divergence of each tensor its step.

    Parameters
    ----------
    model : path-like
        ONNX model, or Hugging Face folder with weights and ``config.json``.
    stream : path-like, optional
        By default the model's name with the suffix ``.nnr``.
    config : EncoderConfig, optional
        Configuration without steps.
    divergence : float, optional
        Largest divergence of outputs: mean Kullback-Leibler divergence in nats of distributions and logits, squared relative
        error of others.
    size_bytes : float, optional
        Largest size of the stream.
    ratio : float, optional
        Size of the model file over that of the stream. Exactly one of `divergence`, `size_bytes` and `ratio` is required.
    inputs : path-like, optional
        Samples: ``.npz`` or ``.npy`` or a folder of images for ONNX, a text file for language models. By default they are made
        from the model's declared inputs, or written by the language model itself.
    reparametrise : bool
        Move scales of channels between layers (`nnr_codec.transform.transformer_moves`) before quantising. The decoded model
        computes the same function with other weights.
    key : str, optional
        Entry of a PyTorch checkpoint, as in `encode_file`.
    journal : path-like, optional
        File of measured points, from which a search is resumed; by default the stream's name with ``.journal``.
    overwrite : bool
        Replace an existing stream.
    threads : int, optional
        By default one for each core. The stream does not depend on it.
    on_moments : callable of str, optional
        Called for each weight whose inputs were measured.
    on_point : callable of (Point, SearchReport), optional
        Called after each measured encoding.
    **options
        Fields of `EncoderConfig`, instead of or on top of `config`.

    Returns
    -------
    CompressReport

    Raises
    ------
    NotEncodable
        The model cannot be read, run or encoded, or the target is out of reach.
    FileExistsError
        The stream exists and ``overwrite`` is false.
    ValueError
        Not exactly one target.
    """
    started = time.perf_counter()
    target_path = os.fspath(stream) if stream is not None else default_stream_path(model)
    refuse_same_file(model, target_path)
    refuse_model_as_stream(target_path)
    config = replace(config or EncoderConfig(), **options)
    with (
        replacing(target_path, overwrite=overwrite) as file,
        open_model(os.fspath(model), key=key) as opened,
    ):
        model_bytes = sum(os.path.getsize(path) for path in opened.paths)
        if ratio is not None:
            if size_bytes is not None:
                raise ValueError("exactly one target of divergence, size_bytes and ratio is required")
            size_bytes = model_bytes / ratio
        tensors: Mapping[str, NDArray[Any]] = UntiedModel(opened)
        runnable = runnable_model(opened, inputs)
        tensors, importance = calibrate(tensors, runnable, reparametrise=reparametrise, on_moments=on_moments)
        encoded, search = compress_to_divergence(
            tensors,
            runnable.divergence,
            divergence=divergence,
            size_bytes=size_bytes,
            importance=importance,
            config=config,
            journal=journal if journal is not None else f"{target_path}.journal",
            on_point=on_point,
            kind=opened.kind,
            metadata=Origin.of(opened).to_metadata(),
            topology=opened.topology(),
            attachments=opened.attachments,
            dtypes={name: opened.dtype_of(name) for name in tensors},
            threads=threads or os.cpu_count() or 1,
        )
        file.write(encoded)
        reached = search.chosen.score if search.chosen is not None else 0.0
        return CompressReport(
            target_path, opened.kind, model_bytes, len(encoded), reached, len(importance), search,
            time.perf_counter() - started,
        )  # fmt: skip


def calibrate(
    tensors: Mapping[str, NDArray[Any]],
    runnable: RunnableModel,
    *,
    reparametrise: bool = False,
    on_moments: OnMoments | None = None,
) -> tuple[Mapping[str, NDArray[Any]], dict[str, Importance]]:
    """Measure the inputs of the weights of a model, and move scales of channels where asked for.

    Parameters
    ----------
    tensors : mapping of str to array
        Tensors of the model.
    runnable : RunnableModel
        The same model.
    reparametrise, on_moments
        As in `compress_file`.

    Returns
    -------
    tensors : mapping of str to array
        Tensors to encode.
    importance : dict of str to Curvature or array
        Importance of the measured weights, for `compress_to_divergence`.

    Raises
    ------
    NotEncodable
        Scales are to be moved in a model without known moves.
    """
    moments: dict[str, Moments] = {}
    for name, value in runnable.moments():
        if name in tensors:
            moments[name] = value
            if on_moments is not None:
                on_moments(name)
    if reparametrise:
        tensors, moments = _reparametrised(tensors, runnable, moments)
    importance: dict[str, Importance] = {}
    for name, value in moments.items():
        scaled = normalised(value, tensors[name])
        if scaled is not None:
            importance[name] = scaled
    return tensors, importance


def _reparametrised(
    tensors: Mapping[str, NDArray[Any]], runnable: RunnableModel, moments: Mapping[str, Moments]
) -> tuple[Mapping[str, NDArray[Any]], dict[str, Moments]]:
    """Move scales of channels in a model and in the moments of its weights."""
    moves = [
        move
        for move in runnable.moves()
        if all(name in tensors for name in (*move.producers, *move.consumers))
    ]
    if not moves:
        raise NotEncodable("scales of channels move in models of the Llama family and of BERT only")
    scales = scales_of_moves(moves, moments)
    moved = move_scales(dict(tensors), scales)
    runnable.replace({name: moved[name] for move in scales for name in (*move.producers, *move.consumers)})
    return moved, moved_moments(
        moments, scales, {name: len(array) for name, array in moved.items() if array.ndim}
    )


def runnable_model(model: ModelFile, inputs: FilePath | None) -> RunnableModel:
    """Return a model that runs.

    Raises
    ------
    NotEncodable
        It is neither an ONNX model nor beside a ``config.json`` of transformers, or the inputs do not suit.
    """
    if model.kind == "onnx":
        from nnr_codec.frameworks.onnx.calibration.model import RunnableOnnx

        return RunnableOnnx(model, inputs)
    folder = os.path.dirname(os.path.abspath(model.path.removesuffix(INDEX_SUFFIX)))
    configuration = os.path.join(folder, _CONFIGURATION)
    if os.path.isfile(configuration):
        with open(configuration, encoding="utf-8") as file:
            described = json.load(file)
        if isinstance(described, dict) and "model_type" in described:
            from nnr_codec.frameworks.pretrained import RunnableTransformer

            return RunnableTransformer(model, folder, inputs)
    raise NotEncodable(
        "only ONNX models and Hugging Face folders can be run without a script: use --evaluate SCRIPT.py:FUNCTION",
        path=model.path,
    )
