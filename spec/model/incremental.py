# SPDX-License-Identifier: Apache-2.0
"""5.6 Incremental updates: what earlier units leave behind for later ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from .data_unit import NodeId, ParentNode
from .errors import Malformed
from .unit_tensors import TensorPlan


@dataclass(frozen=True)
class Predecessor:
    """The previous update of a unit: per tensor, its levels and where it or an earlier one was non-zero."""

    shapes: list[tuple[int, ...]]
    levels: list[list[int]]
    seen: list[list[bool]]


class UpdateTree:
    """The units decoded so far, by node and by payload digest."""

    def __init__(self) -> None:
        self.by_node: dict[NodeId, Predecessor] = {}
        self.by_digest: dict[bytes, Predecessor] = {}

    def predecessor(self, parent: ParentNode | None, path: str) -> Predecessor | None:
        """The update that ``parent`` names; None when there is none to build on. ``path`` is the unit's."""
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
        # Depths count the units that were sent, so that a parent that is missing among known ones is a fault.
        if any(
            (known.device_id, known.parameter_id) == (node.device_id, node.parameter_id)
            for known in self.by_node
        ):
            raise Malformed(
                f"update {node.put_node_depth} of the parameter was not sent",
                path=f"{path}.put_node_depth",
                bit_offset=parent.depth_bit,
                clause="5.6",
            )
        return None

    def remember(
        self,
        node: NodeId | None,
        tensors: tuple[TensorPlan, ...],
        payload: bytes,
        levels: list[list[int]],
        before: Predecessor | None,
    ) -> None:
        """Keep a decoded unit for those that will name it."""
        seen = []
        for index, tensor_levels in enumerate(levels):
            earlier = before.seen[index] if before is not None else [False] * len(tensor_levels)
            seen.append([old or level != 0 for old, level in zip(earlier, tensor_levels, strict=True)])
        record = Predecessor([tensor.shape for tensor in tensors], levels, seen)
        if node is not None:
            self.by_node[node] = record
        self.by_digest[hashlib.sha256(payload).digest()] = record
        self.by_digest[hashlib.sha512(payload).digest()] = record
