# SPDX-License-Identifier: Apache-2.0
"""Updates of a parent many updates ago."""

import hashlib

import numpy as np
import pytest

from nnr_codec import LimitExceeded, Limits
from nnr_codec.codec.stream.update_tree import UpdateTree
from nnr_codec.model import DataUnitHeader, NodeId, ParentNode, ParentNodeIdType


def after_ten_updates(limits: Limits) -> UpdateTree:
    tree = UpdateTree(limits)
    for depth in range(1, 11):
        header = DataUnitHeader(node_id=NodeId(0, 4, depth), topology_elem_ids=("w",))
        tree.remember(header, bytes([depth]), [np.full(3, depth, np.int32)])
    return tree


def by_depth(depth: int) -> DataUnitHeader:
    return DataUnitHeader(
        node_id=NodeId(0, 4, depth + 1),
        parent=ParentNode(ParentNodeIdType.ICNN_NDU_ID, temporal_context_modeling_flag=True, device_id=0),
    )


def by_digest(depth: int) -> DataUnitHeader:
    kind = ParentNodeIdType.ICNN_NDU_PL_SHA256
    digest = hashlib.sha256(bytes([depth])).digest()
    return DataUnitHeader(parent=ParentNode(kind, True, payload_digest=digest))


@pytest.mark.parametrize("header", [by_depth, by_digest])
def test_a_dropped_parent_is_beyond_a_limit(header: type[DataUnitHeader]) -> None:
    tree = after_ten_updates(Limits())
    assert tree.predecessors(header(3))[0].levels[0] == 3
    for depth in (1, 2):
        with pytest.raises(LimitExceeded, match="max_updates_kept=8"):
            tree.predecessors(header(depth))


@pytest.mark.parametrize("header", [by_depth, by_digest])
def test_without_that_limit_all_are_kept(header: type[DataUnitHeader]) -> None:
    tree = after_ten_updates(Limits(max_updates_kept=None))
    assert [tree.predecessors(header(depth))[0].levels[0] for depth in range(1, 11)] == list(range(1, 11))


def test_tensors_named_by_index_do_not_displace_each_other() -> None:
    tree = UpdateTree(Limits())
    for index in range(20):
        header = DataUnitHeader(topology_elem_id_indices=(index,))
        tree.remember(header, bytes([index]), [np.full(3, index, np.int32)])
    assert [tree.predecessors(by_digest(index))[0].levels[0] for index in range(20)] == list(range(20))
