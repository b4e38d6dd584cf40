# SPDX-License-Identifier: Apache-2.0
"""Meaning of the compressed data unit: conversions between its syntax elements and the dataclasses of `nnr_codec.model`."""

from __future__ import annotations

import math
from typing import Any

from nnr_codec.errors import MalformedBitstream, NotEncodable
from nnr_codec.model import (
    CompressedParameterTypes,
    DataUnit,
    DataUnitHeader,
    DecompressedDataFormat,
    EntryPoint,
    NodeId,
    ParentNode,
    ParentNodeIdType,
    PayloadType,
)
from nnr_codec.syntax.codebook import codebook, codebook_tree
from nnr_codec.syntax.grammar import Tree
from nnr_codec.syntax.topology_elements import ids_list_tree

# Enumeration members by value. Calling an enumeration takes several times as long.
_PAYLOAD_TYPES = {int(member): member for member in PayloadType}
_TYPES = [CompressedParameterTypes(bits) for bits in range(1 << len(CompressedParameterTypes))]
_DIGESTS = {
    ParentNodeIdType.ICNN_NDU_PL_SHA256: ("parent_node_payload_sha256", 32),
    ParentNodeIdType.ICNN_NDU_PL_SHA512: ("parent_node_payload_sha512", 64),
}


def data_unit(tree: Tree, **every_unit: Any) -> DataUnit:
    """Return the unit of a tree.

    Raises
    ------
    MalformedBitstream
        See `data_unit_header`.
    """
    return DataUnit(data_unit_header(tree), tree["nnr_compressed_data_unit_payload"], **every_unit)


def data_unit_header(tree: Tree) -> DataUnitHeader:
    """Return the header of a tree.

    Raises
    ------
    MalformedBitstream
        A block has another number of names than of tensors, or a codebook a value beyond 32 bits. The error has ``path``
        relative to the unit, and ``clause``; the caller adds the place.
    """
    get = tree.get
    names, indices = _topology_elements(tree)
    types = _TYPES[get("compressed_parameter_types", 0)]
    payload_type = _PAYLOAD_TYPES[tree["nnr_compressed_data_unit_payload_type"]]
    if payload_type is PayloadType.NNR_PT_BLOCK and len(names) + len(indices) != tensors_in_block(types):
        raise MalformedBitstream(
            f"a block with these compressed_parameter_types has {tensors_in_block(types)} tensors, "
            f"and {len(names) + len(indices)} are named",
            path="compressed_parameter_types"
            if "compressed_parameter_types" in tree
            else "nnr_compressed_data_unit_payload_type",
            clause="format 3",
        )
    dimensions = get("tensor_dimensions")
    data_format = get("nnr_decompressed_data_format")
    return DataUnitHeader(
        names,
        indices,
        payload_type,
        NodeId(tree["device_id"], tree["parameter_id"], tree["put_node_depth"])
        if "device_id" in tree
        else None,
        _parent(tree) if "parent_node_id_type" in tree else None,
        codebook(tree["codebook"], "codebook") if "codebook" in tree else None,
        codebook(tree["second_codebook"], "second_codebook") if "second_codebook" in tree else None,
        bool(get("dq_flag", 0)),
        None if data_format is None else DecompressedDataFormat(data_format),
        None if dimensions is None else tuple(dimensions),
        get("cabac_unary_length_minus1", 9) + 1,
        types,
        get("decomposition_rank"),
        get("g_number_of_rows"),
        get("first_tensor_dimension_shift", 0),
        get("scan_order", 0),
        _entry_points(tree["cabac_entry_point"]) if "cabac_entry_point" in tree else (),
    )


def tensors_in_block(types: CompressedParameterTypes) -> int:
    """Return the number of tensors of a block: the weight or its two factors, local scaling, bias and batch normalisation.

    Clause: format 3
    """
    factors = 2 if CompressedParameterTypes.DC in types else 1
    batch_norm = 4 if CompressedParameterTypes.BN in types else 0
    return (
        factors + batch_norm + (CompressedParameterTypes.LS in types) + (CompressedParameterTypes.BI in types)
    )


def tensor_sizes(header: DataUnitHeader) -> list[int]:
    """Return the size of each array that decoding a unit allocates; empty without ``tensor_dimensions``.

    Raises
    ------
    MalformedBitstream
        The factors of a weight do not have its size. The error has ``path`` relative to the unit, and ``clause``.

    Clause: format 3
    """
    dimensions = header.tensor_dimensions
    if dimensions is None:
        return []
    weight = math.prod(dimensions)
    sizes = [weight]
    if header.g_number_of_rows is None and header.payload_type is not PayloadType.NNR_PT_BLOCK:
        return sizes
    if header.g_number_of_rows is not None and header.decomposition_rank is not None:
        g_rows = header.g_number_of_rows
        if g_rows == 0 or header.decomposition_rank == 0 or weight % g_rows:
            raise MalformedBitstream(
                f"G of {g_rows} rows and rank {header.decomposition_rank} cannot make a weight of {weight} elements",
                path="g_number_of_rows",
                clause="format 3",
            )
        sizes += [g_rows * header.decomposition_rank, header.decomposition_rank * (weight // g_rows)]
    if header.payload_type is PayloadType.NNR_PT_BLOCK and dimensions:
        beside = tensors_in_block(header.compressed_parameter_types & ~CompressedParameterTypes.DC) - 1
        sizes += [dimensions[0]] * beside
    return sizes


def _topology_elements(tree: Tree) -> tuple[tuple[str, ...], tuple[int, ...]]:
    if "topology_elem_id" in tree:
        return (tree["topology_elem_id"],), ()
    if "topology_elem_id_index" in tree:
        return (), (tree["topology_elem_id_index"],)
    listed = tree["topology_elements_ids_list"]
    return tuple(listed.get("topology_elem_id_list", ())), tuple(
        listed.get("topology_elem_id_index_list", ())
    )


def _parent(tree: Tree) -> ParentNode:
    kind = ParentNodeIdType(tree["parent_node_id_type"])
    temporal = bool(tree["temporal_context_modeling_flag"])
    if kind is ParentNodeIdType.ICNN_NDU_ID:
        has_device_id = "device_id" in tree
        node_id = None if has_device_id else (tree["parameter_id"], tree["put_node_depth"])
        return ParentNode(kind, temporal, tree["parent_device_id"], node_id)
    element, n_bytes = _DIGESTS[kind]
    return ParentNode(kind, temporal, payload_digest=tree[element].to_bytes(n_bytes, "big"))


def _entry_points(entries: list[Tree]) -> tuple[EntryPoint, ...]:
    """Return the positions of the entry points, which are coded as second differences, in bits from the start of block row 0."""
    points = []
    position = difference = 0
    for index, entry in enumerate(entries):
        difference += entry["bit_offset_delta2"] if index else entry["bit_offset_delta1"]
        position += difference
        points.append(EntryPoint(position, entry["cabac_offset_value"], entry.get("dq_state", 0)))
    return tuple(points)


def _entry_point_trees(points: tuple[EntryPoint, ...], dq_flag: bool) -> list[Tree]:
    trees: list[Tree] = []
    position = difference = 0
    for point in points:
        change = point.bit_offset - position - difference
        tree: Tree = {"cabac_offset_value": point.cabac_offset_value}
        if dq_flag:
            tree["dq_state"] = point.dq_state
        tree["bit_offset_delta2" if trees else "bit_offset_delta1"] = change
        trees.append(tree)
        difference += change
        position = point.bit_offset
    return trees


def data_unit_tree(unit: DataUnit, general_profile_idc: int, parent_signalling: bool) -> Tree:
    """Return the tree of a unit, without the elements of the unit header; the inverse of `data_unit`.

    Raises
    ------
    NotEncodable
        The profile has no element for a field, or fields contradict each other. The error has ``element``.
    """
    header = unit.header
    tree = _references_tree(header)
    kind = header.payload_type
    tree["nnr_compressed_data_unit_payload_type"] = int(kind)
    if general_profile_idc == 1:
        tree |= _node_tree(header, parent_signalling)
    elif header.node_id is not None or header.parent is not None:
        raise NotEncodable("profile 0 has no node ids", element="node_id_present_flag")
    if header.codebook is not None:
        tree["codebook"] = codebook_tree(header.codebook)
    if header.second_codebook is not None:
        tree["second_codebook"] = codebook_tree(header.second_codebook)
    if kind in (PayloadType.NNR_PT_FLOAT, PayloadType.NNR_PT_BLOCK):
        tree["codebook_present_flag"] = int(header.codebook is not None)
    if kind != PayloadType.NNR_PT_RAW_FLOAT or header.dq_flag:
        tree["dq_flag"] = int(header.dq_flag)
    tree["nnr_decompressed_data_format_present_flag"] = int(header.decompressed_data_format is not None)
    if header.decompressed_data_format is not None:
        tree["nnr_decompressed_data_format"] = int(header.decompressed_data_format)
    tree |= _input_parameters_tree(header)
    if header.tensor_dimensions is not None and len(header.tensor_dimensions) > 1:
        tree["scan_order"] = header.scan_order
        if general_profile_idc == 1 or header.first_tensor_dimension_shift:
            tree["first_tensor_dimension_shift"] = header.first_tensor_dimension_shift
        if header.scan_order > 0:
            tree["cabac_entry_point"] = _entry_point_trees(header.entry_points, header.dq_flag)
    elif header.scan_order or header.entry_points:
        raise NotEncodable("only tensors of two dimensions or more have a scan order", element="scan_order")
    tree["nnr_compressed_data_unit_payload"] = unit.payload
    return tree


def _references_tree(header: DataUnitHeader) -> Tree:
    names, indices = header.topology_elem_ids, header.topology_elem_id_indices
    if bool(names) == bool(indices):
        raise NotEncodable(
            "a unit refers to its tensors either by name or by index", element="topology_elem_id"
        )
    several = len(names) + len(indices) > 1
    tree: Tree = {"nnr_multiple_topology_elements_present_flag": int(several)}
    if several and names:
        tree["topology_elements_ids_list"] = ids_list_tree(names, "topology_elem_id_list")
    elif several:
        tree["topology_elements_ids_list"] = ids_list_tree(indices, "topology_elem_id_index_list")
    elif names:
        tree["topology_elem_id"] = names[0]
    else:
        tree["topology_elem_id_index"] = indices[0]
    return tree


def _node_tree(header: DataUnitHeader, parent_signalling: bool) -> Tree:
    node, parent = header.node_id, header.parent
    tree: Tree = {"node_id_present_flag": int(node is not None)}
    if node is not None:
        tree |= {
            "device_id": node.device_id,
            "parameter_id": node.parameter_id,
            "put_node_depth": node.put_node_depth,
        }
    if parent_signalling:
        tree["parent_node_id_present_flag"] = int(parent is not None)
    elif parent is not None:
        raise NotEncodable(
            "the model parameter set does not enable parent nodes", element="parent_node_id_present_flag"
        )
    if parent is None:
        return tree
    tree["parent_node_id_type"] = int(parent.node_id_type)
    tree["temporal_context_modeling_flag"] = int(parent.temporal_context_modeling_flag)
    if parent.node_id_type == ParentNodeIdType.ICNN_NDU_ID:
        tree["parent_device_id"] = parent.device_id
        if (parent.node_id is None) == (node is None):
            raise NotEncodable("a unit has either a node id or a parent with one", element="parameter_id")
        if parent.node_id is not None:
            tree["parameter_id"], tree["put_node_depth"] = parent.node_id
    else:
        element, n_bytes = _DIGESTS[parent.node_id_type]
        if parent.payload_digest is None or len(parent.payload_digest) != n_bytes:
            raise NotEncodable(f"a digest of {n_bytes} bytes is needed", element=element)
        tree[element] = int.from_bytes(parent.payload_digest, "big")
    return tree


def _input_parameters_tree(header: DataUnitHeader) -> Tree:
    """Return the input parameters, which are present if one of them differs from its inferred value."""
    dimensions = header.tensor_dimensions
    unary = header.cabac_unary_length
    if dimensions is None and unary == 10 and not header.compressed_parameter_types:
        return {"input_parameters_present_flag": 0}
    tree: Tree = {
        "input_parameters_present_flag": 1,
        "tensor_dimensions_flag": int(dimensions is not None),
        "cabac_unary_length_flag": int(unary != 10),
        "compressed_parameter_types": int(header.compressed_parameter_types),
    }
    if dimensions is not None:
        tree |= {"count_tensor_dimensions": len(dimensions), "tensor_dimensions": list(dimensions)}
    if unary != 10:
        tree["cabac_unary_length_minus1"] = unary - 1
    factors = {"decomposition_rank": header.decomposition_rank, "g_number_of_rows": header.g_number_of_rows}
    return tree | {element: value for element, value in factors.items() if value is not None}
