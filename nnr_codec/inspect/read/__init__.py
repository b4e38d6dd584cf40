# SPDX-License-Identifier: Apache-2.0
"""Streams to units, elements, faults, levels and bit counts, damaged streams included; and their validation."""

from nnr_codec.inspect.read.accounts import PayloadAccount, TensorAccount
from nnr_codec.inspect.read.fault import Fault
from nnr_codec.inspect.read.ledger import Ledger
from nnr_codec.inspect.read.summary import Summary, TensorLine, summarize
from nnr_codec.inspect.read.survey import AUTO_DECODE_BYTES, Piece, Survey
from nnr_codec.inspect.read.unit import Gap, StrayBytes, UnitReport
from nnr_codec.inspect.read.validate import Finding, Severity, validate

__all__ = [
    "AUTO_DECODE_BYTES",
    "Fault",
    "Finding",
    "Gap",
    "Ledger",
    "PayloadAccount",
    "Piece",
    "Severity",
    "StrayBytes",
    "Summary",
    "Survey",
    "TensorAccount",
    "TensorLine",
    "UnitReport",
    "summarize",
    "validate",
]
