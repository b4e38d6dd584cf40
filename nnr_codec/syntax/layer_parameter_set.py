# SPDX-License-Identifier: Apache-2.0
"""Syntax of the layer parameter set."""

from __future__ import annotations

from typing import Any

from nnr_codec.errors import NotEncodable
from nnr_codec.model import LayerParameterSet, QuantizationMethods
from nnr_codec.syntax.descriptors import byte_alignment, i, u
from nnr_codec.syntax.grammar import IfPresent, Syntax, Tree
from nnr_codec.syntax.model_parameter_set import quantization, quantization_tree
from nnr_codec.syntax.performance_maps import (
    PRUNING_PERFORMANCE_MAP,
    SPARSIFICATION_PERFORMANCE_MAP,
    UNIFICATION_PERFORMANCE_MAP,
    performance_map_trees,
    performance_maps,
)

NNR_LAYER_PARAMETER_SET_UNIT_HEADER = Syntax(
    "nnr_layer_parameter_set_unit_header",
    "lps_self_contained_flag" / u(1),
    "nnr_reserved_zero_7bits" / u(7, 0),
    clause="format 2",
)
NNR_LAYER_PARAMETER_SET_UNIT_PAYLOAD = Syntax(
    "nnr_layer_parameter_set_unit_payload",
    "nnr_reserved_zero_1bit" / u(1, 0),
    "lps_sparsification_flag" / u(1),
    "lps_pruning_flag" / u(1),
    "lps_unification_flag" / u(1),
    "lps_quantization_method_flags" / u(3, QuantizationMethods),
    "nnr_reserved_zero_1bit" / u(1, 0, key="nnr_reserved_zero_1bit_2"),
    IfPresent(
        "lps_quantization_method_flags & 3",
        "lps_qp_density" / u(3),
        "lps_quantization_parameter" / i(13),
    ),
    IfPresent(
        "lps_sparsification_flag == 1", "sparsification_performance_map" / SPARSIFICATION_PERFORMANCE_MAP
    ),
    IfPresent("lps_pruning_flag == 1", "pruning_performance_map" / PRUNING_PERFORMANCE_MAP),
    IfPresent("lps_unification_flag == 1", "unification_performance_map" / UNIFICATION_PERFORMANCE_MAP),
    byte_alignment(),
    clause="format 2",
)


def layer_parameter_set(tree: Tree, **every_unit: Any) -> LayerParameterSet:
    """Return the unit of a parsed tree."""
    return LayerParameterSet(
        self_contained_flag=bool(tree["lps_self_contained_flag"]),
        quantization_methods=QuantizationMethods(tree["lps_quantization_method_flags"]),
        quantization=quantization(tree, "lps"),
        performance_maps=performance_maps(tree),
        **every_unit,
    )


def layer_parameter_set_tree(unit: LayerParameterSet) -> Tree:
    """Return the syntax elements of a unit.

    Raises
    ------
    NotEncodable
        The unit has a decomposition performance map, or `quantization` does not match the methods.
    """
    if unit.performance_maps.decomposition is not None:
        raise NotEncodable(
            "a layer parameter set has no decomposition performance map",
            element="decomposition_performance_map",
        )
    maps = performance_map_trees(unit.performance_maps)
    return {
        "lps_self_contained_flag": int(unit.self_contained_flag),
        "lps_sparsification_flag": int("sparsification_performance_map" in maps),
        "lps_pruning_flag": int("pruning_performance_map" in maps),
        "lps_unification_flag": int("unification_performance_map" in maps),
        **quantization_tree(unit, "lps"),
        **maps,
    }
