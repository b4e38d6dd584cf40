# SPDX-License-Identifier: Apache-2.0
"""Updates of model files: writing the stream, and reading the updated model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.progress import Progress
from nnr_codec.codec.stream.summary import StreamSummary
from nnr_codec.errors import NotEncodable
from nnr_codec.files.base_models import BaseModel, BasePaths, naming, open_base
from nnr_codec.files.stream_file import StreamFile
from nnr_codec.frameworks import Origin, TensorDescription
from nnr_codec.model import Limits
from nnr_codec.model.data_types import DATA_TYPES
from nnr_codec.updates.encode_update import CHANGE_ERROR, encode_update
from nnr_codec.updates.typed_tensors import TypedTensors
from nnr_codec.updates.update_description import KEY, UpdateDescription


def write_update(
    tensors: TypedTensors,
    base: BasePaths,
    config: EncoderConfig,
    change_error: float | None,
    file: BinaryIO,
    *,
    key: str | None,
    kind: str,
    metadata: Mapping[str, str],
    topology: bytes | None,
    attachments: Mapping[str, bytes],
    threads: int,
    progress: Progress | None,
) -> None:
    """Encode a model file as an update of a base. A graph or an attachment that the base has is not sent again."""
    with open_base(base, threads=threads, key=key) as opened:
        encode_update(
            tensors,
            opened.tensors,
            config,
            file=file,
            kind=kind,
            metadata=metadata,
            topology=None if topology == opened.topology else topology,
            attachments={
                name: attachments[name]
                for name in attachments
                if opened.attachments.get(name) != attachments[name]
            },
            threads=threads,
            progress=progress,
            change_error=change_error or CHANGE_ERROR,
        )


@contextlib.contextmanager
def updated_model(
    stream: str, base: BasePaths, *, threads: int, limits: Limits, require_checksum: bool
) -> Iterator[BaseModel]:
    """Open the model that an update makes of its base.

    Raises
    ------
    BitstreamError
        A stream is damaged, or the update belongs to another base.
    """
    with (
        open_base(base, limits=limits, threads=threads) as opened,
        StreamFile(stream, limits=limits, threads=threads, require_checksum=require_checksum) as update,
    ):
        with naming(stream):
            model = opened.after(update)
        yield model


def origin_of(summary: StreamSummary) -> Origin:
    """Return the origin of a stream, without the description of the update."""
    metadata = {name: text for name, text in summary.metadata.items() if name != KEY}
    return Origin.from_metadata(summary.kind, metadata)


def refuse_without_base(summary: StreamSummary) -> None:
    """Refuse to write differences as if they were a model.

    Raises
    ------
    NotEncodable
        The stream is an update.
    """
    description = UpdateDescription.from_metadata(summary.metadata)
    if description is not None:
        raise NotEncodable(
            f"the stream is an update of a model of digest {description.base.hex()[:16]}...; pass that model as base"
        )


def descriptions_of(tensors: TypedTensors) -> dict[str, TensorDescription]:
    """Return the types and shapes of tensors, as a file that holds them needs."""
    descriptions = {}
    for name in tensors:
        tag = tensors.dtype_of(name)
        n_bytes = None if tag in DATA_TYPES else tensors[name].nbytes
        descriptions[name] = TensorDescription(tag, tensors.shape_of(name), n_bytes)
    return descriptions
