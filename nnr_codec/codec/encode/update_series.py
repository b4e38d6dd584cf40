# SPDX-License-Identifier: Apache-2.0
"""State of an incremental encoder: nodes, depths and levels of the updates sent.

Clause: format 3, 5.6
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.stream.update_tree import Predecessor, UpdateTree
from nnr_codec.model import DataUnit, DataUnitHeader, NodeId, ParentNode, ParentNodeIdType


@dataclass(frozen=True)
class _Node:
    """A tensor of one shape in the series."""

    parameter_id: int
    shape: tuple[int, ...]
    depth: int = 0  # put_node_depth of the last unit sent


@dataclass(frozen=True)
class UpdateStart:
    """Start of a tensor's next update: header without parent, the parent, and the levels of the previous update."""

    header: DataUnitHeader
    parent: ParentNode
    predecessor: Predecessor | None


class UpdateSeries:
    """Series of updates of a model, one stream each. A stream changes the series only when it is committed.

    Parameters
    ----------
    device_id : int
    """

    def __init__(self, device_id: int) -> None:
        self._device_id = device_id
        self._tree = UpdateTree()
        self._nodes: dict[str, _Node] = {}
        self._n_parameters = 0

    def begin(self) -> PendingUpdate:
        """Return the next stream of the series."""
        return PendingUpdate(self)

    def _start(self, node: _Node) -> UpdateStart:
        header = DataUnitHeader(node_id=NodeId(self._device_id, node.parameter_id, node.depth + 1))
        # NNCodec's decoder requires a parent at depth 0, the model that both sides have, so the first update has depth 1.
        parent = ParentNode(ParentNodeIdType.ICNN_NDU_ID, device_id=self._device_id)
        predecessors = self._tree.predecessors(replace(header, parent=parent)) if node.depth else None
        return UpdateStart(header, parent, predecessors[0] if predecessors else None)


@dataclass
class PendingUpdate:
    """Stream of a series that is not complete."""

    series: UpdateSeries
    _nodes: dict[str, _Node] = field(default_factory=dict)
    _sent: list[tuple[str, DataUnit, NDArray[np.int32]]] = field(default_factory=list)
    _n_parameters: int = -1

    def start(self, name: str, shape: tuple[int, ...]) -> UpdateStart:
        """Return the start of a tensor's update; a new name or a new shape begins a node."""
        if self._n_parameters < 0:
            self._n_parameters = self.series._n_parameters
        node = self.series._nodes.get(name)
        if node is None or node.shape != shape:
            node = _Node(self._n_parameters, shape)
            self._n_parameters += 1
        self._nodes[name] = node
        return self.series._start(node)

    def sent(self, name: str, unit: DataUnit, levels: NDArray[np.int32]) -> None:
        """Record a unit that was written to the stream."""
        self._sent.append((name, unit, levels))

    def commit(self) -> None:
        """Add the written stream to the series; the next one updates it."""
        series = self.series
        series._n_parameters = max(self._n_parameters, series._n_parameters)
        for name, node in self._nodes.items():
            earlier = series._nodes.get(name)
            if earlier is not None and earlier.parameter_id != node.parameter_id:
                series._tree.forget(series._device_id, earlier.parameter_id)
            series._nodes[name] = node
        for name, unit, levels in self._sent:
            node = series._nodes[name]
            series._tree.remember(unit.header, unit.payload, [levels], [node.shape])
            series._nodes[name] = replace(node, depth=node.depth + 1)
