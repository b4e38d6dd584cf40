# SPDX-License-Identifier: Apache-2.0
"""State of an incremental encoder: nodes, depths and levels of the updates that went out.

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
    """Header of a tensor's next update, without its parent; the parent; and the levels that it builds on."""

    header: DataUnitHeader
    parent: ParentNode
    predecessor: Predecessor | None


class UpdateSeries:
    """Updates of a model, one stream each. A stream changes the series only when it is committed.

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
        # The peer's first update has depth 1 and names its parent, the model both sides have at depth 0; its decoder wants that.
        parent = ParentNode(ParentNodeIdType.ICNN_NDU_ID, device_id=self._device_id)
        predecessors = self._tree.predecessors(replace(header, parent=parent)) if node.depth else None
        return UpdateStart(header, parent, predecessors[0] if predecessors else None)


@dataclass
class PendingUpdate:
    """One stream of a series, in the making."""

    series: UpdateSeries
    _nodes: dict[str, _Node] = field(default_factory=dict)
    _sent: list[tuple[str, DataUnit, NDArray[np.int32]]] = field(default_factory=list)
    _n_parameters: int = -1

    def start(self, name: str, shape: tuple[int, ...]) -> UpdateStart:
        """Return what a tensor's unit starts from; a tensor of a new name or a new shape begins a node."""
        if self._n_parameters < 0:
            self._n_parameters = self.series._n_parameters
        node = self.series._nodes.get(name)
        if node is None or node.shape != shape:
            node = _Node(self._n_parameters, shape)
            self._n_parameters += 1
        self._nodes[name] = node
        return self.series._start(node)

    def sent(self, name: str, unit: DataUnit, levels: NDArray[np.int32]) -> None:
        """Note that a tensor's unit stands in the stream."""
        self._sent.append((name, unit, levels))

    def commit(self) -> None:
        """Take the stream into the series: it is written, and the next one builds on it."""
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
