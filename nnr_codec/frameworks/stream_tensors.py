# SPDX-License-Identifier: Apache-2.0
"""Streams as dictionaries of tensors: all names of the source, in its order, tied ones included."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from nnr_codec.codec.element_storage import Array
from nnr_codec.frameworks.atomic import replacing
from nnr_codec.frameworks.model_file import TensorDescription
from nnr_codec.frameworks.origin import Origin
from nnr_codec.model.data_types import DATA_TYPES

if TYPE_CHECKING:
    from nnr_codec.codec.stream.summary import StreamSummary

Stream = bytes | str | os.PathLike[str]


@dataclass(frozen=True)
class StreamContents:
    """Contents of a stream, from its headers.

    Attributes
    ----------
    origin : Origin
        Kind, metadata and ties of the source.
    coded : dict of str to TensorDescription
        Tensors in the stream.
    names : tuple of str
        All names in the source's order, tied ones included.
    attachments : dict of str to bytes
    """

    origin: Origin
    coded: dict[str, TensorDescription]
    names: tuple[str, ...]
    attachments: dict[str, bytes]

    @property
    def aliases(self) -> dict[str, str]:
        """Tied names with the coded tensor's name."""
        return {name: target for name, target in self.origin.tied.items() if target in self.coded}

    @property
    def descriptions(self) -> dict[str, TensorDescription]:
        """Types and shapes of all names in the source's order."""
        return {name: self.describe(name) for name in self.names}

    def describe(self, name: str) -> TensorDescription:
        """Return type and shape of a name of the source."""
        return self.coded[self.aliases.get(name, name)]

    @classmethod
    def of(cls, summary: StreamSummary) -> StreamContents:
        """Return the contents of a stream that `nnr_codec.describe` has read."""
        origin = Origin.from_metadata(summary.kind, summary.metadata)
        coded = {
            t.name: TensorDescription(t.dtype, t.shape or (), None if t.dtype in DATA_TYPES else t.n_bytes)
            for t in summary.tensors
        }
        return cls.with_names(origin, coded, summary.attachments)

    @classmethod
    def with_names(
        cls, origin: Origin, coded: dict[str, TensorDescription], attachments: Mapping[str, bytes]
    ) -> StreamContents:
        """Return contents with all names of the source in its order, tied ones included."""
        present = {*coded, *(name for name, target in origin.tied.items() if target in coded)}
        ordered = [name for name in origin.order if name in present]
        return cls(origin, coded, tuple(dict.fromkeys([*ordered, *coded])), dict(attachments))


def stream_contents(source: Stream) -> StreamContents:
    """Read a stream's headers.

    Raises
    ------
    BitstreamError
        A header is wrong.
    """
    from nnr_codec.codec.stream.summary import describe_stream

    return StreamContents.of(describe_stream(source))


def decoded_tensors(source: Stream, threads: int | None) -> Iterator[tuple[str, Array]]:
    """Yield coded tensors as the stream has them, one in memory at a time.

    Raises
    ------
    BitstreamError
        Anything wrong with the stream.
    """
    from nnr_codec.codec.decode.decoder import Decoder

    for name, array in Decoder(threads=threads).iterate(source):
        yield name, array
        # The loop variable would keep the tensor while the next one is decoded.
        del array


def encode_stream(
    tensors: Mapping[str, Any],
    file: BinaryIO | None,
    *,
    kind: str,
    metadata: Mapping[str, str] | None,
    tied: Mapping[str, str],
    order: tuple[str, ...],
    dtypes: Mapping[str, str],
    options: Mapping[str, Any],
) -> bytes:
    """Encode tensors with the ties and metadata of their source; `options` are those of `nnr_codec.encode`."""
    from nnr_codec.codec.encode.encoder import encode

    texts = Origin(kind, dict(metadata or {}), dict(tied), order if tied else ()).to_metadata()
    return encode(tensors, file=file, kind=kind, metadata=texts, dtypes=dtypes, **options)


def write_stream(path: str | os.PathLike[str], encode: Callable[[BinaryIO], object]) -> None:
    """Write a stream whole or not at all, over an existing file."""
    with replacing(path, overwrite=True) as file:
        encode(file)


def as_bytes(encode: Callable[[BinaryIO], object]) -> bytes:
    """Return a stream in memory."""
    file = io.BytesIO()
    encode(file)
    return file.getvalue()
