# SPDX-License-Identifier: Apache-2.0
"""Sharded models: several files with an index that maps tensors to files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

from nnr_codec.codec.element_storage import Array
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.model_file import ModelFile

#: Longest index read; a model of a million tensors has about 100 MB.
_MAX_INDEX_BYTES = 1 << 28
_SHARD_NUMBER = re.compile(r"-\d{5}-of-(\d{5})(?=\.)")
_MAX_NAMES_IN_NOTE = 5


class ShardedFile(ModelFile):
    """The shards named by a ``*.index.json``, as one model.

    Every tensor of every shard belongs to the model: tensors that the index omits follow those it lists, and a
    note names them. A name in two shards is refused.

    Parameters
    ----------
    path : str
        The index.
    open_shard : callable of str to ModelFile
    """

    def __init__(self, path: str, open_shard: Callable[[str], ModelFile]) -> None:
        super().__init__(path, {})
        weight_map, self.metadata = _read_index(path)
        self._shards: dict[str, ModelFile] = {}
        self._shard_of: dict[str, str] = {}
        folder = os.path.dirname(path)
        listed = sorted(set(weight_map.values()))
        try:
            for file_name in [*listed, *_unlisted_shards(folder, listed)]:
                self._shards[file_name] = shard = open_shard(os.path.join(folder, file_name))
                self.kind = shard.kind
                self.metadata.update(shard.metadata)
                self.tied.update(shard.tied)
                self.left_out += shard.left_out
                self.notes += shard.notes
                for name in shard:
                    if name in self._shard_of:
                        raise NotEncodable(
                            f"both {self._shard_of[name]} and {file_name} hold this tensor",
                            path=f"{path}: {name}",
                        )
                    self._shard_of[name] = file_name
            self._describe_tensors(weight_map)
        except BaseException:
            self.close()
            raise

    def _describe_tensors(self, weight_map: dict[str, str]) -> None:
        for name, file_name in weight_map.items():
            if self._shard_of.get(name) != file_name:
                raise NotEncodable(f"the shard {file_name} lacks this tensor", path=f"{self.path}: {name}")
        omitted = [name for name in self._shard_of if name not in weight_map]
        if omitted:
            more = ", …" if len(omitted) > _MAX_NAMES_IN_NOTE else ""
            names = ", ".join(omitted[:_MAX_NAMES_IN_NOTE]) + more
            self.notes += (f"the index omits {len(omitted)} of the shards' tensors, which are kept: {names}",)
        for name in [*weight_map, *omitted]:
            self._descriptions[name] = self._shards[self._shard_of[name]].describe(name)
        self._order_ties()
        numbers = {file_name: number for number, file_name in enumerate(self._shards)}
        self.shards = tuple(numbers[self._shard_of[name]] for name in self._descriptions)

    def _order_ties(self) -> None:
        """Make every tie point at the name that comes first in the model's order."""
        groups: dict[str, list[str]] = {}
        for name in self._descriptions:
            groups.setdefault(self.tied.get(name, name), []).append(name)
        self.tied = {name: names[0] for names in groups.values() for name in names[1:]}

    @property
    def paths(self) -> tuple[str, ...]:
        """The index and every shard."""
        return (self.path, *(path for shard in self._shards.values() for path in shard.paths))

    def _read(self, name: str) -> Array:
        return self._shards[self._shard_of[name]][name]

    def close(self) -> None:
        """Release all shards."""
        for shard in self._shards.values():
            shard.close()


def shard_names(path: str) -> list[str]:
    """Return the file names that an index refers to."""
    return sorted(set(_read_index(path)[0].values()))


def _unlisted_shards(folder: str, listed: list[str]) -> list[str]:
    """Return files of the same set (``-00002-of-00003``) that the index does not name."""
    patterns = {_SHARD_NUMBER.sub(r"-?-of-\1", name) for name in listed if _SHARD_NUMBER.search(name)}
    return [
        name
        for name in sorted(os.listdir(folder or "."))
        if name not in listed
        and _SHARD_NUMBER.search(name)
        and _SHARD_NUMBER.sub(r"-?-of-\1", name) in patterns
    ]


def _read_index(path: str) -> tuple[dict[str, str], dict[str, str]]:
    if os.path.getsize(path) > _MAX_INDEX_BYTES:
        raise NotEncodable(f"the index of shards has more than {_MAX_INDEX_BYTES} bytes", path=path)
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
            or not _is_utf8(file_name)
        ):
            raise NotEncodable("the index names a shard that is not beside it", path=f"{path}: {name}")
    metadata = index.get("metadata")
    entries = metadata.items() if isinstance(metadata, dict) else ()
    # The size is that of the original's shards and untrue of anything written later.
    kept = {k: v if isinstance(v, str) else json.dumps(v) for k, v in entries if k != "total_size"}
    return weight_map, kept


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
