# SPDX-License-Identifier: Apache-2.0
"""Enumerations of the format. Members have the standard's names, some without their prefix."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class NnrUnitType(IntEnum):
    """``nnr_unit_type``. Types 7..31 are reserved and 32..63 are unspecified; a decoder skips both.

    Clause: format 2
    """

    NNR_STR = 0
    NNR_MPS = 1
    NNR_LPS = 2
    NNR_TPL = 3
    NNR_QNT = 4
    NNR_NDU = 5
    NNR_AGG = 6


def unit_type_name(nnr_unit_type: int) -> str:
    """Return the standard's name of a unit type, or ``type 40`` for one without a name.

    >>> unit_type_name(5), unit_type_name(40)
    ('NNR_NDU', 'type 40')
    """
    known = nnr_unit_type in NnrUnitType._value2member_map_
    return NnrUnitType(nnr_unit_type).name if known else f"type {nnr_unit_type}"


class PayloadType(IntEnum):
    """``nnr_compressed_data_unit_payload_type``.

    Clause: format 3
    """

    NNR_PT_INT = 0
    NNR_PT_FLOAT = 1
    NNR_PT_RAW_FLOAT = 2
    NNR_PT_BLOCK = 3


class CompressedParameterTypes(IntFlag):
    """``compressed_parameter_types``: the parameters that a compressed data unit carries with its weight.

    Clause: format 3
    """

    DC = 1  # low-rank decomposition: the weight is the product G * H
    LS = 2  # local scaling
    BN = 4  # batch norm
    BI = 8  # bias


class DecompressedDataFormat(IntEnum):
    """``nnr_decompressed_data_format``: the number type of the decoded tensor.

    Clause: format 3
    """

    INT32 = 0
    FLOAT32 = 1
    INT2 = 2
    INT3 = 3
    INT4 = 4
    INT8 = 5
    INT16 = 6
    INT64 = 7
    FLOAT16 = 8
    FLOAT64 = 9


class TopologyStorageFormat(IntEnum):
    """``topology_storage_format``.

    Clause: format 2
    """

    NNR_TPL_UNREC = 0
    NNR_TPL_NNEF = 1
    NNR_TPL_ONNX = 2
    NNR_TPL_PYT = 3
    NNR_TPL_TEF = 4
    NNR_TPL_PRUN = 5
    NNR_TPL_REFLIST = 6


class TopologyCompressionFormat(IntEnum):
    """``topology_compression_format`` and ``quantization_compression_format``.

    Clause: format 2
    """

    NNR_PT_RAW = 0
    NNR_DFL = 1


class QuantizationMethods(IntFlag):
    """``mps_quantization_method_flags`` and ``lps_quantization_method_flags``.

    Clause: format 2
    """

    NNR_QSU = 1  # scalar uniform
    NNR_QCB = 2  # codebook


class ParentNodeIdType(IntEnum):
    """``parent_node_id_type``: the kind of reference from an update to its parent unit.

    Clause: format 3
    """

    ICNN_NDU_ID = 0
    ICNN_NDU_PL_SHA256 = 1
    ICNN_NDU_PL_SHA512 = 2
