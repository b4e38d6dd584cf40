# SPDX-License-Identifier: Apache-2.0
"""All that the commands ask of the codec, in one place; tests put fakes here.

The codec is imported when it is used: help and usage errors do not wait for NumPy and the native module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import click

if TYPE_CHECKING:
    import numpy.typing as npt

    from nnr_codec.codec.encode.config import EncoderConfig
    from nnr_codec.codec.stream.source_description import SourceDescription
    from nnr_codec.codec.stream.summary import StreamSummary
    from nnr_codec.model import Limits
    from nnr_codec.rate_control.targets import TargetReport


def configure(options: Mapping[str, Any]) -> EncoderConfig:
    """Make a configuration of the options that were given; the others are the encoder's choice."""
    from nnr_codec.codec.encode.config import EncoderConfig

    try:
        return EncoderConfig(**options)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def encode(
    tensors: Mapping[str, npt.NDArray[Any]],
    config: EncoderConfig,
    *,
    file: BinaryIO,
    kind: str,
    metadata: Mapping[str, str],
    threads: int,
    on_tensor: Callable[[str], None],
) -> None:
    """Encode into a file, tensor by tensor."""
    import nnr_codec

    nnr_codec.encode(
        tensors,
        config,
        file=file,
        kind=kind,
        metadata=metadata,
        threads=threads,
        progress=lambda name, n_elements, n_bytes: on_tensor(name),  # noqa: ARG005 - the codec's signature
    )


def encode_to_target(
    tensors: Mapping[str, npt.NDArray[Any]],
    config: EncoderConfig,
    target: Mapping[str, Any],
    *,
    file: BinaryIO,
    on_tensor: Callable[[str], None],
    **options: Any,
) -> TargetReport:
    """Encode the model several times, until it has the wanted size or error; the report tells how near it came."""
    import nnr_codec

    stream, report = nnr_codec.compress_to_target(tensors, config=config, **target, **options)
    file.write(stream)
    for name in tensors:
        on_tensor(name)
    return report


def decode(
    path: str,
    names: Sequence[str] | None,
    *,
    threads: int,
    on_tensor: Callable[[str], None],
    limits: Limits | None = None,
    require_checksum: bool = False,
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Decode a stream, or the named tensors alone, one by one."""
    from nnr_codec.codec.decode.decoder import Decoder

    for name, array in Decoder(threads=threads, limits=limits, require_checksum=require_checksum).iterate(
        path, names=names
    ):
        yield name, array
        # A loop's variable would keep it while the next one is decoded.
        del array
        on_tensor(name)


def describe(path: str, limits: Limits | None = None) -> StreamSummary:
    """Read what a stream holds, from its headers."""
    from nnr_codec.codec.stream.summary import describe_stream

    return describe_stream(path, limits=limits)


def describe_source(path: str, limits: Limits | None = None) -> SourceDescription:
    """Read what a stream says of the file it was made from, without walking over its tensors."""
    from nnr_codec.codec.stream.input import opened
    from nnr_codec.codec.stream.stream_reader import StreamReader
    from nnr_codec.model import Limits

    limits = limits or Limits()
    with opened(path, limits.max_stream_bytes) as buffer:
        reader = StreamReader(buffer, limits, {})
        # The description precedes the first tensor.
        next(reader.tensors(), None)
        return reader.topologies.description


def write_index(path: str, file: BinaryIO, limits: Limits | None = None) -> int:
    """Write the index of a stream's units; the number of names."""
    from nnr_codec.codec.stream.unit_index import UnitIndex

    return UnitIndex.write(path, file, limits=limits)
