# SPDX-License-Identifier: Apache-2.0
"""Decoding of updates in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from numpy.typing import ArrayLike

from nnr_codec.codec.decode.decoder import Decoder
from nnr_codec.codec.stream.input import StreamSource
from nnr_codec.codec.stream.summary import describe_stream
from nnr_codec.model import Limits
from nnr_codec.updates.typed_tensors import Array, TypedTensors, as_typed
from nnr_codec.updates.updated_model import UpdatedModel


class DecodedUpdate(Mapping[str, Array]):
    """Tensors of an update's stream in memory.

    Parameters
    ----------
    stream : bytes-like, path or binary file
    limits : Limits, optional
        Bounds on the cost of the stream.

    Attributes
    ----------
    metadata : dict of str to str

    Raises
    ------
    BitstreamError
        Anything wrong with the stream, with its place.
    """

    def __init__(self, stream: StreamSource, limits: Limits | None = None) -> None:
        summary = describe_stream(stream, limits=limits)
        self.metadata = summary.metadata
        self._described = {tensor.name: tensor for tensor in summary.tensors}
        self._tensors = Decoder(limits=limits).decode(stream)

    def __getitem__(self, name: str) -> Array:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def dtype_of(self, name: str) -> str:
        """Return the data type of a tensor, in safetensors' spelling."""
        return self._described[name].dtype

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return self._described[name].shape or ()


def apply_update(
    stream: StreamSource,
    base: TypedTensors | Mapping[str, ArrayLike],
    *,
    limits: Limits | None = None,
    base_digest: bytes | None = None,
) -> dict[str, Array]:
    """Decode an update and return the new model.

    Parameters
    ----------
    stream : bytes-like, path or binary file
    base : TypedTensors or mapping of str to array
        The model that the update was made from; it stays unchanged.
    limits : Limits, optional
        Bounds on the cost of the stream.
    base_digest : bytes, optional
        `model_digest` of the base, where it is known.

    Returns
    -------
    dict of str to array
        Tensors that did not change are those of the base.

    Raises
    ------
    BitstreamError
        The stream is damaged or beyond the limits, is no update, or is an update of another base.

    Examples
    --------
    >>> import numpy
    >>> from nnr_codec.updates import apply_update, encode_update
    >>> base = {"w": numpy.zeros((2, 2), numpy.float32)}
    >>> stream = encode_update({"w": base["w"] + 1}, base)
    >>> apply_update(stream, base)["w"].round(1).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    updated = UpdatedModel(as_typed(base), DecodedUpdate(stream, limits), base_digest)
    return {name: updated[name] for name in updated}
