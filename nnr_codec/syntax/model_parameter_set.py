# SPDX-License-Identifier: Apache-2.0
"""Syntax of the model parameter set."""

from __future__ import annotations

from typing import Any

from nnr_codec.errors import NotEncodable
from nnr_codec.model import ModelParameterSet, Quantization, QuantizationMethods
from nnr_codec.syntax.descriptors import byte_alignment, flt, i, st, u
from nnr_codec.syntax.grammar import IfPresent, Syntax, Tree
from nnr_codec.syntax.performance_maps import (
    DECOMPOSITION_PERFORMANCE_MAP,
    PRUNING_PERFORMANCE_MAP,
    SPARSIFICATION_PERFORMANCE_MAP,
    UNIFICATION_PERFORMANCE_MAP,
    performance_map_trees,
    performance_maps,
)

NNR_MODEL_PARAMETER_SET_UNIT_HEADER = Syntax("nnr_model_parameter_set_unit_header", clause="format 2")
NNR_MODEL_PARAMETER_SET_UNIT_PAYLOAD = Syntax(
    "nnr_model_parameter_set_unit_payload",
    "topology_carriage_flag" / u(1),
    "mps_sparsification_flag" / u(1),
    "mps_pruning_flag" / u(1),
    "mps_unification_flag" / u(1),
    "mps_decomposition_performance_map_flag" / u(1),
    "mps_quantization_method_flags" / u(3, QuantizationMethods),
    "mps_topology_indexed_reference_flag" / u(1),
    IfPresent(
        "general_profile_idc == 1",
        "base_model_id_present_flag" / u(1),
        "validation_set_performance_present_flag" / u(1, inferred=0),
        "metric_type_performance_map_valid_flag" / u(1),
        "mps_parent_signalling_enabled_flag" / u(1),
        IfPresent(
            "mps_parent_signalling_enabled_flag == 1",
            "nnr_pre_flag" / u(1),
        ).or_else(
            "nnr_reserved_zero_1bit" / u(1, 0),
        ),
        "nnr_reserved_zero_2bits" / u(2, 0),
        IfPresent("base_model_id_present_flag == 1", "base_model_id" / st()),
        IfPresent(
            "validation_set_performance_present_flag == 1 or metric_type_performance_map_valid_flag == 1",
            "performance_metric_type" / st(),
        ),
    ).or_else(
        "nnr_reserved_zero_7bits" / u(7, 0),
    ),
    IfPresent(
        "mps_quantization_method_flags & 3",
        "mps_qp_density" / u(3),
        "mps_quantization_parameter" / i(13),
    ),
    IfPresent(
        "mps_sparsification_flag == 1", "sparsification_performance_map" / SPARSIFICATION_PERFORMANCE_MAP
    ),
    IfPresent("mps_pruning_flag == 1", "pruning_performance_map" / PRUNING_PERFORMANCE_MAP),
    IfPresent("mps_unification_flag == 1", "unification_performance_map" / UNIFICATION_PERFORMANCE_MAP),
    IfPresent(
        "mps_decomposition_performance_map_flag == 1",
        "decomposition_performance_map" / DECOMPOSITION_PERFORMANCE_MAP,
    ),
    IfPresent(
        "general_profile_idc == 1 and validation_set_performance_present_flag == 1",
        "validation_set_performance" / flt(32),
    ),
    byte_alignment(),
    clause="format 2",
)


def quantization(tree: Tree, prefix: str) -> Quantization | None:
    """Return the quantisation of a parameter set, or None. ``prefix`` is ``mps`` or ``lps``."""
    if f"{prefix}_qp_density" not in tree:
        return None
    return Quantization(tree[f"{prefix}_qp_density"], tree[f"{prefix}_quantization_parameter"])


def quantization_tree(unit: Any, prefix: str) -> Tree:
    """Return the syntax elements of the quantisation of a parameter set.

    Raises
    ------
    NotEncodable
        The quantisation is present without a method, or absent with one.
    """
    if bool(int(unit.quantization_methods) & 3) != (unit.quantization is not None):
        raise NotEncodable(
            "quantization must be present exactly if a quantisation method is set",
            element=f"{prefix}_quantization_method_flags",
        )
    tree: Tree = {f"{prefix}_quantization_method_flags": int(unit.quantization_methods)}
    if unit.quantization is not None:
        tree[f"{prefix}_qp_density"] = unit.quantization.qp_density
        tree[f"{prefix}_quantization_parameter"] = unit.quantization.quantization_parameter
    return tree


def model_parameter_set(tree: Tree, **every_unit: Any) -> ModelParameterSet:
    """Return the unit of a parsed tree."""
    return ModelParameterSet(
        topology_carriage_flag=bool(tree["topology_carriage_flag"]),
        quantization_methods=QuantizationMethods(tree["mps_quantization_method_flags"]),
        quantization=quantization(tree, "mps"),
        topology_indexed_reference_flag=bool(tree["mps_topology_indexed_reference_flag"]),
        base_model_id=tree.get("base_model_id"),
        metric_type_performance_map_valid_flag=bool(tree.get("metric_type_performance_map_valid_flag", 0)),
        performance_metric_type=tree.get("performance_metric_type"),
        validation_set_performance=tree.get("validation_set_performance"),
        parent_signalling_enabled_flag=bool(tree.get("mps_parent_signalling_enabled_flag", 0)),
        nnr_pre_flag=bool(tree.get("nnr_pre_flag", 0)),
        performance_maps=performance_maps(tree),
        **every_unit,
    )


def model_parameter_set_tree(unit: ModelParameterSet, general_profile_idc: int) -> Tree:
    """Return the syntax elements of a unit."""
    maps = performance_map_trees(unit.performance_maps)
    tree: Tree = {
        "topology_carriage_flag": int(unit.topology_carriage_flag),
        "mps_sparsification_flag": int("sparsification_performance_map" in maps),
        "mps_pruning_flag": int("pruning_performance_map" in maps),
        "mps_unification_flag": int("unification_performance_map" in maps),
        "mps_decomposition_performance_map_flag": int("decomposition_performance_map" in maps),
        "mps_topology_indexed_reference_flag": int(unit.topology_indexed_reference_flag),
        **quantization_tree(unit, "mps"),
        **maps,
    }
    texts = {
        "base_model_id": unit.base_model_id,
        "performance_metric_type": unit.performance_metric_type,
        "validation_set_performance": unit.validation_set_performance,
    }
    tree |= {name: value for name, value in texts.items() if value is not None}
    flags = {
        "base_model_id_present_flag": unit.base_model_id is not None,
        "validation_set_performance_present_flag": unit.validation_set_performance is not None,
        "metric_type_performance_map_valid_flag": unit.metric_type_performance_map_valid_flag,
        "mps_parent_signalling_enabled_flag": unit.parent_signalling_enabled_flag,
    }
    if unit.nnr_pre_flag or unit.parent_signalling_enabled_flag:
        flags["nnr_pre_flag"] = unit.nnr_pre_flag
    if general_profile_idc == 1:
        tree |= {name: int(flag) for name, flag in flags.items()}
    else:
        # Profile 0 has none of these elements. A set flag becomes an unexpected element, which building rejects by name.
        tree |= {name: 1 for name, flag in flags.items() if flag}
    return tree
