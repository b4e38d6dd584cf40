# SPDX-License-Identifier: Apache-2.0
"""A model's free-form metadata, which a stream carries apart from the graph."""

from __future__ import annotations

import io
from collections.abc import Mapping

from nnr_codec.frameworks.onnx import schema, wire
from nnr_codec.frameworks.onnx.tree import Message, Part


def take_metadata(model: Message, path: str) -> dict[str, str]:
    """Remove the metadata from a model and return it.

    A model with a key that occurs twice keeps its metadata, and the result is empty.
    """
    metadata: dict[str, str] = {}
    rest: list[Part] = []
    for part in model.parts:
        if not isinstance(part, bytes):
            rest.append(part)
            continue
        reader = wire.WireReader(io.BytesIO(part), path)
        for item in reader.fields(0, reader.size):
            if item.number != schema.MODEL_METADATA or item.wire_type != wire.LEN:
                rest.append(part[item.start : item.stop])
                continue
            texts = {1: "", 2: ""}
            for entry in reader.fields(item.begin, item.stop):
                if entry.number in texts and entry.wire_type == wire.LEN:
                    texts[entry.number] = reader.text(entry)
            if texts[1] in metadata:
                return {}
            metadata[texts[1]] = texts[2]
    model.parts = rest
    return metadata


def put_metadata(model: Message, metadata: Mapping[str, str]) -> None:
    """Add metadata to a model, before functions, as libraries order fields by their numbers."""
    entries: list[Part] = [
        wire.field(schema.MODEL_METADATA, wire.field(1, key.encode()) + wire.field(2, value.encode()))
        for key, value in metadata.items()
    ]
    behind = [
        index
        for index, part in enumerate(model.parts)
        if isinstance(part, Message) and part.number > schema.MODEL_METADATA
    ]
    place = behind[0] if behind else len(model.parts)
    model.parts[place:place] = entries
