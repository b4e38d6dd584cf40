# SPDX-License-Identifier: Apache-2.0
"""Dataclasses of the NNR units, in terms of their meaning.

Flags and counts that only control the syntax have no field here: an optional value that is absent from the stream is
None, and a list has its length.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from nnr_codec.model.enumerations import (
    CompressedParameterTypes,
    DecompressedDataFormat,
    NnrUnitType,
    ParentNodeIdType,
    PayloadType,
    QuantizationMethods,
    TopologyCompressionFormat,
    TopologyStorageFormat,
)
from nnr_codec.model.performance import PerformanceMaps

ByteString: TypeAlias = bytes | memoryview

DEFAULT_CABAC_UNARY_LENGTH = 10

_NO_METHOD = QuantizationMethods(0)
_NO_MAPS = PerformanceMaps()
_WEIGHT_ONLY = CompressedParameterTypes(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Base class of all units.

    Attributes
    ----------
    independently_decodable_flag : bool
        True if the unit can be decoded without any earlier unit except parameter sets.

    Clause: format 2
    """

    independently_decodable_flag: bool = True


@dataclass(frozen=True, slots=True)
class StartUnit(Unit):
    """Start unit: the first unit of a stream.

    Attributes
    ----------
    general_profile_idc : int
        0 for edition 1, 1 for edition 2.

    Clause: format 2
    """

    general_profile_idc: int = 1


@dataclass(frozen=True, slots=True)
class Quantization:
    """Quantisation parameters shared by several data units.

    Attributes
    ----------
    qp_density : int
        0..7. The step size doubles when QP grows by ``2 ** qp_density``.
    quantization_parameter : int
        -4096..4095. QP of a tensor is this value plus the tensor's ``qp_value``.

    Clause: format 4
    """

    qp_density: int
    quantization_parameter: int


@dataclass(frozen=True, slots=True)
class ModelParameterSet(Unit):
    """Model parameter set: parameters of the whole stream.

    The fields from ``base_model_id`` to ``nnr_pre_flag`` exist in profile 1 only. ``quantization`` is not None exactly if
    ``quantization_methods`` contains NNR_QSU or NNR_QCB.

    Clause: format 2
    """

    topology_carriage_flag: bool = False
    quantization_methods: QuantizationMethods = _NO_METHOD
    quantization: Quantization | None = None
    topology_indexed_reference_flag: bool = False
    base_model_id: str | None = None
    metric_type_performance_map_valid_flag: bool = False
    performance_metric_type: str | None = None
    validation_set_performance: float | None = None
    parent_signalling_enabled_flag: bool = False
    nnr_pre_flag: bool = False
    performance_maps: PerformanceMaps = _NO_MAPS


@dataclass(frozen=True, slots=True)
class LayerParameterSet(Unit):
    """Layer parameter set: replaces the quantisation of the model parameter set for the following data units.

    Clause: format 2
    """

    self_contained_flag: bool = False
    quantization_methods: QuantizationMethods = _NO_METHOD
    quantization: Quantization | None = None
    performance_maps: PerformanceMaps = _NO_MAPS


@dataclass(frozen=True, slots=True)
class TopologyUnit(Unit):
    """Topology unit: a network graph, a list of topology element names, or neither.

    Attributes
    ----------
    topology_data : bytes
        Inflated bytes without the terminating zero byte. The bytes of a pruning container are unchanged.
    topology_elem_ids : tuple of str
        Names of a reference list (NNR_TPL_REFLIST), which later units index; empty for other storage formats.

    Clause: format 2
    """

    storage_format: TopologyStorageFormat = TopologyStorageFormat.NNR_TPL_UNREC
    compression_format: TopologyCompressionFormat = TopologyCompressionFormat.NNR_PT_RAW
    topology_data: bytes = b""
    topology_elem_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QuantizationUnit(Unit):
    """Quantisation unit: a description of the quantisation in a format that the standard does not define.

    Clause: format 2
    """

    storage_format: int = 0
    compression_format: TopologyCompressionFormat = TopologyCompressionFormat.NNR_PT_RAW
    quantization_data: bytes = b""


@dataclass(frozen=True, slots=True)
class NodeId:
    """Identity of an incremental update: device, parameter and position in the chain of updates.

    Clause: format 3
    """

    device_id: int
    parameter_id: int
    put_node_depth: int


@dataclass(frozen=True, slots=True)
class ParentNode:
    """Reference to the parent: the unit that an update changes.

    Attributes
    ----------
    device_id : int or None
        Device of the parent, for ICNN_NDU_ID.
    node_id : (int, int) or None
        ``(parameter_id, put_node_depth)`` of the parent, for ICNN_NDU_ID in a unit without `NodeId`. A unit with a `NodeId`
        has the same parameter_id as its parent and a put_node_depth one greater.
    payload_digest : bytes or None
        Digest of the parent's payload: 32 bytes for SHA-256, 64 bytes for SHA-512.

    Clause: format 3
    """

    node_id_type: ParentNodeIdType
    temporal_context_modeling_flag: bool = False
    device_id: int | None = None
    node_id: tuple[int, int] | None = None
    payload_digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class Codebook:
    """Codebook: levels index its values.

    Attributes
    ----------
    values : tuple of int
        Strictly increasing int32 values.
    zero_offset : int
        CbZeroOffset: index of the value for level 0; 0..len(values) - 1.
    egk : int or None
        Exp-Golomb order of the coded differences, 0..15. None selects the order with the fewest bits.

    Clause: format 3
    """

    values: tuple[int, ...]
    zero_offset: int
    egk: int | None = None


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """Entry point: position and decoder state at the start of a block row.

    Attributes
    ----------
    bit_offset : int
        Position in the codeword, in bits relative to the start of block row 0, as defined in format 5.5.
    cabac_offset_value : int
        Offset of the arithmetic decoder, 0..255.
    dq_state : int
        State of dependent quantisation, 0..7; 0 without dependent quantisation.

    Clause: format 5.5
    """

    bit_offset: int
    cabac_offset_value: int
    dq_state: int = 0


@dataclass(frozen=True, slots=True)
class DataUnitHeader:
    """Header of a compressed data unit.

    Attributes
    ----------
    topology_elem_ids : tuple of str
        Names of the tensors in stream order; empty if the unit refers to its tensors by index.
    topology_elem_id_indices : tuple of int
        Indices into the reference list of the topology unit; empty if the unit has names.
    tensor_dimensions : tuple of int or None
        Shape of the weight; None if the unit does not send it.
    scan_order : int
        0 for row-major order, 1..4 for blocks of ``4 << scan_order`` by ``4 << scan_order``.
    entry_points : tuple of EntryPoint
        One per block row except the first, if ``scan_order`` is above 0.

    Clause: format 3
    """

    topology_elem_ids: tuple[str, ...] = ()
    topology_elem_id_indices: tuple[int, ...] = ()
    payload_type: PayloadType = PayloadType.NNR_PT_FLOAT
    node_id: NodeId | None = None
    parent: ParentNode | None = None
    codebook: Codebook | None = None
    second_codebook: Codebook | None = None
    dq_flag: bool = False
    decompressed_data_format: DecompressedDataFormat | None = None
    tensor_dimensions: tuple[int, ...] | None = None
    cabac_unary_length: int = DEFAULT_CABAC_UNARY_LENGTH
    compressed_parameter_types: CompressedParameterTypes = _WEIGHT_ONLY
    decomposition_rank: int | None = None
    g_number_of_rows: int | None = None
    first_tensor_dimension_shift: int = 0
    scan_order: int = 0
    entry_points: tuple[EntryPoint, ...] = ()


@dataclass(frozen=True, slots=True)
class DataUnit(Unit):
    """Compressed data unit: a header and a payload, which is a codeword or raw values.

    Clause: format 3
    """

    header: DataUnitHeader = field(default_factory=DataUnitHeader)
    payload: ByteString = b""


@dataclass(frozen=True, slots=True)
class AggregateUnit(Unit):
    """Aggregate unit: a unit that holds units, as unparsed bytes after the unit header.

    Clause: format 2
    """

    body: ByteString = b""


@dataclass(frozen=True, slots=True)
class UnknownUnit(Unit):
    """Unit of a reserved (7..31) or unspecified (32..63) type, as unparsed bytes after the unit header.

    Clause: format 2
    """

    nnr_unit_type: int = 32
    body: ByteString = b""


@dataclass(frozen=True, slots=True)
class PartialUnit(Unit):
    """One part of a unit that is split into several parts.

    Attributes
    ----------
    partial_data_counter : int
        Number of parts that follow; 0 in the last part.
    body : bytes or memoryview
        Piece of the payload that this part holds.

    Clause: format 2
    """

    nnr_unit_type: NnrUnitType | int = NnrUnitType.NNR_NDU
    partial_data_counter: int = 0
    body: ByteString = b""


AnyUnit: TypeAlias = (
    StartUnit
    | ModelParameterSet
    | LayerParameterSet
    | TopologyUnit
    | QuantizationUnit
    | DataUnit
    | AggregateUnit
    | UnknownUnit
    | PartialUnit
)
