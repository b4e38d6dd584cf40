# SPDX-License-Identifier: Apache-2.0
"""Hugging Face models from NNR streams.

>>> import nnr_codec.transformers                                         # doctest: +SKIP
>>> model = nnr_codec.transformers.from_pretrained("folder-with-config-and-stream")   # doctest: +SKIP

The configuration lies beside the stream in a folder, or in the stream itself when it was encoded from a folder.
transformers is imported when a function is called; nothing of it is patched.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import stream_tensors
from nnr_codec.frameworks.atomic import temporary_folder
from nnr_codec.frameworks.attachments import checked_file_name
from nnr_codec.torch import load_file

_STREAM_SUFFIXES = (".nnr", ".nnc")
_CONFIGURATION = "config.json"
_GENERATION = "generation_config.json"


def from_pretrained(
    folder_or_file: str | os.PathLike[str],
    model_class: Any = None,
    *,
    device: str | int = "cpu",
    threads: int | None = None,
    **options: Any,
) -> Any:
    """Return a model with a stream's weights.

    Parameters
    ----------
    folder_or_file : path-like
        A folder with one stream and ``config.json``, or a stream that has ``config.json`` attached or beside it.
    model_class : type, optional
        A model class of transformers, or an Auto class; by default the first of the configuration's
        ``architectures``.
    device : str or int
        Device of the model.
    threads : int, optional
        Tensors decoded side by side.
    **options
        Of ``PreTrainedModel.from_pretrained``: ``dtype``, ``attn_implementation``.

    Returns
    -------
    transformers.PreTrainedModel
        In evaluation mode.

    Raises
    ------
    NotEncodable
        transformers is missing, or there is no single stream or no configuration.
    BitstreamError
        Anything wrong with the stream.
    """
    transformers = _import_transformers()
    stream = _stream_of(os.fspath(folder_or_file))
    with _configuration_folder(stream) as folder:
        config = transformers.AutoConfig.from_pretrained(folder)
        if model_class is None:
            model_class = _class_of(transformers, config, stream)
        elif hasattr(model_class, "from_config") and not hasattr(model_class, "config_class"):
            model_class = _class_of_auto(model_class, config)
        weights = load_file(stream, threads=threads)
        model = model_class.from_pretrained(None, config=config, state_dict=weights, **options)
        if os.path.exists(os.path.join(folder, _GENERATION)):
            model.generation_config = transformers.GenerationConfig.from_pretrained(folder)
    return model.to(device).eval()


def _stream_of(path: str) -> str:
    if not os.path.isdir(path):
        return path
    streams = [name for name in sorted(os.listdir(path)) if name.endswith(_STREAM_SUFFIXES)]
    if len(streams) != 1:
        which = ", ".join(streams) or "none"
        raise NotEncodable(f"the folder holds not exactly one stream: {which}", path=path)
    return os.path.join(path, streams[0])


@contextlib.contextmanager
def _configuration_folder(stream: str) -> Iterator[str]:
    """Yield a folder with the configuration: the stream's own, or one of its attachments."""
    beside = os.path.dirname(os.path.abspath(stream))
    if os.path.exists(os.path.join(beside, _CONFIGURATION)):
        yield beside
        return
    attachments: Mapping[str, bytes] = stream_tensors.stream_contents(stream).attachments
    if _CONFIGURATION not in attachments:
        raise NotEncodable(
            f"there is no {_CONFIGURATION} beside the stream or in it; encode the model's folder", path=stream
        )
    with temporary_folder() as folder:
        # Only configurations: code of a model is never executed from a stream.
        for name in (_CONFIGURATION, _GENERATION):
            if name in attachments:
                with open(os.path.join(folder, checked_file_name(name)), "wb") as file:
                    file.write(attachments[name])
        yield folder


def _class_of(transformers: Any, config: Any, stream: str) -> Any:
    for name in config.architectures or ():
        model_class = getattr(transformers, name, None)
        if model_class is not None:
            return model_class
    raise NotEncodable(
        f"the configuration names no class of transformers ({config.architectures}); pass model_class",
        path=stream,
    )


def _class_of_auto(auto_class: Any, config: Any) -> Any:
    """Return the model class that an Auto class takes for a configuration."""
    import torch

    with torch.device("meta"):
        return type(auto_class.from_config(config))


def _import_transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise NotEncodable(
            "Hugging Face models need transformers: pip install 'nnr_codec[transformers]'"
        ) from None
    return transformers
