# SPDX-License-Identifier: Apache-2.0
"""Description of an update: its base, and the tensors that are no differences.

It is an entry of the stream's metadata, so that any decoder of the format can read the differences.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from nnr_codec.errors import MalformedBitstream

#: Metadata entry that holds the description.
KEY = "nnr_codec.update"
_DIGEST_BYTES = 32


@dataclass(frozen=True)
class UpdateDescription:
    """Description of an update.

    Attributes
    ----------
    base : bytes
        `model_digest` of the base.
    whole : frozenset of str
        Tensors of the stream that are whole instead of differences: new ones, and those of another shape or type.
    removed : frozenset of str
        Tensors of the base that the new model does not have.
    order : tuple of str
        Names of the new model in its order; empty if it is that of the base, followed by the new tensors.
    products : frozenset of str
        Differences that the stream has as factors, under their names with the suffixes ``_G`` and ``_H``.
    """

    base: bytes
    whole: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    order: tuple[str, ...] = ()
    products: frozenset[str] = frozenset()

    def to_metadata(self) -> dict[str, str]:
        """Return the metadata entry."""
        content: dict[str, object] = {"base": self.base.hex()}
        for key, names in (("whole", self.whole), ("removed", self.removed), ("products", self.products)):
            if names:
                content[key] = sorted(names)
        if self.order:
            content["order"] = self.order
        return {KEY: json.dumps(content, separators=(",", ":"))}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> UpdateDescription | None:
        """Return the description in a stream's metadata; None if the stream is no update.

        Raises
        ------
        MalformedBitstream
            The entry is damaged.
        """
        text = metadata.get(KEY)
        if text is None:
            return None
        try:
            content = json.loads(text)
            names = {key: content.get(key, []) for key in ("whole", "removed", "order", "products")}
            base = bytes.fromhex(content["base"])
            is_valid = len(base) == _DIGEST_BYTES and all(
                isinstance(listed, list) and all(isinstance(name, str) for name in listed)
                for listed in names.values()
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            is_valid = False
        if not is_valid:
            raise MalformedBitstream("the description of the update is damaged", path=f"metadata[{KEY}]")
        return cls(
            base,
            frozenset(names["whole"]),
            frozenset(names["removed"]),
            tuple(names["order"]),
            frozenset(names["products"]),
        )
