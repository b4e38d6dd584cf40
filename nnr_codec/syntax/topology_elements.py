# SPDX-License-Identifier: Apache-2.0
"""Syntax of ``topology_elements_ids_list()``, with names or with indices."""

from __future__ import annotations

from nnr_codec.errors import NotEncodable
from nnr_codec.syntax.descriptors import byte_alignment, st, ue
from nnr_codec.syntax.grammar import Repeat, Syntax, Tree

TOPOLOGY_ELEMENTS_IDS_LIST = Syntax(
    "topology_elements_ids_list(0)",
    "count_topology_elements_minus2" / ue(7, limit="max_names"),
    byte_alignment(),
    "topology_elem_id_list" / Repeat("count_topology_elements_minus2 + 2", st()),
    clause="format 3",
)

TOPOLOGY_ELEMENTS_INDEX_LIST = Syntax(
    "topology_elements_ids_list(1)",
    "count_topology_elements_minus2" / ue(7, limit="max_names"),
    "topology_elem_id_index_list"
    / Repeat("count_topology_elements_minus2 + 2", ue(7, rule="topology_elem_id_index_list < NumReferences")),
    byte_alignment(),
    clause="format 3",
)


def ids_list_tree(ids: tuple[str, ...] | tuple[int, ...], key: str) -> Tree:
    """Return the tree of a list.

    Raises
    ------
    NotEncodable
        The list has fewer than two entries.
    """
    if len(ids) < 2:
        raise NotEncodable(
            "a list of topology elements must have two or more", element="count_topology_elements_minus2"
        )
    return {"count_topology_elements_minus2": len(ids) - 2, key: list(ids)}
