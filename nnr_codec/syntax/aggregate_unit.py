# SPDX-License-Identifier: Apache-2.0
"""Syntax of the aggregate unit. Its header syntax is not implemented, so the unit is one opaque body."""

from __future__ import annotations

from nnr_codec.syntax.descriptors import bs
from nnr_codec.syntax.grammar import Syntax

NNR_AGGREGATE_UNIT_HEADER = Syntax("nnr_aggregate_unit_header", clause="format 2")
NNR_AGGREGATE_UNIT_PAYLOAD = Syntax(
    "nnr_aggregate_unit_payload", "nnr_aggregate_unit_body" / bs(), clause="format 2"
)
