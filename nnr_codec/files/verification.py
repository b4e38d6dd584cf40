# SPDX-License-Identifier: Apache-2.0
"""Errors of the tensors of a stream against the encoded model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.decode.decoder import Decoder
from nnr_codec.codec.encode.tensor_input import DescribedTensors
from nnr_codec.codec.stream.input import StreamSource
from nnr_codec.errors import InternalError
from nnr_codec.model.data_types import DATA_TYPES


@dataclass(frozen=True)
class TensorError:
    """Difference between a tensor and its decoded values.

    Attributes
    ----------
    name : str
    shape : tuple of int
    relative_error : float
        Root mean square of the differences over that of the values; 0 for equal tensors, infinity if all values are zero
        and the decoded ones are not.
    largest_error : float
        Largest absolute difference.
    """

    name: str
    shape: tuple[int, ...]
    relative_error: float
    largest_error: float

    @property
    def is_exact(self) -> bool:
        """True if every element is equal; NaN equals NaN."""
        return self.relative_error == 0 and self.largest_error == 0


def measure_errors(
    stream: StreamSource, tensors: Mapping[str, NDArray[Any]], *, threads: int | None = None
) -> Iterator[TensorError]:
    """Decode a stream and compare each tensor with the original.

    Parameters
    ----------
    stream : bytes-like, path or binary file
    tensors : mapping of str to array
        The model without tied names; read one at a time.
    threads : int, optional
        Decoding threads.

    Yields
    ------
    TensorError
        In the stream's order.

    Raises
    ------
    InternalError
        A tensor is missing, or its shape or its non-finite values differ.
    BitstreamError
        The stream cannot be decoded.
    """
    return errors_of(Decoder(threads=threads).iterate(stream), tensors)


def errors_of(
    decoded_tensors: Iterable[tuple[str, NDArray[Any]]], tensors: Mapping[str, NDArray[Any]]
) -> Iterator[TensorError]:
    """Compare decoded tensors with the originals; yields and raises as `measure_errors` does."""
    missing = dict.fromkeys(tensors)
    for name, decoded in decoded_tensors:
        if name not in missing:
            raise InternalError("the stream holds a tensor that the model does not have", path=name)
        del missing[name]
        original = np.asarray(tensors[name])
        if isinstance(tensors, DescribedTensors) and tensors.dtype_of(name) not in DATA_TYPES:
            yield compare_stored(name, tensors.shape_of(name), original, decoded)
        else:
            yield compare(name, original, decoded)
        # Release the tensor before the next one is decoded.
        del decoded
    if missing:
        raise InternalError("the stream lacks this tensor", path=next(iter(missing)))


def compare_stored(
    name: str, shape: tuple[int, ...], original: NDArray[Any], decoded: NDArray[Any]
) -> TensorError:
    """Return the error of a tensor of a type without arithmetic, which is exact or a bug.

    Parameters
    ----------
    name : str
    shape : tuple of int
        Of the tensor, whose arrays may be its stored bytes.
    original, decoded : ndarray
        Of one size in bytes.

    Raises
    ------
    InternalError
        The bytes differ.
    """
    stored, arrived = (
        np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in (original, decoded)
    )
    if not np.array_equal(stored, arrived):
        raise InternalError("the stored bytes differ", path=name)
    return TensorError(name, shape, 0.0, 0.0)


def compare(name: str, original: NDArray[Any], decoded: NDArray[Any]) -> TensorError:
    """Return the error of one tensor.

    Parameters
    ----------
    name : str
    original, decoded : ndarray
        Arrays of the same shape.

    Raises
    ------
    InternalError
        Shapes or non-finite values differ.
    """
    if original.shape != decoded.shape:
        raise InternalError(f"decoded to shape {decoded.shape} instead of {original.shape}", path=name)
    if original.dtype.kind not in "fc" or not original.size:
        # Compare other types exactly first: a difference of 64-bit integers may overflow.
        if np.array_equal(original, decoded):
            return TensorError(name, original.shape, 0.0, 0.0)
        original, decoded = original.astype(np.float64), decoded.astype(np.float64)
    is_finite = np.isfinite(original)
    if not np.array_equal(original[~is_finite], decoded[~is_finite], equal_nan=True):
        raise InternalError("non-finite values differ", path=name)
    reference = original[is_finite].astype(np.complex128 if original.dtype.kind == "c" else np.float64)
    # Divide by the largest value, whose square may overflow.
    scale = float(np.abs(reference).max(initial=0.0)) or 1.0
    difference = np.abs(decoded[is_finite] - reference) / scale
    energy = float(np.square(np.abs(reference / scale)).sum())
    squared_error = float(np.square(difference).sum())
    if squared_error == 0:
        return TensorError(name, original.shape, 0.0, 0.0)
    relative_error = math.sqrt(squared_error / energy) if energy else math.inf
    return TensorError(name, original.shape, relative_error, float(difference.max()) * scale)
