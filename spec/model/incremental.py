# SPDX-License-Identifier: Apache-2.0
"""5.6 Incremental updates: what earlier units leave behind for later ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from .data_unit import DataUnitHeader, NodeId, ParentNode


@dataclass(frozen=True)
class Predecessor:
    """The previous update of a unit: per tensor, its levels and where it or an earlier one was non-zero."""

    shapes: list[tuple[int, ...]]
    levels: list[list[int]]
    seen: list[list[bool]]

    def all_zero(self) -> Predecessor:
        """The update that was left out because it changed nothing."""
        return Predecessor(self.shapes, [[0] * len(levels) for levels in self.levels], self.seen)


class UpdateTree:
    """The units decoded so far, by node and by payload digest."""

    def __init__(self) -> None:
        self.by_node: dict[NodeId, Predecessor] = {}
        self.by_digest: dict[bytes, Predecessor] = {}

    def predecessor(self, parent: ParentNode | None) -> Predecessor | None:
        """The update that ``parent`` names; None when there is none to build on."""
        if parent is None:
            return None
        if parent.digest is not None:
            return self.by_digest.get(parent.digest)
        node = parent.node
        if node is None or node.put_node_depth < 0:
            return None
        found = self.by_node.get(node)
        if found is not None:
            return found
        # The parent was left out, which means all zero; what was non-zero before is still remembered.
        for depth in range(node.put_node_depth - 1, -1, -1):
            older = self.by_node.get(NodeId(node.device_id, node.parameter_id, depth))
            if older is not None:
                return older.all_zero()
        return None

    def remember(
        self,
        header: DataUnitHeader,
        payload: bytes,
        levels: list[list[int]],
        before: Predecessor | None,
    ) -> None:
        """Keep a decoded unit for those that will name it."""
        seen = []
        for index, tensor_levels in enumerate(levels):
            earlier = before.seen[index] if before is not None else [False] * len(tensor_levels)
            seen.append([old or level != 0 for old, level in zip(earlier, tensor_levels, strict=True)])
        record = Predecessor([tensor.shape for tensor in header.tensors], levels, seen)
        if header.node is not None:
            self.by_node[header.node] = record
        self.by_digest[hashlib.sha256(payload).digest()] = record
        self.by_digest[hashlib.sha512(payload).digest()] = record
