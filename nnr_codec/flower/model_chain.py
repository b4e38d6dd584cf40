# SPDX-License-Identifier: Apache-2.0
"""Versions of the global model as streams: the first model whole, then updates."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnr_codec.codec.decode.decoder import Decoder
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.encoder import encode
from nnr_codec.flower.records import MODEL, UPDATE, Arrays
from nnr_codec.updates import ArrayTensors, FeedbackEncoder, model_digest
from nnr_codec.updates.typed_tensors import Array


class ModelChain:
    """Chain of versions of a model.

    A node that has version v needs the streams after v; a node without a version needs all. The chain starts anew with an exact
    stream when its streams are larger than the arrays.

    Parameters
    ----------
    config : EncoderConfig
        For updates.
    change_error : float
        Error of an update as a fraction of its root mean square.
    rank : int or None
        Rank of differences of matrices.
    first_config : EncoderConfig or None
        For the first model, whose error is then never sent. By default the one for updates.

    Attributes
    ----------
    model : dict of str to array
        The version that clients have, which differs from the strategy's model by the errors of quantisation.
    digest : bytes
        `model_digest` of it.
    version : int
        Its number, from 0; -1 before the first model.
    """

    def __init__(
        self, config: EncoderConfig, change_error: float, rank: int | None, first_config: EncoderConfig | None
    ) -> None:
        self._config, self._change_error, self._rank = config, change_error, rank
        self._first_config = first_config
        self.model: Arrays = {}
        self.digest = b""
        self.version = -1
        self._wanted: Arrays = {}
        self._streams: list[tuple[str, bytes]] = []

    def set_model(self, arrays: Arrays) -> None:
        """Make a version of the strategy's model, unless the last one was made of it.

        Raises
        ------
        NotEncodable
            A tensor the format cannot hold.
        """
        arrays = _in_types_of(self.model, arrays)
        if self.version >= 0 and _are_equal(arrays, self._wanted):
            return
        if self.version < 0 or not _are_alike(arrays, self.model):
            is_first = self.version < 0 and self._first_config is not None
            stream = encode(arrays, self._first_config if is_first else self._config)
            self._streams = [(MODEL, stream)]
            self.model = Decoder().decode(stream)
        else:
            if sum(len(stream) for _, stream in self._streams) > sum(a.nbytes for a in arrays.values()):
                self._streams = [(MODEL, encode(self.model, keep=("*",)))]
            # What earlier updates left out is part of this difference.
            encoder = FeedbackEncoder(self._config, change_error=self._change_error, rank=self._rank)
            stream, self.model = encoder.encode(arrays, self.model)
            self._streams.append((UPDATE, stream))
        self._wanted = arrays
        self.digest = model_digest(ArrayTensors(self.model))
        self.version += 1

    def streams_since(self, version: int | None) -> list[tuple[str, bytes]]:
        """Return the streams that lead to the last version.

        Parameters
        ----------
        version : int or None
            The version that the node has; None for a node without one.
        """
        first = self.version + 1 - len(self._streams)
        if version is None or version < first:
            return list(self._streams)
        if version == self.version:
            stream, _ = FeedbackEncoder(self._config).encode(self.model, self.model)
            return [(UPDATE, stream)]
        return self._streams[version + 1 - first :]

    def as_strategys(self, arrays: Arrays) -> Arrays:
        """Return a client's model as if training had begun at the strategy's model instead of the decoded one.

        A strategy that takes differences to its own model as gradients would take errors of quantisation for them.
        """
        if self.version == 0 and self._first_config is not None:
            return arrays
        return {name: _moved(array, self.model[name], self._wanted[name]) for name, array in arrays.items()}


def _moved(array: Array, begun: Array, wanted: Array) -> Array:
    if array.dtype.kind != "f":
        return array
    return np.asarray(wanted + (array - begun)).astype(array.dtype, copy=False)


def _in_types_of(model: Arrays, arrays: Arrays) -> Arrays:
    """Return arrays in the types of a model, where they have its names and shapes: means of integers are floats."""
    if arrays.keys() != model.keys() or any(arrays[name].shape != model[name].shape for name in arrays):
        return arrays
    return {name: _as_type(array, model[name].dtype) for name, array in arrays.items()}


def _as_type(array: Array, dtype: np.dtype[Any]) -> Array:
    if array.dtype == dtype:
        return array
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.rint(array) if dtype.kind in "iu" and array.dtype.kind == "f" else array, dtype)


def _are_alike(arrays: Arrays, model: Arrays) -> bool:
    return arrays.keys() == model.keys() and all(
        (array.shape, array.dtype) == (model[name].shape, model[name].dtype) for name, array in arrays.items()
    )


def _are_equal(arrays: Arrays, model: Arrays) -> bool:
    return _are_alike(arrays, model) and all(
        np.array_equal(array, model[name]) for name, array in arrays.items()
    )
