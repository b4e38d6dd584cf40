# SPDX-License-Identifier: Apache-2.0
"""Syntax of the performance maps of parameter sets.

A list has one entry less than its coded count, as NNCodec writes and reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nnr_codec.model import (
    DecompositionPerformance,
    PerformanceMaps,
    PruningPerformance,
    SparsificationPerformance,
    UnificationPerformance,
)
from nnr_codec.syntax.descriptors import byte_alignment, flt, u, ue
from nnr_codec.syntax.grammar import Repeat, Syntax, Tree

# A mask has one bit per class, and u(8) counts up to 255 classes.
_LARGEST_MASK = (1 << 256) - 1

SPARSIFICATION_PERFORMANCE_MAP = Syntax(
    "sparsification_performance_map",
    "spm_count_thresholds" / u(8),
    "entry"
    / Repeat(
        "spm_count_thresholds - 1",
        Syntax(
            "",
            "sparsification_threshold" / flt(32),
            "non_zero_ratio" / flt(32),
            "spm_nn_accuracy" / flt(32),
            "spm_count_classes" / u(8),
            "spm_class_bitmask" / ue(7, maximum=_LARGEST_MASK),
            "spm_nn_class_accuracy" / Repeat("spm_count_classes", flt(32)),
        ),
    ),
    clause="format 2",
)

PRUNING_PERFORMANCE_MAP = Syntax(
    "pruning_performance_map",
    "ppm_count_pruning_ratios" / u(8),
    "entry"
    / Repeat(
        "ppm_count_pruning_ratios - 1",
        Syntax(
            "",
            "pruning_ratio" / flt(32),
            "ppm_nn_accuracy" / flt(32),
            "ppm_count_classes" / u(8),
            "ppm_class_bitmask" / ue(7, maximum=_LARGEST_MASK),
            "ppm_nn_class_accuracy" / Repeat("ppm_count_classes", flt(32)),
        ),
    ),
    clause="format 2",
)

UNIFICATION_PERFORMANCE_MAP = Syntax(
    "unification_performance_map",
    "upm_count_thresholds" / u(8),
    "entry"
    / Repeat(
        "upm_count_thresholds - 1",
        Syntax(
            "",
            "count_reshaped_tensor_dimension" / ue(1),
            "reshaped_tensor_dimensions" / Repeat("count_reshaped_tensor_dimension - 1", ue(7)),
            byte_alignment(),
            "count_super_block_dimension" / u(8),
            "super_block_dimensions" / Repeat("count_super_block_dimension - 1", u(8)),
            "count_block_dimension" / u(8),
            "block_dimensions" / Repeat("count_block_dimension - 1", u(8)),
            "unification_threshold" / flt(32),
            "upm_nn_accuracy" / flt(32),
            "upm_count_classes" / u(8),
            "upm_class_bitmask" / ue(7, maximum=_LARGEST_MASK),
            "upm_nn_class_accuracy" / Repeat("upm_count_classes", flt(32)),
        ),
    ),
    clause="format 2",
)

DECOMPOSITION_PERFORMANCE_MAP = Syntax(
    "decomposition_performance_map",
    "dpm_count_thresholds" / u(8),
    "entry"
    / Repeat(
        "dpm_count_thresholds - 1",
        Syntax(
            "",
            "mse_threshold" / flt(32),
            "dpm_nn_accuracy" / flt(32),
            "nn_reduction_ratio" / flt(32),
            "dpm_count_classes" / u(16),
            "dpm_nn_class_accuracy" / Repeat("dpm_count_classes", flt(32)),
        ),
    ),
    clause="format 2",
)


class _Map(NamedTuple):
    """Correspondence between the elements of a map and the fields of the dataclass of its entries."""

    prefix: str
    count_element: str
    entry: Callable[..., Any]
    scalars: tuple[str, ...]
    lists: dict[str, str]  # name of a list, in syntax and dataclass, to the element of its count plus 1


_MAPS = {
    "sparsification": _Map(
        "spm",
        "spm_count_thresholds",
        SparsificationPerformance,
        ("sparsification_threshold", "non_zero_ratio"),
        {},
    ),
    "pruning": _Map("ppm", "ppm_count_pruning_ratios", PruningPerformance, ("pruning_ratio",), {}),
    "unification": _Map(
        "upm",
        "upm_count_thresholds",
        UnificationPerformance,
        ("unification_threshold",),
        {
            "reshaped_tensor_dimensions": "count_reshaped_tensor_dimension",
            "super_block_dimensions": "count_super_block_dimension",
            "block_dimensions": "count_block_dimension",
        },
    ),
    "decomposition": _Map(
        "dpm", "dpm_count_thresholds", DecompositionPerformance, ("mse_threshold", "nn_reduction_ratio"), {}
    ),
}


def performance_maps(tree: Tree) -> PerformanceMaps:
    """Return the maps of a parsed parameter set."""
    present = {}
    for name, layout in _MAPS.items():
        map_tree = tree.get(f"{name}_performance_map")
        if map_tree is not None:
            present[name] = tuple(_entry(layout, entry) for entry in map_tree["entry"])
    return PerformanceMaps(**present)


def performance_map_trees(maps: PerformanceMaps) -> Tree:
    """Return the syntax elements of the maps that are not None."""
    trees = {}
    for name, layout in _MAPS.items():
        entries = getattr(maps, name)
        if entries is not None:
            trees[f"{name}_performance_map"] = {
                layout.count_element: len(entries) + 1,
                "entry": [_entry_tree(layout, entry) for entry in entries],
            }
    return trees


def _entry(layout: _Map, tree: Tree) -> Any:
    prefix = layout.prefix
    fields = {name: tree[name] for name in layout.scalars}
    fields |= {name: tuple(tree[name]) for name in layout.lists}
    fields["nn_accuracy"] = tree[f"{prefix}_nn_accuracy"]
    fields["nn_class_accuracy"] = tuple(tree[f"{prefix}_nn_class_accuracy"])
    if f"{prefix}_class_bitmask" in tree:
        fields["class_bitmask"] = tree[f"{prefix}_class_bitmask"]
    return layout.entry(**fields)


def _entry_tree(layout: _Map, entry: Any) -> Tree:
    prefix = layout.prefix
    tree = {name: getattr(entry, name) for name in layout.scalars}
    for name, count in layout.lists.items():
        tree[name] = list(getattr(entry, name))
        tree[count] = len(tree[name]) + 1
    tree[f"{prefix}_nn_accuracy"] = entry.nn_accuracy
    tree[f"{prefix}_nn_class_accuracy"] = list(entry.nn_class_accuracy)
    tree[f"{prefix}_count_classes"] = len(entry.nn_class_accuracy)
    if hasattr(entry, "class_bitmask"):
        tree[f"{prefix}_class_bitmask"] = entry.class_bitmask
    return tree
