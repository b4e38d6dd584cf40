# SPDX-License-Identifier: Apache-2.0
"""NNR units as they are meant: what a decoder acts on and an encoder asks for.

Counts and flags that only steer the syntax are gone; what they announced is there or is None.
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
_WEIGHT_ALONE = CompressedParameterTypes(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What all units share.

    Attributes
    ----------
    independently_decodable_flag : bool
        Whether the unit can be decoded without the units before it, parameter sets excepted.

    Clause: format 2
    """

    independently_decodable_flag: bool = True


@dataclass(frozen=True, slots=True)
class StartUnit(Unit):
    """The first unit of a stream.

    Attributes
    ----------
    general_profile_idc : int
        0 for edition 1, 1 for edition 2.

    Clause: format 2
    """

    general_profile_idc: int = 1


@dataclass(frozen=True, slots=True)
class Quantization:
    """The part of the quantisation that data units share.

    Attributes
    ----------
    qp_density : int
        0..7; steps double every ``2 ** qp_density`` values of QP.
    quantization_parameter : int
        -4096..4095, added to each tensor's own ``qp_value``.

    Clause: format 4
    """

    qp_density: int
    quantization_parameter: int


@dataclass(frozen=True, slots=True)
class ModelParameterSet(Unit):
    """What holds for the whole stream.

    The fields from ``base_model_id`` to ``nnr_pre_flag`` exist in profile 1 only.
    ``quantization`` is there exactly when ``quantization_methods`` names one of NNR_QSU and NNR_QCB.

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
    """Replaces the model parameter set's quantisation for the data units that follow.

    Clause: format 2
    """

    self_contained_flag: bool = False
    quantization_methods: QuantizationMethods = _NO_METHOD
    quantization: Quantization | None = None
    performance_maps: PerformanceMaps = _NO_MAPS


@dataclass(frozen=True, slots=True)
class TopologyUnit(Unit):
    """The network's graph, or the list of its elements, or nothing.

    Attributes
    ----------
    topology_data : bytes
        Inflated, and without the zero byte that ends it on the wire; for a pruning container its bytes as
        they are.
    topology_elem_ids : tuple of str
        The names of a reference list (NNR_TPL_REFLIST), which indices refer to; else empty.

    Clause: format 2
    """

    storage_format: TopologyStorageFormat = TopologyStorageFormat.NNR_TPL_UNREC
    compression_format: TopologyCompressionFormat = TopologyCompressionFormat.NNR_PT_RAW
    topology_data: bytes = b""
    topology_elem_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QuantizationUnit(Unit):
    """A description of the quantisation in a format that this standard does not define.

    Clause: format 2
    """

    storage_format: int = 0
    compression_format: TopologyCompressionFormat = TopologyCompressionFormat.NNR_PT_RAW
    quantization_data: bytes = b""


@dataclass(frozen=True, slots=True)
class NodeId:
    """Which parameter a unit carries and which update of it.

    Clause: format 3
    """

    device_id: int
    parameter_id: int
    put_node_depth: int


@dataclass(frozen=True, slots=True)
class ParentNode:
    """The unit that a unit updates.

    Attributes
    ----------
    device_id : int or None
        For ICNN_NDU_ID.
    node_id : (int, int) or None
        ``(parameter_id, put_node_depth)``, for ICNN_NDU_ID in a unit without a node id of its own; with
        one, the
        parent has its parameter_id, one put_node_depth less.
    payload_digest : bytes or None
        Digest of the parent's payload: 32 bytes for SHA-256, 64 for SHA-512.

    Clause: format 3
    """

    node_id_type: ParentNodeIdType
    temporal_context_modeling_flag: bool = False
    device_id: int | None = None
    node_id: tuple[int, int] | None = None
    payload_digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class Codebook:
    """The values that levels index.

    Attributes
    ----------
    values : tuple of int
        Strictly increasing, int32.
    zero_offset : int
        CbZeroOffset: the entry of level 0; 0..len(values) - 1.
    egk : int or None
        0..15: the order of the codes of the differences; None lets the builder take the shortest.

    Clause: format 3
    """

    values: tuple[int, ...]
    zero_offset: int
    egk: int | None = None


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """Where and with what state a block row can be decoded on its own.

    Attributes
    ----------
    bit_offset : int
        Position in the codeword relative to that at the start of block row 0; positions as in format 5.5.
    cabac_offset_value : int
        0..255, the arithmetic decoder's offset there.
    dq_state : int
        0..7, the dependent-quantisation state there; 0 without dependent quantisation.

    Clause: format 5.5
    """

    bit_offset: int
    cabac_offset_value: int
    dq_state: int = 0


@dataclass(frozen=True, slots=True)
class DataUnitHeader:
    """The header of a compressed data unit.

    Attributes
    ----------
    topology_elem_ids : tuple of str
        Names of the tensors in the standard's order; empty when they are referred to by index.
    topology_elem_id_indices : tuple of int
        Indices into the topology's list; empty when names are given.
    tensor_dimensions : tuple of int or None
        None when the stream does not say.
    scan_order : int
        0 row-major, 1..4 blocks of ``4 << scan_order``.
    entry_points : tuple of EntryPoint
        One for each block row but the first, when ``scan_order`` is above 0.

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
    compressed_parameter_types: CompressedParameterTypes = _WEIGHT_ALONE
    decomposition_rank: int | None = None
    g_number_of_rows: int | None = None
    first_tensor_dimension_shift: int = 0
    scan_order: int = 0
    entry_points: tuple[EntryPoint, ...] = ()


@dataclass(frozen=True, slots=True)
class DataUnit(Unit):
    """A compressed data unit: its header and its codeword, or its raw values.

    Clause: format 3
    """

    header: DataUnitHeader = field(default_factory=DataUnitHeader)
    payload: ByteString = b""


@dataclass(frozen=True, slots=True)
class AggregateUnit(Unit):
    """An aggregate of units, as it stands on the wire behind the unit header.

    Clause: format 2
    """

    body: ByteString = b""


@dataclass(frozen=True, slots=True)
class UnknownUnit(Unit):
    """A unit of a reserved (7..31) or unspecified (32..63) type, as it stands on the wire behind the unit
    header.

    Clause: format 2
    """

    nnr_unit_type: int = 32
    body: ByteString = b""


@dataclass(frozen=True, slots=True)
class PartialUnit(Unit):
    """One part of a unit that was cut into several.

    Attributes
    ----------
    partial_data_counter : int
        How many parts are still to come; 0 in the last one.
    body : bytes or memoryview
        The part's own piece of the payload.

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
