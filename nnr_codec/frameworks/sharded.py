# SPDX-License-Identifier: Apache-2.0
"""One model in several files, with an index that says which tensor lies where."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from nnr_codec.codec.element_storage import Array
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.source import ModelSource


class ShardedSource(ModelSource):
    """The shards named by a ``*.index.json``, seen as one source.

    Parameters
    ----------
    path : str
        The index.
    open_shard : callable of str to ModelSource
    """

    def __init__(self, path: str, open_shard: Callable[[str], ModelSource]) -> None:
        super().__init__(path, {})
        weight_map, self.metadata = _read_index(path)
        self._shards: dict[str, ModelSource] = {}
        self._shard_of = weight_map
        try:
            for file_name in sorted(set(weight_map.values())):
                self._shards[file_name] = shard = open_shard(os.path.join(os.path.dirname(path), file_name))
                self.kind = shard.kind
                self.metadata.update(shard.metadata)
                self.tied.update(shard.tied)
                self.left_out += shard.left_out
            for name, file_name in weight_map.items():
                if name not in self._shards[file_name]:
                    raise NotEncodable(f"the shard {file_name} lacks this tensor", path=f"{path}: {name}")
                self._descriptions[name] = self._shards[file_name].describe(name)
            numbers = {file_name: number for number, file_name in enumerate(self._shards)}
            self.shards = tuple(numbers[file_name] for file_name in weight_map.values())
        except BaseException:
            self.close()
            raise

    def _read(self, name: str) -> Array:
        return self._shards[self._shard_of[name]][name]

    def close(self) -> None:
        """Release all shards."""
        for shard in self._shards.values():
            shard.close()


def _read_index(path: str) -> tuple[dict[str, str], dict[str, str]]:
    try:
        with open(path, encoding="utf-8") as file:
            index: Any = json.load(file)
    except (ValueError, RecursionError):
        raise NotEncodable("the index of shards is no JSON", path=path) from None
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise NotEncodable("the index of shards has no weight_map", path=path)
    for name, file_name in weight_map.items():
        # Shards lie beside their index; a path could lead anywhere.
        if (
            not isinstance(file_name, str)
            or file_name in ("", ".", "..")
            or set(file_name) & {"/", "\\", "\0"}
        ):
            raise NotEncodable("the index names a shard that is not beside it", path=f"{path}: {name}")
    metadata = index.get("metadata")
    entries = metadata.items() if isinstance(metadata, dict) else ()
    # The size is that of the original's shards and untrue of anything written later.
    kept = {k: v if isinstance(v, str) else json.dumps(v) for k, v in entries if k != "total_size"}
    return weight_map, kept
