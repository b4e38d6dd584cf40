# SPDX-License-Identifier: Apache-2.0
"""NumPy arrays to NNR streams and back, with the functions and signatures of ``safetensors.numpy``.

>>> import numpy, nnr_codec.numpy
>>> stream = nnr_codec.numpy.save({"w": numpy.ones((2, 3), numpy.float32)})
>>> nnr_codec.numpy.load(stream)["w"].shape
(2, 3)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nnr_codec.frameworks import stream_tensors

if TYPE_CHECKING:
    import numpy.typing as npt

    Arrays = Mapping[str, npt.NDArray[Any]]


def save(tensor_dict: Arrays, metadata: Mapping[str, str] | None = None, **options: Any) -> bytes:
    """Encode arrays.

    Parameters
    ----------
    tensor_dict : mapping of str to ndarray
    metadata : mapping of str to str, optional
    **options
        Of `nnr_codec.encode`: ``qp``, ``effort``, ``threads``.

    Raises
    ------
    NotEncodable
        An array the format cannot hold; ``path`` names it.
    """
    return stream_tensors.encode_stream(
        tensor_dict, None, kind="", metadata=metadata, tied={}, order=(), dtypes={}, options=options
    )


def save_file(
    tensor_dict: Arrays,
    filename: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
    **options: Any,
) -> None:
    """Encode arrays into a file, which is written whole or not at all.

    Parameters
    ----------
    tensor_dict, metadata, **options
        As `save`.
    filename : path-like
        An existing file is replaced, as `safetensors.numpy.save_file` does.

    Raises
    ------
    NotEncodable
        As `save`.
    OSError
        The file cannot be written.
    """
    stream_tensors.write_stream(
        filename,
        lambda file: stream_tensors.encode_stream(
            tensor_dict, file, kind="", metadata=metadata, tied={}, order=(), dtypes={}, options=options
        ),
    )


def load(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """Decode a stream in memory.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    dict of str to ndarray
        In the source's order; tied names share one array.

    Raises
    ------
    BitstreamError
        Anything wrong with the stream.
    """
    return _loaded(data)


def load_file(filename: str | os.PathLike[str], *, threads: int | None = None) -> dict[str, npt.NDArray[Any]]:
    """Decode a stream in a file.

    Parameters
    ----------
    filename : path-like
    threads : int, optional
        Tensors decoded side by side.

    Returns
    -------
    dict of str to ndarray
        As `load`.

    Raises
    ------
    BitstreamError
        Anything wrong with the stream.
    OSError
        The file cannot be read.
    """
    return _loaded(filename, threads)


def _loaded(source: stream_tensors.Stream, threads: int | None = None) -> dict[str, npt.NDArray[Any]]:
    contents = stream_tensors.stream_contents(source)
    arrays = dict(stream_tensors.decoded_tensors(source, threads))
    aliases = contents.aliases
    return {name: arrays[aliases.get(name, name)] for name in contents.names}
