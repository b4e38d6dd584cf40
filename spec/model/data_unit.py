# SPDX-License-Identifier: Apache-2.0
"""3 Compressed data unit: header."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .descriptors import BitReader
from .errors import Unsupported
from .limits import Limits
from .parameter_sets import ModelParameterSet, topology_elements_ids_list
from .scan import count_block_rows
from .tensor_data import INT32_MAX, INT32_MIN, EntryPoint

NNR_PT_INT, NNR_PT_FLOAT, NNR_PT_RAW_FLOAT, NNR_PT_BLOCK = range(4)
NNR_CPT_DC, NNR_CPT_LS, NNR_CPT_BN, NNR_CPT_BI = 1, 2, 4, 8
ICNN_NDU_ID, ICNN_NDU_PL_SHA256, ICNN_NDU_PL_SHA512 = range(3)
LARGEST_FORMAT = 9
LARGEST_SCAN_ORDER = 4


@dataclass(frozen=True)
class NodeId:
    """3.2.2 Identifier of an update."""

    device_id: int
    parameter_id: int
    put_node_depth: int


@dataclass(frozen=True)
class ParentNode:
    """3.2.2 Parent of a unit, by node or by digest of its payload.

    ``depth_bit`` is the bit offset of the unit's ``put_node_depth`` in the stream.
    """

    temporal_context_modeling: bool
    node: NodeId | None
    digest: bytes | None
    depth_bit: int


@dataclass(frozen=True)
class Codebook:
    """3.2.3 Codebook; ``values[zero_offset]`` is the entry of level 0.

    ``zero_value_bit`` is the bit of ``codebook_zero_value`` in its unit, for errors.
    """

    values: tuple[int, ...]
    zero_offset: int
    zero_value_bit: int


@dataclass(frozen=True)
class DataUnitHeader:
    """3.2 Header, with absent values inferred (3.3).

    ``elements`` counts the elements of all tensors of the unit.
    """

    payload_type: int
    names: tuple[str, ...]
    node: NodeId | None
    parent: ParentNode | None
    codebook: Codebook | None
    second_codebook: Codebook | None
    dq_flag: bool
    decompressed_data_format: int | None
    compressed_parameter_types: int
    decomposition_rank: int
    g_number_of_rows: int
    tensor_dimensions: tuple[int, ...] | None
    unary_length: int
    scan_order: int
    entry_points: tuple[EntryPoint, ...]
    elements: int


def product(factors: tuple[int, ...]) -> int:
    """Return the product; 1 without factors."""
    result = 1
    for factor in factors:
        result *= factor
    return result


def data_unit_header(
    reader: BitReader,
    profile: int,
    mps: ModelParameterSet,
    resolve_index: Callable[[int], str | None],
    limits: Limits,
) -> DataUnitHeader:
    """Read the header of a data unit and check it in the order of 7.4.

    Parameters
    ----------
    resolve_index : callable
        Returns the name at an index of the reference list, or None beyond its end.

    Raises
    ------
    StreamError
        When an element, or a combination of elements, is not valid or beyond the limits.

    Clause: 3.2
    """
    start = types_bit = reader.position
    payload_type = reader.u(5, "nnr_compressed_data_unit_payload_type")
    if payload_type > NNR_PT_BLOCK:
        raise reader.malformed(
            f"payload type {payload_type} is reserved", "nnr_compressed_data_unit_payload_type", start, "3.2"
        )
    start = reader.position
    multiple = reader.flag("nnr_multiple_topology_elements_present_flag")
    if multiple and payload_type != NNR_PT_BLOCK:
        raise _unsupported(reader, "topology_tensor_dimension_mapping", start, "3.2")
    format_present = reader.flag("nnr_decompressed_data_format_present_flag")
    input_parameters = reader.flag("input_parameters_present_flag")
    name_bit = reader.position
    names = _names(reader, multiple, mps.topology_indexed_reference, resolve_index, limits)
    node = parent = None
    if profile == 1:
        node, parent = _nodes(reader, mps.parent_signalling)
    codebook = second_codebook = None
    codebook_present = False
    if payload_type in (NNR_PT_FLOAT, NNR_PT_BLOCK):
        codebook_present = reader.flag("codebook_present_flag")
        if codebook_present:
            codebook = read_codebook(reader, "codebook", limits)
    dq_flag = payload_type != NNR_PT_RAW_FLOAT and reader.flag("dq_flag")
    data_format = None
    if format_present:
        start = reader.position
        data_format = reader.u(7, "nnr_decompressed_data_format")
        if data_format > LARGEST_FORMAT:
            raise reader.malformed(
                f"data format {data_format} is reserved", "nnr_decompressed_data_format", start, "3.2"
            )
    types = rank = g_rows = 0
    shape = None
    unary_length = 10
    rows_bit = shape_bit = reader.position
    if input_parameters:
        dimensions_flag = reader.flag("tensor_dimensions_flag")
        unary_flag = reader.flag("cabac_unary_length_flag")
        types_bit = reader.position
        types = reader.u(4, "compressed_parameter_types")
        if types & NNR_CPT_DC:
            rank = reader.ue(3, "decomposition_rank")
            rows_bit = reader.position
            g_rows = reader.ue(3, "g_number_of_rows")
            if payload_type != NNR_PT_BLOCK and not names[0].endswith(("_G", "_H")):
                raise reader.malformed(
                    "a factor's name ends neither in _G nor in _H", "topology_elem_id", name_bit, "3.4"
                )
        if dimensions_flag:
            shape, shape_bit = _dimensions(reader, limits)
        if unary_flag:
            unary_length = reader.u(8, "cabac_unary_length_minus1") + 1
    if payload_type == NNR_PT_BLOCK and types & NNR_CPT_DC and codebook_present:
        second_codebook = read_codebook(reader, "second_codebook", limits)
    scan_order = 0
    entry_points: tuple[EntryPoint, ...] = ()
    if shape is not None and len(shape) > 1:
        if profile == 1:
            reader.ue(1, "first_tensor_dimension_shift")
        start = reader.position
        scan_order = reader.u(4, "scan_order")
        if scan_order > LARGEST_SCAN_ORDER:
            raise reader.malformed(f"scan order {scan_order} is reserved", "scan_order", start, "3.2")
        if scan_order > 0:
            scanned = [shape[0]]
            if types & NNR_CPT_DC:
                scanned = [g_rows, rank]
                if payload_type != NNR_PT_BLOCK:
                    scanned = [g_rows if names[0].endswith("_G") else rank]
            count = sum(max(count_block_rows(rows, scan_order) - 1, 0) for rows in scanned)
            entry_points = _entry_points(reader, count, dq_flag, limits)
    reader.byte_alignment()
    # 7.4 Rules that concern several elements are checked behind the alignment.
    if payload_type == NNR_PT_BLOCK and len(names) != len(roles_by_name(types)):
        raise reader.malformed(
            f"{len(names)} names for {len(roles_by_name(types))} tensors",
            "compressed_parameter_types",
            types_bit,
            "3.4",
        )
    for book in (codebook, second_codebook):
        if book is not None and not INT32_MIN <= book.values[0] <= book.values[-1] <= INT32_MAX:
            raise reader.malformed(
                "a codebook value does not fit 32 bits", "codebook_zero_value", book.zero_value_bit, "3.2.3"
            )
    sizes: list[int] = []
    if shape is not None:
        sizes = tensor_sizes(reader, payload_type, types, rank, g_rows, shape, rows_bit)
        if max(sizes) > limits.tensor_elements:
            raise reader.limit(f"{max(sizes)} elements", "tensor_dimensions", shape_bit)
    return DataUnitHeader(
        payload_type=payload_type,
        names=names,
        node=node,
        parent=parent,
        codebook=codebook,
        second_codebook=second_codebook,
        dq_flag=dq_flag,
        decompressed_data_format=data_format,
        compressed_parameter_types=types,
        decomposition_rank=rank,
        g_number_of_rows=g_rows,
        tensor_dimensions=shape,
        unary_length=unary_length,
        scan_order=scan_order,
        entry_points=entry_points,
        elements=sum(sizes),
    )


def _unsupported(reader: BitReader, feature: str, position: int, clause: str) -> Unsupported:
    return Unsupported(feature, path=reader.path, bit_offset=reader.absolute(position), clause=clause)


def _names(
    reader: BitReader,
    multiple: bool,
    indexed: bool,
    resolve_index: Callable[[int], str | None],
    limits: Limits,
) -> tuple[str, ...]:
    """Read the names of a unit (3.2.1)."""

    def refer(element: str) -> str:
        start = reader.position
        index = reader.ue(7, element)
        name = resolve_index(index)
        if name is None:
            raise reader.malformed(f"index {index} is beyond the reference list", element, start, "3.2.1")
        return name

    if multiple:
        elements = topology_elements_ids_list(reader, refer if indexed else None, limits.topology_elements)
    elif indexed:
        elements = [refer("topology_elem_id_index")]
    else:
        elements = [reader.st("topology_elem_id")]
    return tuple(elements)


def _nodes(reader: BitReader, parent_signalling: bool) -> tuple[NodeId | None, ParentNode | None]:
    """Read node and parent of a unit (3.2.2)."""
    node = None
    depth_bit = 0
    if reader.flag("node_id_present_flag"):
        device = reader.ue(1, "device_id")
        parameter = reader.ue(5, "parameter_id")
        depth_bit = reader.absolute(reader.position)
        node = NodeId(device, parameter, reader.ue(4, "put_node_depth"))
    if not parent_signalling or not reader.flag("parent_node_id_present_flag"):
        return node, None
    start = reader.position
    kind = reader.u(2, "parent_node_id_type")
    temporal = reader.flag("temporal_context_modeling_flag")
    if kind == ICNN_NDU_ID:
        device = reader.ue(1, "parent_device_id")
        if node is None:
            parameter = reader.ue(5, "parameter_id")
            depth_bit = reader.absolute(reader.position)
            depth = reader.ue(4, "put_node_depth")
        else:
            parameter, depth = node.parameter_id, node.put_node_depth
        return node, ParentNode(temporal, NodeId(device, parameter, depth - 1), None, depth_bit)
    if kind == ICNN_NDU_PL_SHA256:
        digest = reader.u(256, "parent_node_payload_sha256").to_bytes(32, "big")
    elif kind == ICNN_NDU_PL_SHA512:
        digest = reader.u(512, "parent_node_payload_sha512").to_bytes(64, "big")
    else:
        raise reader.malformed("parent_node_id_type 3 is reserved", "parent_node_id_type", start, "3.2.2")
    return node, ParentNode(temporal, None, digest, depth_bit)


def read_codebook(reader: BitReader, element: str, limits: Limits) -> Codebook:
    """Read a codebook (3.2.3)."""
    egk = reader.u(4, f"{element}.codebook_egk")
    start = reader.position
    size = reader.ue(2, f"{element}.codebook_size")
    if size > limits.codebook_size:
        raise reader.limit(f"a codebook of {size} entries", f"{element}.codebook_size", start)
    start = reader.position
    zero_offset = (size >> 1) + reader.ie(2, f"{element}.codebook_center_offset")
    if not 0 <= zero_offset < size:
        raise reader.malformed(
            f"the zero position {zero_offset} is outside a codebook of {size}",
            f"{element}.codebook_center_offset",
            start,
            "3.2.3",
        )
    values = [0] * size
    start = reader.position
    values[zero_offset] = reader.ie(7, f"{element}.codebook_zero_value")
    for i in range(zero_offset):
        j = zero_offset - 1 - i
        values[j] = values[j + 1] - reader.ue(egk, f"{element}.codebook_delta_left[{i}]") - 1
    for i in range(size - 1 - zero_offset):
        j = zero_offset + 1 + i
        values[j] = values[j - 1] + reader.ue(egk, f"{element}.codebook_delta_right[{i}]") + 1
    return Codebook(tuple(values), zero_offset, start)


def _dimensions(reader: BitReader, limits: Limits) -> tuple[tuple[int, ...], int]:
    """Read the dimensions; return them and the bit of the first one."""
    start = reader.position
    count = reader.ue(1, "count_tensor_dimensions")
    if count > limits.tensor_dimensions:
        raise reader.limit(f"{count} dimensions", "count_tensor_dimensions", start)
    start = reader.position
    return tuple(reader.ue(7, f"tensor_dimensions[{j}]") for j in range(count)), start


def tensor_sizes(
    reader: BitReader,
    payload_type: int,
    types: int,
    rank: int,
    g_rows: int,
    shape: tuple[int, ...],
    rows_bit: int,
) -> list[int]:
    """Return the number of elements of the weight, its factors and the other tensors of a block unit.

    Raises
    ------
    Malformed
        When the factors do not divide the weight, at bit ``rows_bit``.

    Clause: 3.4, 7.3
    """
    total = product(shape)
    sizes = [total]
    if types & NNR_CPT_DC:
        if g_rows == 0 or rank == 0 or total % g_rows:
            raise reader.malformed(
                f"{total} weights do not divide into {g_rows} rows", "g_number_of_rows", rows_bit, "3.4"
            )
        sizes += [g_rows * rank, rank * (total // g_rows)]
    if payload_type == NNR_PT_BLOCK and shape:
        sizes += [shape[0]] * (len(roles_by_name(types & ~NNR_CPT_DC)) - 1)
    return sizes


def roles_by_name(types: int) -> list[str]:
    """Return the roles of a block unit's tensors in the order of names (3.4)."""
    roles = ["G", "H"] if types & NNR_CPT_DC else ["weight"]
    if types & NNR_CPT_LS:
        roles += ["LS"]
    if types & NNR_CPT_BN:
        roles += ["beta", "gamma", "mean", "var"]
    if types & NNR_CPT_BI:
        roles += ["bias"]
    return roles


def _entry_points(reader: BitReader, count: int, dq_flag: bool, limits: Limits) -> tuple[EntryPoint, ...]:
    """Read entry points (3.2.4): distances are sent as second differences, which run on from G to H."""
    if count > limits.entry_points:
        raise reader.limit(f"{count} entry points", "cabac_offset_value", reader.position)
    points = []
    difference = 0
    for j in range(count):
        offset = reader.u(8, f"cabac_offset_value[{j}]")
        state = reader.u(3, f"dq_state[{j}]") if dq_flag else 0
        if j == 0:
            difference = reader.ue(11, "bit_offset_delta1")
        else:
            difference += reader.ie(7, f"bit_offset_delta2[{j}]")
        points.append(EntryPoint(offset, state, difference))
    return tuple(points)
