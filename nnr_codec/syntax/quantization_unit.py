# SPDX-License-Identifier: Apache-2.0
"""Syntax of the quantisation unit."""

from __future__ import annotations

import zlib
from typing import Any

from nnr_codec.model import Limits, QuantizationUnit, TopologyCompressionFormat
from nnr_codec.syntax.descriptors import bs, st, u
from nnr_codec.syntax.grammar import IfPresent, Syntax, Tree
from nnr_codec.syntax.topology_unit import inflate

NNR_QUANTIZATION_UNIT_HEADER = Syntax(
    "nnr_quantization_unit_header",
    "quantization_storage_format" / u(8),
    "quantization_compression_format" / u(8, TopologyCompressionFormat),
    clause="format 2",
)
# A deflate stream contains zero bytes, which st(v) cannot.
NNR_QUANTIZATION_UNIT_PAYLOAD = Syntax(
    "nnr_quantization_unit_payload",
    IfPresent("quantization_compression_format == 0", "quantization_data" / st()).or_else(
        "quantization_data" / bs()
    ),
    clause="format 2",
)


def quantization_unit(tree: Tree, limits: Limits, **every_unit: Any) -> QuantizationUnit:
    """Return the unit of a parsed tree."""
    compression = TopologyCompressionFormat(tree["quantization_compression_format"])
    content = tree["quantization_data"]
    if compression is TopologyCompressionFormat.NNR_DFL:
        content = inflate(content, limits, "quantization_data")
    else:
        content = content.encode()
    return QuantizationUnit(tree["quantization_storage_format"], compression, content, **every_unit)


def quantization_unit_tree(unit: QuantizationUnit) -> Tree:
    """Return the syntax elements of a unit."""
    deflated = unit.compression_format == TopologyCompressionFormat.NNR_DFL
    content = unit.quantization_data
    return {
        "quantization_storage_format": unit.storage_format,
        "quantization_compression_format": int(unit.compression_format),
        "quantization_data": zlib.compress(content, 9)
        if deflated
        else content.decode("utf-8", "surrogateescape"),
    }
