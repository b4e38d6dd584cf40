# SPDX-License-Identifier: Apache-2.0
"""Syntax of the NNR unit: the root table, which refers to all others."""

from __future__ import annotations

from nnr_codec.model import NnrUnitType
from nnr_codec.syntax.aggregate_unit import NNR_AGGREGATE_UNIT_HEADER, NNR_AGGREGATE_UNIT_PAYLOAD
from nnr_codec.syntax.compressed_data_unit import (
    NNR_COMPRESSED_DATA_UNIT_HEADER,
    NNR_COMPRESSED_DATA_UNIT_PAYLOAD,
)
from nnr_codec.syntax.descriptors import bs, u
from nnr_codec.syntax.grammar import Choice, IfPresent, Syntax
from nnr_codec.syntax.layer_parameter_set import (
    NNR_LAYER_PARAMETER_SET_UNIT_HEADER,
    NNR_LAYER_PARAMETER_SET_UNIT_PAYLOAD,
)
from nnr_codec.syntax.model_parameter_set import (
    NNR_MODEL_PARAMETER_SET_UNIT_HEADER,
    NNR_MODEL_PARAMETER_SET_UNIT_PAYLOAD,
)
from nnr_codec.syntax.quantization_unit import NNR_QUANTIZATION_UNIT_HEADER, NNR_QUANTIZATION_UNIT_PAYLOAD
from nnr_codec.syntax.start_unit import NNR_START_UNIT_HEADER, NNR_START_UNIT_PAYLOAD
from nnr_codec.syntax.topology_unit import NNR_TOPOLOGY_UNIT_HEADER, NNR_TOPOLOGY_UNIT_PAYLOAD

UNIT_HEADERS = {
    NnrUnitType.NNR_STR: NNR_START_UNIT_HEADER,
    NnrUnitType.NNR_MPS: NNR_MODEL_PARAMETER_SET_UNIT_HEADER,
    NnrUnitType.NNR_LPS: NNR_LAYER_PARAMETER_SET_UNIT_HEADER,
    NnrUnitType.NNR_TPL: NNR_TOPOLOGY_UNIT_HEADER,
    NnrUnitType.NNR_QNT: NNR_QUANTIZATION_UNIT_HEADER,
    NnrUnitType.NNR_NDU: NNR_COMPRESSED_DATA_UNIT_HEADER,
    NnrUnitType.NNR_AGG: NNR_AGGREGATE_UNIT_HEADER,
}
UNIT_PAYLOADS = {
    NnrUnitType.NNR_STR: NNR_START_UNIT_PAYLOAD,
    NnrUnitType.NNR_MPS: NNR_MODEL_PARAMETER_SET_UNIT_PAYLOAD,
    NnrUnitType.NNR_LPS: NNR_LAYER_PARAMETER_SET_UNIT_PAYLOAD,
    NnrUnitType.NNR_TPL: NNR_TOPOLOGY_UNIT_PAYLOAD,
    NnrUnitType.NNR_QNT: NNR_QUANTIZATION_UNIT_PAYLOAD,
    NnrUnitType.NNR_NDU: NNR_COMPRESSED_DATA_UNIT_PAYLOAD,
    NnrUnitType.NNR_AGG: NNR_AGGREGATE_UNIT_PAYLOAD,
}

# Reserved and unspecified types have no known header, so the whole unit is body.
_NO_HEADER = Syntax("", clause="format 2")
_UNKNOWN_BODY = Syntax("", "nnr_unit_payload" / bs(), clause="format 2")

NNR_UNIT = Syntax(
    "nnr_unit",
    "nnr_unit_size_flag" / u(1),
    "nnr_unit_size" / u("15 + 16 * nnr_unit_size_flag"),
    "nnr_unit_type" / u(6, symbols=NnrUnitType),
    "independently_decodable_flag" / u(1),
    "partial_data_counter_present_flag" / u(1),
    IfPresent("partial_data_counter_present_flag == 1", "partial_data_counter" / u(8)),
    Choice("nnr_unit_type", UNIT_HEADERS, default=_NO_HEADER),
    IfPresent(
        "partial_data_counter_present_flag == 1",
        "nnr_partial_unit_payload" / bs(),
    ).or_else(
        Choice("nnr_unit_type", UNIT_PAYLOADS, default=_UNKNOWN_BODY),
    ),
    clause="format 2",
)
