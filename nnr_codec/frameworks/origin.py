# SPDX-License-Identifier: Apache-2.0
"""What a stream remembers of the file it was made from.

The standard codes tensors; a file's kind, its tensors' types and its metadata have no element. They travel
as JSON in the topology unit's data, storage format NNR_TPL_UNREC, which other decoders skip.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from dataclasses import dataclass, field
from typing import Any

from nnr_codec.errors import LimitExceeded, MalformedBitstream
from nnr_codec.frameworks.source import ModelSource

#: Tells our text from whatever else somebody puts into such a unit.
_MARK = "nnr_codec_origin"
#: A bound on the inflated topology, against deflate bombs.
MAX_TOPOLOGY_BYTES = 1 << 28


@dataclass(frozen=True)
class Origin:
    """Kind, types and metadata of the file a stream was made from."""

    kind: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    tied: dict[str, str] = field(
        default_factory=dict
    )  #: names that are not coded, with the coded tensor's name
    topology: bytes | None = None  #: the model without its weights, what ``save_model`` takes as template

    @classmethod
    def of(cls, source: ModelSource) -> Origin:
        """Collect what a model file would lose in a stream."""
        return cls(source.kind, source.metadata, source.dtypes, source.tied, source.topology())

    def to_bytes(self) -> bytes:
        """Serialise to UTF-8 without zero bytes, as ``st(v)`` wants it."""
        fields: dict[str, Any] = {_MARK: 1, "kind": self.kind}
        for name in ("metadata", "dtypes", "tied"):
            if getattr(self, name):
                fields[name] = getattr(self, name)
        if self.topology is not None:
            fields["topology"] = base64.b64encode(zlib.compress(self.topology, 9)).decode()
        return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> Origin | None:
        """Read what ``to_bytes`` wrote; None when the text is somebody else's.

        Raises
        ------
        MalformedBitstream
            The text carries our mark and is damaged.
        LimitExceeded
            The topology inflates to more than ``MAX_TOPOLOGY_BYTES``.
        """
        if _MARK.encode() not in text[:64]:
            return None
        try:
            fields = json.loads(text)
            kind = fields.get("kind")
            maps = {name: fields.get(name, {}) for name in ("metadata", "dtypes", "tied")}
            packed = fields.get("topology")
            topology = None if packed is None else _inflate(base64.b64decode(packed, validate=True))
        except (ValueError, AttributeError, TypeError, RecursionError, binascii.Error, zlib.error):
            raise MalformedBitstream(
                "the description of the original file is damaged", path="origin"
            ) from None
        strings = all(
            isinstance(m, dict) and all(isinstance(v, str) for v in m.values()) for m in maps.values()
        )
        if not strings or not (kind is None or isinstance(kind, str)):
            raise MalformedBitstream("the description of the original file is damaged", path="origin")
        return cls(kind, **maps, topology=topology)


def _inflate(packed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    result = inflater.decompress(packed, MAX_TOPOLOGY_BYTES)
    if inflater.unconsumed_tail:
        raise LimitExceeded("the topology inflates beyond its limit", path="origin")
    if not inflater.eof:
        raise zlib.error("cut short")
    return result
