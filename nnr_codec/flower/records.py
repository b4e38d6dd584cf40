# SPDX-License-Identifier: Apache-2.0
"""Flower's array records as mappings of arrays, and streams as records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

#: `Array.stype` of a stream that holds a whole model.
MODEL = "nnr_codec.model"
#: `Array.stype` of a stream that holds an update.
UPDATE = "nnr_codec.update"


def arrays_of(record: ArrayRecord) -> Arrays:
    """Return the arrays of a record.

    Raises
    ------
    TypeError
        An array is serialised otherwise than by NumPy.
    """
    return {name: array.numpy() for name, array in record.items()}


def record_of(arrays: Mapping[str, NDArray[Any]]) -> ArrayRecord:
    """Return a record of ordinary arrays."""
    return ArrayRecord({name: Array(np.asarray(array)) for name, array in arrays.items()})


def record_of_streams(streams: Sequence[tuple[str, bytes]]) -> ArrayRecord:
    """Return a record of streams, in the order of their decoding.

    Parameters
    ----------
    streams : sequence of (str, bytes)
        `MODEL` or `UPDATE`, and the stream.
    """
    return ArrayRecord(
        {
            str(index): Array("uint8", (len(stream),), stype, stream)
            for index, (stype, stream) in enumerate(streams)
        }
    )


def streams_of(record: ArrayRecord) -> list[tuple[str, bytes]] | None:
    """Return the streams of a record; None if it holds ordinary arrays."""
    streams = [(array.stype, array.data) for array in record.values()]
    return streams if streams and all(stype in (MODEL, UPDATE) for stype, _ in streams) else None


def size_bytes(record: ArrayRecord) -> int:
    """Return the size of the serialised arrays of a record."""
    return sum(len(array.data) for array in record.values())
