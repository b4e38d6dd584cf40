# SPDX-License-Identifier: Apache-2.0
"""Levels of earlier updates of a parameter, kept by decoder and encoder.

Clause: format 5.6.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnr_codec.errors import LimitExceeded, MalformedBitstream
from nnr_codec.model import DataUnitHeader, Limits, NodeId, ParentNode


@dataclass(frozen=True)
class Predecessor:
    """State of a parameter after its earlier updates, for context modelling.

    Clause: format 5.6
    """

    levels: NDArray[np.int32]  # [rows * width] of the previous update
    history: NDArray[np.uint8]  # [rows * width] 1 where any update so far was not zero
    shape: tuple[int, ...] | None = None  # of the tensor; None in an encoder


class UpdateTree:
    """Data units so far, by node and by digest of the payload.

    The last ``Limits.max_updates_kept`` updates of each parameter are kept. A parent is usually the previous update; with
    several devices it may be a few updates earlier. An older parent is an error.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._kept = (limits or Limits()).max_updates_kept
        self._by_node: dict[tuple[int, int], dict[int, list[Predecessor]]] = {}
        self._dropped: dict[tuple[int, int], int] = {}  # deepest update no longer kept
        self._by_digest: dict[bytes, list[Predecessor]] = {}
        self._digests: dict[tuple[str | int, ...], list[bytes]] = {}
        self._dropped_digests: set[bytes] = set()

    def predecessors(self, header: DataUnitHeader) -> list[Predecessor] | None:
        """Return the state after a unit's parent, per tensor in data order; None if the unit has no known parent.

        Raises
        ------
        LimitExceeded
            The parent is older than the kept updates.
        MalformedBitstream
            The parameter is known, but not this update of it.
        """
        parent = header.parent
        if parent is None:
            return None
        if parent.payload_digest is not None:
            if parent.payload_digest in self._dropped_digests:
                raise self._too_old(f"parent_node_payload_sha{8 * len(parent.payload_digest)}")
            return self._by_digest.get(parent.payload_digest)
        node = _parent_node(header, parent)
        if node is None:
            return None
        key = (node.device_id, node.parameter_id)
        updates = self._by_node.get(key, {})
        if node.put_node_depth in updates:
            return updates[node.put_node_depth]
        if 0 <= node.put_node_depth <= self._dropped.get(key, -1):
            raise self._too_old("put_node_depth")
        if node.put_node_depth >= (0 if updates else 1) and (updates or _continues(header, parent)):
            # Depths count the units sent; an omitted unit of zeros is no node. Depth 0 is the model that both sides have
            # before the first update.
            known = f"the last one known is {max(updates)}" if updates else "none is known"
            name = ", ".join(header.topology_elem_ids)[:64]
            raise MalformedBitstream(
                f"update {node.put_node_depth} of {name!r} (device {node.device_id}, parameter {node.parameter_id}) is missing: "
                f"the unit builds on it, and {known}",
                element="put_node_depth",
                clause="format 5.6",
            )
        return None

    def _too_old(self, element: str) -> LimitExceeded:
        return LimitExceeded(
            f"the unit updates one that lies more than max_updates_kept={self._kept} updates back",
            element=element,
            clause="format 5.6",
        )

    def remember(
        self,
        header: DataUnitHeader,
        payload: bytes | memoryview,
        levels: Sequence[NDArray[np.int32]],
        shapes: Sequence[tuple[int, ...] | None] = (),
    ) -> None:
        """Keep a unit's levels (flat, in data order) and shapes for later updates."""
        before = self.predecessors(header)
        record = []
        for index, tensor_levels in enumerate(levels):
            history = tensor_levels != 0
            if before is not None and before[index].history.size == history.size:
                history |= before[index].history.astype(bool)
            shape = shapes[index] if shapes else None
            record.append(Predecessor(tensor_levels, history.astype(np.uint8), shape))
        if header.node_id is not None:
            node = header.node_id
            key = (node.device_id, node.parameter_id)
            updates = self._by_node.setdefault(key, {})
            updates[node.put_node_depth] = record
            if self._kept is not None and len(updates) > self._kept:
                oldest = min(updates)
                del updates[oldest]
                self._dropped[key] = max(oldest, self._dropped.get(key, -1))
        self._remember_digests(header.topology_elem_ids or header.topology_elem_id_indices, payload, record)

    def forget(self, device_id: int, parameter_id: int) -> None:
        """Drop all updates of a parameter that will not be updated again."""
        self._by_node.pop((device_id, parameter_id), None)
        self._dropped.pop((device_id, parameter_id), None)

    def _remember_digests(
        self, tensors: tuple[str | int, ...], payload: bytes | memoryview, record: list[Predecessor]
    ) -> None:
        kept = self._digests.setdefault(tensors, [])
        for digest in (hashlib.sha256(payload).digest(), hashlib.sha512(payload).digest()):
            self._by_digest[digest] = record
            self._dropped_digests.discard(digest)
            kept.append(digest)
        while self._kept is not None and len(kept) > 2 * self._kept:
            digest = kept.pop(0)
            # A later unit may have had the same payload.
            if digest not in kept and self._by_digest.pop(digest, None) is not None:
                self._dropped_digests.add(digest)


def _continues(header: DataUnitHeader, parent: ParentNode) -> bool:
    """Return True for a unit that requires its parent: one device numbers its updates without gaps."""
    return header.node_id is not None and (
        header.node_id.device_id == parent.device_id or parent.temporal_context_modeling_flag
    )


def _parent_node(header: DataUnitHeader, parent: ParentNode) -> NodeId | None:
    if parent.device_id is None:
        return None
    if header.node_id is not None:
        node_id = header.node_id
        return NodeId(parent.device_id, node_id.parameter_id, node_id.put_node_depth - 1)
    if parent.node_id is not None:
        parameter_id, put_node_depth = parent.node_id
        # Without a node id of its own the unit sends its parameter and depth with the parent's device.
        return NodeId(parent.device_id, parameter_id, put_node_depth - 1)
    return None
