# SPDX-License-Identifier: Apache-2.0
"""Properties of a model file that a stream keeps beside its tensors.

The codec carries a file's kind and free-form metadata. Tied names, an ONNX model's graph, and the assignment of
tensors to shards become metadata entries under reserved names, which decoding removes again.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby

from nnr_codec.errors import LimitExceeded, MalformedBitstream
from nnr_codec.frameworks.model_file import ModelFile

_TIED = "nnr_codec.tied"
_TOPOLOGY = "nnr_codec.topology"
_SHARDS = "nnr_codec.shards"
#: A bound on the inflated topology, against deflate bombs.
MAX_TOPOLOGY_BYTES = 1 << 28


@dataclass(frozen=True)
class Origin:
    """Kind and metadata of the file a stream was made from."""

    kind: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    tied: dict[str, str] = field(
        default_factory=dict
    )  #: names that are not coded, with the coded tensor's name
    order: tuple[str, ...] = ()  #: all names as the file has them, where some are tied
    topology: bytes | None = None  #: the model without its weights, what ``save_model`` takes as template
    shards: tuple[
        tuple[int, int], ...
    ] = ()  #: file number and how many tensors in a row lie in it; no set: empty

    @classmethod
    def of(cls, model: ModelFile) -> Origin:
        """Collect the properties of a model file that its tensors do not hold."""
        order = model.names() if model.tied else ()
        shards = tuple((number, len(list(run))) for number, run in groupby(model.shards))
        return cls(model.kind, model.metadata, model.tied, order, model.topology(), shards)

    def to_metadata(self) -> dict[str, str]:
        """Give the metadata for a stream to carry."""
        metadata = dict(self.metadata)
        if self.tied:
            metadata[_TIED] = json.dumps([self.tied, self.order], separators=(",", ":"))
        if self.shards:
            metadata[_SHARDS] = json.dumps(self.shards, separators=(",", ":"))
        if self.topology is not None:
            metadata[_TOPOLOGY] = base64.b64encode(zlib.compress(self.topology, 9)).decode()
        return metadata

    @classmethod
    def from_metadata(cls, kind: str, metadata: Mapping[str, str]) -> Origin:
        """Read what ``to_metadata`` gave, from whatever stream.

        Raises
        ------
        MalformedBitstream
            Our own entries are damaged.
        LimitExceeded
            The topology inflates to more than ``MAX_TOPOLOGY_BYTES``.
        """
        plain = dict(metadata)
        packed_tied, packed_topology = plain.pop(_TIED, "[{},[]]"), plain.pop(_TOPOLOGY, None)
        packed_shards = plain.pop(_SHARDS, "[]")
        try:
            tied, order = json.loads(packed_tied)
            shards = tuple((_count(number), _count(length)) for number, length in json.loads(packed_shards))
            topology = (
                None
                if packed_topology is None
                else _inflate(base64.b64decode(packed_topology, validate=True))
            )
        except (ValueError, TypeError, RecursionError, binascii.Error, zlib.error):
            raise MalformedBitstream(
                "the description of the original file is damaged", path="metadata"
            ) from None
        texts = isinstance(tied, dict) and isinstance(order, list) and [*tied.values(), *order]
        if texts is False or not all(isinstance(text, str) for text in texts):
            raise MalformedBitstream("the description of tied tensors is damaged", path="metadata")
        return cls(kind, plain, tied, tuple(order), topology, shards)

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


def _inflate(packed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    result = inflater.decompress(packed, MAX_TOPOLOGY_BYTES)
    if inflater.unconsumed_tail:
        raise LimitExceeded("the topology inflates beyond its limit", path="metadata")
    if not inflater.eof:
        raise zlib.error("cut short")
    return result
