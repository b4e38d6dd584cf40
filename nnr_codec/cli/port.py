# SPDX-License-Identifier: Apache-2.0
"""All that the commands ask of the codec, in one place; tests put fakes here.

The codec is imported when it is used: help and usage errors do not wait for NumPy and the native module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import click

if TYPE_CHECKING:
    import numpy.typing as npt

    from nnr_codec.codec import EncoderConfig
    from nnr_codec.model import AnyUnit


@dataclass(frozen=True)
class PlacedUnit:
    """A unit with its headers parsed, and where it lies."""

    byte_offset: int
    size_bytes: int
    unit: AnyUnit

    @property
    def names(self) -> tuple[str, ...]:
        """Tensors that the unit carries."""
        header = getattr(self.unit, "header", None)
        return (
            ()
            if header is None
            else header.topology_elem_ids or tuple(map("#{}".format, header.topology_elem_id_indices))
        )


@dataclass
class DecodedModel:
    """Tensors, and what the stream says of the file they came from."""

    tensors: dict[str, npt.NDArray[Any]]
    kind: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)


def configure(options: Mapping[str, Any]) -> EncoderConfig:
    """Make a configuration of the options that were given; the others are the encoder's choice."""
    from nnr_codec.codec import EncoderConfig

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
) -> None:
    """Encode the model several times, until it has the wanted size or error."""
    import nnr_codec

    stream, _ = nnr_codec.compress_to_target(tensors, config=config, **target, **options)
    file.write(stream)
    for name in tensors:
        on_tensor(name)


def decode(
    path: str, names: Sequence[str] | None, *, threads: int, on_tensor: Callable[[str], None]
) -> DecodedModel:
    """Decode a stream, or the named tensors alone."""
    from nnr_codec.codec import Decoder

    decoder = Decoder(threads=threads)
    tensors = {}
    for name, array in decoder.iterate(path, names=names):
        tensors[name] = array
        on_tensor(name)
    description = decoder.description
    return DecodedModel(tensors, description.kind, description.metadata, description.dtypes)


def describe(path: str) -> DecodedModel:
    """Read a stream's description of its source, without its tensors."""
    from nnr_codec.codec.source_description import SourceDescription
    from nnr_codec.model import DataUnit, TopologyUnit

    for placed in read_units(path):
        if isinstance(placed.unit, TopologyUnit):
            found = SourceDescription.from_unit(placed.unit)
            if found is not None:
                return DecodedModel({}, found.kind, found.metadata, found.dtypes)
        if isinstance(placed.unit, DataUnit):
            break
    return DecodedModel({})


def read_units(path: str) -> Iterator[PlacedUnit]:
    """Walk over a stream's units without decoding payloads."""
    from nnr_codec.codec.source import opened
    from nnr_codec.syntax import SyntaxState, iter_unit_spans, parse_unit

    with opened(path) as buffer:
        state = SyntaxState()
        for span in iter_unit_spans(buffer):
            unit = parse_unit(buffer, span, state)
            state = state.after(unit)
            yield PlacedUnit(span.byte_offset, span.size_bytes, unit)
