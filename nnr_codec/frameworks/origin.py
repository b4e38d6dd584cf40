# SPDX-License-Identifier: Apache-2.0
"""Properties of a model file that a stream keeps beside its tensors.

The codec carries a file's kind, free-form metadata, graph and attachments. Tied names, the assignment of tensors to shards, and
the mark of a folder become metadata entries under reserved names, which decoding removes again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby

from nnr_codec.errors import MalformedBitstream
from nnr_codec.frameworks.model_file import ModelFile

_TIED = "nnr_codec.tied"
_FOLDER = "nnr_codec.folder"
_SHARDS = "nnr_codec.shards"


@dataclass(frozen=True)
class Origin:
    """Kind and metadata of the file a stream was made from."""

    kind: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    tied: dict[str, str] = field(
        default_factory=dict
    )  #: names that are not coded, with the coded tensor's name
    order: tuple[str, ...] = ()  #: all names as the file has them, where some are tied
    shards: tuple[
        tuple[int, int], ...
    ] = ()  #: file number and how many tensors in a row lie in it; no set: empty
    is_folder: bool = False  #: the model was a folder with configuration and tokenizer files

    @classmethod
    def of(cls, model: ModelFile) -> Origin:
        """Collect the properties of a model file that its tensors do not hold."""
        order = model.names() if model.tied else ()
        shards = tuple((number, len(list(run))) for number, run in groupby(model.shards))
        return cls(model.kind, model.metadata, model.tied, order, shards, model.is_folder)

    def to_metadata(self) -> dict[str, str]:
        """Give the metadata for a stream to carry."""
        metadata = dict(self.metadata)
        if self.tied:
            metadata[_TIED] = json.dumps([self.tied, self.order], separators=(",", ":"))
        if self.shards:
            metadata[_SHARDS] = json.dumps(self.shards, separators=(",", ":"))
        if self.is_folder:
            metadata[_FOLDER] = "1"
        return metadata

    @classmethod
    def from_metadata(cls, kind: str, metadata: Mapping[str, str]) -> Origin:
        """Read what ``to_metadata`` gave, from whatever stream.

        Raises
        ------
        MalformedBitstream
            Our own entries are damaged.
        """
        plain = dict(metadata)
        packed_tied, is_folder = plain.pop(_TIED, "[{},[]]"), plain.pop(_FOLDER, "") == "1"
        packed_shards = plain.pop(_SHARDS, "[]")
        try:
            tied, order = json.loads(packed_tied)
            shards = tuple((_count(number), _count(length)) for number, length in json.loads(packed_shards))
        except (ValueError, TypeError, RecursionError):
            raise MalformedBitstream(
                "the description of the original file is damaged", path="metadata"
            ) from None
        texts = isinstance(tied, dict) and isinstance(order, list) and [*tied.values(), *order]
        if texts is False or not all(isinstance(text, str) for text in texts):
            raise MalformedBitstream("the description of tied tensors is damaged", path="metadata")
        return cls(kind, plain, tied, tuple(order), shards, is_folder)

    def shard_numbers(self, n_tensors: int) -> list[int] | None:
        """Return each tensor's file number; None when the source was no set, or not of so many tensors.

        >>> Origin(shards=((0, 2), (1, 1))).shard_numbers(3)
        [0, 0, 1]
        """
        if not self.shards or sum(length for _, length in self.shards) != n_tensors:
            return None
        return [number for number, length in self.shards for _ in range(length)]


def _count(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 32:
        raise ValueError(f"{value!r} is no number of files or tensors")
    return value
