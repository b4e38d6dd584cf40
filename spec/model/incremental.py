# SPDX-License-Identifier: Apache-2.0
"""5.6 Incremental updates: remembered units."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from .data_unit import NodeId, ParentNode
from .errors import Malformed
from .unit_tensors import TensorPlan


@dataclass(frozen=True)
class Predecessor:
    """Remembered unit: shapes, levels and history of its tensors, in payload order.

    Attributes
    ----------
    levels : list of list of int
        Row-major levels of each tensor.
    seen : list of list of bool
        For each position, whether this unit or an ancestor had a level other than 0.

    Clause: 5.6.1
    """

    shapes: list[tuple[int, ...]]
    levels: list[list[int]]
    seen: list[list[bool]]


class UpdateTree:
    """Remembered units by node and by payload digest.

    Parameters
    ----------
    rejects_missed_updates : bool
        Reject a parent of an unknown parameter at depth 1 or more, as rule 3 allows, where one device continues its own
        updates or the unit asks for the temporal context.
    """

    def __init__(self, rejects_missed_updates: bool = False) -> None:
        self.rejects_missed_updates = rejects_missed_updates
        self.by_node: dict[NodeId, Predecessor] = {}
        self.by_digest: dict[bytes, Predecessor] = {}

    def predecessor(self, node: NodeId | None, parent: ParentNode | None, path: str) -> Predecessor | None:
        """Return the previous update, or None.

        Parameters
        ----------
        node : NodeId or None
            Node of the unit itself.
        parent : ParentNode or None
        path : str
            Path of the unit, for errors.

        Raises
        ------
        Malformed
            When the parent was not sent, but another update of its device and parameter was, or none was (see above).

        Clause: 5.6.1
        """
        if parent is None:
            return None
        if parent.digest is not None:
            return self.by_digest.get(parent.digest)
        named = parent.node
        if named is None or named.put_node_depth < 0:
            return None
        remembered = self.by_node.get(named)
        if remembered is not None:
            return remembered
        # Depths count the updates that were sent, so a missing parent among remembered ones was lost.
        is_lost = any(
            (known.device_id, known.parameter_id) == (named.device_id, named.parameter_id)
            for known in self.by_node
        )
        if self.rejects_missed_updates and named.put_node_depth >= 1 and node is not None:
            is_lost = is_lost or node.device_id == named.device_id or parent.temporal_context_modeling
        if is_lost:
            raise Malformed(
                f"update {named.put_node_depth} of the parameter was not sent",
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
        previous: Predecessor | None,
    ) -> None:
        """Remember a decoded unit."""
        seen = []
        for index, tensor_levels in enumerate(levels):
            earlier = previous.seen[index] if previous is not None else [False] * len(tensor_levels)
            seen.append(
                [was_set or level != 0 for was_set, level in zip(earlier, tensor_levels, strict=True)]
            )
        record = Predecessor([tensor.shape for tensor in tensors], levels, seen)
        if node is not None:
            self.by_node[node] = record
        self.by_digest[hashlib.sha256(payload).digest()] = record
        self.by_digest[hashlib.sha512(payload).digest()] = record
