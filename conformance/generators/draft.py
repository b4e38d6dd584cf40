# SPDX-License-Identifier: Apache-2.0
"""Drafts of streams: lists of units without codewords, and their conversion to bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.generators.codeword import Codeword, write_codewords
from conformance.generators.script import TensorScript
from nnr_codec.model import Limits
from nnr_codec.syntax import SyntaxState, build_tree, iter_unit_spans, parse_unit, split_unit
from nnr_codec.syntax.compressed_data_unit import number_of_entry_points
from nnr_codec.syntax.grammar import Tree
from spec.model import Limits as ModelLimits
from spec.model import Session

#: Bytes of the header of each unit type that has no data.
_TYPE_HEADER_BYTES = {1: 0, 2: 1, 3: 2, 4: 2}
LOOSE = ModelLimits(topology_elements=1 << 22, entry_points=1 << 22)


@dataclass
class UnitDraft:
    """Syntax elements of a unit; for a coded unit, also the scripts of its tensors.

    Parameters
    ----------
    scripts : list of TensorScript
        Scripts in the order of the tensors' data; empty for a unit without codeword.
    long_form : bool
        If True, use the 31-bit size.
    part_bytes : int
        Payload bytes per part; 0 leaves the unit whole.
    entry_points : callable, optional
        Function that changes the entry points in place, for streams with wrong entry points.
    """

    tree: Tree
    scripts: list[TensorScript] = field(default_factory=list)
    long_form: bool = False
    part_bytes: int = 0
    entry_points: Any = None


def write_stream(
    units: Sequence[UnitDraft],
    before: Sequence[bytes] = (),
    dimensions: dict[str, tuple[int, ...]] | None = None,
) -> bytes:
    """Turn drafts into a stream.

    Parameters
    ----------
    before : sequence of bytes
        Earlier streams of the sequence.
    """
    coded = [unit for unit in units if unit.scripts]
    draft = _joined(units, {})
    if not coded:
        return draft
    session = Session(LOOSE, dimensions)
    for stream in before:
        session.decode(stream)
    codewords = write_codewords(lambda: session.decode(draft), [unit.scripts for unit in coded])
    return _joined(units, {id(unit): codeword for unit, codeword in zip(coded, codewords, strict=True)})


def _joined(units: Sequence[UnitDraft], codewords: dict[int, Codeword]) -> bytes:
    state, pieces = SyntaxState(), []
    for unit in units:
        tree = dict(unit.tree)
        codeword = codewords.get(id(unit))
        if unit.scripts:
            tree["nnr_compressed_data_unit_payload"] = codeword.octets if codeword else b""
        _fill_entry_points(unit, tree, state, codeword)
        octets = build_tree(_framed(tree), state)
        [span] = iter_unit_spans(octets)
        parsed = parse_unit(octets, span, state, limits=Limits.none())
        state = state.after(parsed)
        if unit.long_form:
            content = octets[span.header_offset :]
            octets = (len(content) + 4 | 1 << 31).to_bytes(4, "big") + content
        if unit.part_bytes and (codeword or not unit.scripts):
            payload_bytes = len(tree.get("nnr_compressed_data_unit_payload", b"")) or (
                len(octets) - span.header_offset - 1 - _TYPE_HEADER_BYTES[tree["nnr_unit_type"]]
            )
            pieces += split_unit(octets, payload_bytes, unit.part_bytes)
        else:
            pieces.append(octets)
    return b"".join(pieces)


def _framed(tree: Tree) -> Tree:
    return {"independently_decodable_flag": 1, "partial_data_counter_present_flag": 0} | tree


def _fill_entry_points(unit: UnitDraft, tree: Tree, state: SyntaxState, codeword: Codeword | None) -> None:
    if not tree.get("scan_order") or "cabac_entry_point" in unit.tree:
        return
    scope = {"compressed_parameter_types": 0, **state.variables(), **tree}
    scope.setdefault("tensor_dimensions", tree.get("_shape", ()))
    count = number_of_entry_points(scope)
    points = [{"cabac_offset_value": 0, "dq_state": 0, "distance": 0} for _ in range(count)]
    if codeword is not None:
        used = 0
        for first, second in zip(codeword.starts, codeword.starts[1:], strict=False):
            if first.tensor == second.tensor:
                points[used] = {
                    "cabac_offset_value": second.offset,
                    "dq_state": second.state,
                    "distance": second.position - first.position,
                }
                used += 1
    if unit.entry_points is not None:
        unit.entry_points(points)
    before = 0
    entries: list[dict[str, int]] = []
    for point in points:
        distance = point.pop("distance")
        if not tree.get("dq_flag"):
            point.pop("dq_state")
        entries.append({**point, "bit_offset_delta2" if entries else "bit_offset_delta1": distance - before})
        before = distance
    tree["cabac_entry_point"] = entries


# Units of drafts.


def start(profile: int = 1) -> UnitDraft:
    """NNR_STR."""
    return UnitDraft({"nnr_unit_type": 0, "general_profile_idc": profile})


def mps(
    profile: int = 1, *, density: int = 2, qp: int = -20, methods: int = 1, parents: int = 0, **elements: Any
) -> UnitDraft:
    """NNR_MPS; further elements by name."""
    tree: Tree = {
        "nnr_unit_type": 1,
        "topology_carriage_flag": 0,
        "mps_sparsification_flag": 0,
        "mps_pruning_flag": 0,
        "mps_unification_flag": 0,
        "mps_decomposition_performance_map_flag": 0,
        "mps_quantization_method_flags": methods,
        "mps_topology_indexed_reference_flag": 0,
    }
    if methods & 3:
        tree |= {"mps_qp_density": density, "mps_quantization_parameter": qp}
    if profile == 1:
        tree |= {
            "base_model_id_present_flag": 0,
            "validation_set_performance_present_flag": 0,
            "metric_type_performance_map_valid_flag": 0,
            "mps_parent_signalling_enabled_flag": parents,
        }
        if parents:
            tree["nnr_pre_flag"] = 0
    return UnitDraft(tree | elements)


def lps(*, density: int | None = 1, qp: int = -12, **elements: Any) -> UnitDraft:
    """NNR_LPS."""
    tree: Tree = {
        "nnr_unit_type": 2,
        "lps_self_contained_flag": 0,
        "lps_sparsification_flag": 0,
        "lps_pruning_flag": 0,
        "lps_unification_flag": 0,
        "lps_quantization_method_flags": 0 if density is None else 1,
    }
    if density is not None:
        tree |= {"lps_qp_density": density, "lps_quantization_parameter": qp}
    return UnitDraft(tree | elements)


def topology(content: bytes = b"\0", storage: int = 0, compression: int = 0) -> UnitDraft:
    """NNR_TPL with topology_data, or a pruning container."""
    key = "nnr_pruning_topology_container" if storage == 5 else "topology_data"
    return UnitDraft(
        {
            "nnr_unit_type": 3,
            "topology_storage_format": storage,
            "topology_compression_format": compression,
            key: content,
        }
    )


def reference_list(names: Sequence[str]) -> UnitDraft:
    """NNR_TPL with a reference list."""
    listed = {"count_topology_elements_minus2": len(names) - 2, "topology_elem_id_list": list(names)}
    return UnitDraft(
        {
            "nnr_unit_type": 3,
            "topology_storage_format": 6,
            "topology_compression_format": 0,
            "topology_elements_ids_list": listed,
        }
    )


def quantization_unit(content: str | bytes = "text", storage: int = 0) -> UnitDraft:
    """NNR_QNT; bytes are a deflate stream."""
    compression = int(isinstance(content, bytes))
    return UnitDraft(
        {
            "nnr_unit_type": 4,
            "quantization_storage_format": storage,
            "quantization_compression_format": compression,
            "quantization_data": content,
        }
    )


def unknown(kind: int, body: bytes = b"anything") -> UnitDraft:
    """Unit of a reserved or unspecified type."""
    return UnitDraft({"nnr_unit_type": kind, "nnr_unit_payload": body})


def codebook(values: Sequence[int], zero: int, egk: int = 0) -> Tree:
    """Syntax elements of a codebook with the entries ``values``."""
    size = len(values)
    return {
        "codebook_egk": egk,
        "codebook_size": size,
        "codebook_center_offset": zero - (size >> 1),
        "codebook_zero_value": values[zero],
        "codebook_delta_left": [values[j + 1] - values[j] - 1 for j in range(zero - 1, -1, -1)],
        "codebook_delta_right": [values[j] - values[j - 1] - 1 for j in range(zero + 1, size)],
    }


INT, FLOAT, RAW, BLOCK = range(4)


def data_unit(
    names: str | int | Sequence[str] | Sequence[int],
    shape: Sequence[int],
    scripts: TensorScript | Sequence[TensorScript] | bytes,
    *,
    kind: int = FLOAT,
    profile: int = 1,
    node: tuple[int, int, int] | None = None,
    parent: Tree | None = None,
    parents: int = 0,
    book: Tree | None = None,
    second_book: Tree | None = None,
    dq: int = 0,
    data_format: int | None = None,
    unary: int | None = None,
    types: int = 0,
    rank: int = 0,
    g_rows: int = 0,
    scan: int = 0,
    shift: int = 0,
    input_parameters: bool = True,
    send_shape: bool = True,
    long_form: bool = False,
    part_bytes: int = 0,
    entry_points: Any = None,
) -> UnitDraft:
    """NNR_NDU; bytes as ``scripts`` are the payload itself."""
    tree: Tree = {"nnr_unit_type": 5, "nnr_compressed_data_unit_payload_type": kind}
    several = not isinstance(names, str | int)
    tree["nnr_multiple_topology_elements_present_flag"] = int(several)
    tree["nnr_decompressed_data_format_present_flag"] = int(data_format is not None)
    tree["input_parameters_present_flag"] = int(input_parameters)
    if isinstance(names, str):
        tree["topology_elem_id"] = names
    elif isinstance(names, int):
        tree["topology_elem_id_index"] = names
    else:
        key = "topology_elem_id_list" if isinstance(names[0], str) else "topology_elem_id_index_list"
        tree["topology_elements_ids_list"] = {
            "count_topology_elements_minus2": len(names) - 2,
            key: list(names),
        }
    if profile == 1:
        tree["node_id_present_flag"] = int(node is not None)
        if node is not None:
            tree |= dict(zip(("device_id", "parameter_id", "put_node_depth"), node, strict=True))
        if parents:
            tree["parent_node_id_present_flag"] = int(parent is not None)
            tree |= parent or {}
    if kind in (FLOAT, BLOCK):
        tree["codebook_present_flag"] = int(book is not None)
        if book is not None:
            tree["codebook"] = book
    if kind != RAW:
        tree["dq_flag"] = dq
    if data_format is not None:
        tree["nnr_decompressed_data_format"] = data_format
    if input_parameters:
        tree |= {
            "tensor_dimensions_flag": int(send_shape),
            "cabac_unary_length_flag": int(unary is not None),
            "compressed_parameter_types": types,
        }
        if types & 1:
            tree |= {"decomposition_rank": rank, "g_number_of_rows": g_rows}
        if send_shape:
            tree |= {"count_tensor_dimensions": len(shape), "tensor_dimensions": list(shape)}
        if unary is not None:
            tree["cabac_unary_length_minus1"] = unary - 1
    if second_book is not None:
        tree["second_codebook"] = second_book
    if len(shape) > 1 and input_parameters and send_shape:
        if profile == 1:
            tree["first_tensor_dimension_shift"] = shift
        tree["scan_order"] = scan
    listed: list[TensorScript] = []
    if isinstance(scripts, bytes):
        tree["nnr_compressed_data_unit_payload"] = scripts
    else:
        listed = [scripts] if isinstance(scripts, TensorScript) else list(scripts)
    return UnitDraft(tree, listed, long_form, part_bytes, entry_points)


def child_of(device: int = 0, *, temporal: int = 1) -> Tree:
    """Elements that name a parent by node, for a unit with node identifier."""
    return {"parent_node_id_type": 0, "temporal_context_modeling_flag": temporal, "parent_device_id": device}


def child_of_digest(digest: bytes, *, temporal: int = 1) -> Tree:
    """Elements that name a parent by the digest of its payload."""
    kind = 1 if len(digest) == 32 else 2
    name = "parent_node_payload_sha256" if kind == 1 else "parent_node_payload_sha512"
    return {
        "parent_node_id_type": kind,
        "temporal_context_modeling_flag": temporal,
        name: int.from_bytes(digest, "big"),
    }
