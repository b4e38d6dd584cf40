# SPDX-License-Identifier: Apache-2.0
"""Syntax of the compressed data unit."""

from __future__ import annotations

from nnr_codec.errors import MalformedBitstream, UnsupportedBitstream
from nnr_codec.model import (
    CompressedParameterTypes,
    DecompressedDataFormat,
    ParentNodeIdType,
    PayloadType,
)
from nnr_codec.syntax.codebook import CODEBOOK
from nnr_codec.syntax.descriptors import bs, byte_alignment, ie, st, u, ue, unsupported
from nnr_codec.syntax.expressions import Scope
from nnr_codec.syntax.grammar import Check, Derived, IfPresent, Repeat, Syntax
from nnr_codec.syntax.topology_elements import TOPOLOGY_ELEMENTS_IDS_LIST, TOPOLOGY_ELEMENTS_INDEX_LIST


def number_of_entry_points(scope: Scope) -> int:
    """Return the number of entry points: one per block row except the first, of each tensor scanned in blocks.

    Clause: format 3
    """
    block = 4 << scope["scan_order"]
    rows = [scope["tensor_dimensions"][0]]
    if scope["compressed_parameter_types"] & CompressedParameterTypes.DC:
        g_rows, h_rows = scope["g_number_of_rows"], scope["decomposition_rank"]
        if scope["nnr_compressed_data_unit_payload_type"] == PayloadType.NNR_PT_BLOCK:
            rows = [g_rows, h_rows]
        else:
            rows = [g_rows if low_rank_factor(scope) == "_G" else h_rows]
    return sum(max(0, (count + block - 1) // block - 1) for count in rows)


def low_rank_factor(scope: Scope) -> str:
    """Return ``_G`` or ``_H`` for a low-rank factor outside a block, from the end of its name; empty for a block.

    Raises
    ------
    MalformedBitstream
        The name has another ending.
    """
    if scope["nnr_compressed_data_unit_payload_type"] == PayloadType.NNR_PT_BLOCK:
        return ""
    name = scope.get("topology_elem_id") or ""
    index = scope.get("topology_elem_id_index")
    names = scope.get("_reference_list", ())
    if not name and index is not None and index < len(names):
        name = names[index]
    if name[-2:] not in ("_G", "_H"):
        raise MalformedBitstream(
            "the name of a low-rank factor outside a block must end in _G or _H",
            element="topology_elem_id" if index is None else "topology_elem_id_index",
            clause="format 3",
        )
    return str(name[-2:])


NNR_COMPRESSED_DATA_UNIT_HEADER = Syntax(
    "nnr_compressed_data_unit_header",
    "nnr_compressed_data_unit_payload_type" / u(5, PayloadType),
    # Several names outside a block need topology_tensor_dimension_mapping(), whose syntax is not implemented.
    "nnr_multiple_topology_elements_present_flag"
    / u(
        1,
        rule="nnr_multiple_topology_elements_present_flag == 0"
        " or nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK",
        refusal=UnsupportedBitstream,
    ),
    "nnr_decompressed_data_format_present_flag" / u(1),
    "input_parameters_present_flag" / u(1),
    IfPresent(
        "nnr_multiple_topology_elements_present_flag == 1",
        IfPresent(
            "mps_topology_indexed_reference_flag == 0",
            "topology_elements_ids_list" / TOPOLOGY_ELEMENTS_IDS_LIST,
        ).or_else(
            "topology_elements_ids_list" / TOPOLOGY_ELEMENTS_INDEX_LIST,
        ),
    ).or_else(
        IfPresent(
            "mps_topology_indexed_reference_flag == 0",
            "topology_elem_id" / st(),
        ).or_else(
            "topology_elem_id_index" / ue(7, rule="topology_elem_id_index < NumReferences"),
        ),
    ),
    IfPresent(
        "general_profile_idc == 1",
        "node_id_present_flag" / u(1),
        IfPresent(
            "node_id_present_flag == 1",
            "device_id" / ue(1),
            "parameter_id" / ue(5),
            "put_node_depth" / ue(4),
        ),
        IfPresent(
            "mps_parent_signalling_enabled_flag == 1",
            "parent_node_id_present_flag" / u(1),
            IfPresent(
                "parent_node_id_present_flag == 1",
                "parent_node_id_type" / u(2, ParentNodeIdType),
                "temporal_context_modeling_flag" / u(1),
                IfPresent(
                    "parent_node_id_type == ICNN_NDU_ID",
                    "parent_device_id" / ue(1),
                    IfPresent(
                        "node_id_present_flag == 0",
                        "parameter_id" / ue(5),
                        "put_node_depth" / ue(4),
                    ),
                ),
                IfPresent("parent_node_id_type == ICNN_NDU_PL_SHA256", "parent_node_payload_sha256" / u(256)),
                IfPresent("parent_node_id_type == ICNN_NDU_PL_SHA512", "parent_node_payload_sha512" / u(512)),
            ),
        ),
    ),
    IfPresent(
        "nnr_compressed_data_unit_payload_type in (NNR_PT_FLOAT, NNR_PT_BLOCK)",
        "codebook_present_flag" / u(1, inferred=0),
        IfPresent("codebook_present_flag == 1", "codebook" / CODEBOOK),
    ),
    IfPresent(
        "nnr_compressed_data_unit_payload_type in (NNR_PT_INT, NNR_PT_FLOAT, NNR_PT_BLOCK)",
        "dq_flag" / u(1, inferred=0),
    ),
    IfPresent(
        "nnr_decompressed_data_format_present_flag == 1",
        "nnr_decompressed_data_format" / u(7, DecompressedDataFormat),
    ),
    IfPresent(
        "input_parameters_present_flag == 1",
        "tensor_dimensions_flag" / u(1),
        "cabac_unary_length_flag" / u(1),
        "compressed_parameter_types" / u(4, CompressedParameterTypes, inferred=0),
        IfPresent(
            "compressed_parameter_types & NNR_CPT_DC",
            "decomposition_rank" / ue(3),
            "g_number_of_rows" / ue(3),
            Check(low_rank_factor),
        ),
        IfPresent(
            "tensor_dimensions_flag == 1",
            "count_tensor_dimensions" / ue(1, inferred=0, limit="max_dimensions"),
            "tensor_dimensions" / Repeat("count_tensor_dimensions", ue(7)),
        ),
        IfPresent(
            "nnr_compressed_data_unit_payload_type != NNR_PT_BLOCK"
            " and nnr_multiple_topology_elements_present_flag == 1",
            "topology_tensor_dimension_mapping" / unsupported(),
        ),
        IfPresent("cabac_unary_length_flag == 1", "cabac_unary_length_minus1" / u(8)),
    ),
    IfPresent(
        "nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK"
        " and compressed_parameter_types & NNR_CPT_DC and codebook_present_flag == 1",
        "second_codebook" / CODEBOOK,
    ),
    IfPresent(
        "count_tensor_dimensions > 1",
        IfPresent("general_profile_idc == 1", "first_tensor_dimension_shift" / ue(1)),
        "scan_order" / u(4, range(5)),
        IfPresent(
            "scan_order > 0",
            Derived("NumEntryPoints", number_of_entry_points),
            "cabac_entry_point"
            / Repeat(
                "NumEntryPoints",
                Syntax(
                    "",
                    "cabac_offset_value" / u(8),
                    IfPresent("dq_flag == 1", "dq_state" / u(3)),
                    IfPresent("j == 0", "bit_offset_delta1" / ue(11)).or_else("bit_offset_delta2" / ie(7)),
                ),
                index="j",
            ),
        ),
    ),
    byte_alignment(),
    clause="format 3",
)
NNR_COMPRESSED_DATA_UNIT_PAYLOAD = Syntax(
    "nnr_compressed_data_unit_payload", "nnr_compressed_data_unit_payload" / bs(), clause="format 3"
)
