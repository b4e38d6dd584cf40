# SPDX-License-Identifier: Apache-2.0
"""Grammar of the bitstream: parsing and building of units, with an optional trace of every syntax element."""

from nnr_codec.syntax.parts import JoinedUnitSpan, PartPlaces, iter_units, join_parts, split_unit
from nnr_codec.syntax.state import SyntaxState
from nnr_codec.syntax.stream import UnitSpan, iter_unit_spans
from nnr_codec.syntax.topology_unit import inflate
from nnr_codec.syntax.trace import Trace, TraceEvent
from nnr_codec.syntax.unit import NNR_UNIT
from nnr_codec.syntax.walk import build_tree, build_unit, locate, parse_tree, parse_unit

__all__ = [
    "NNR_UNIT",
    "JoinedUnitSpan",
    "PartPlaces",
    "SyntaxState",
    "Trace",
    "TraceEvent",
    "UnitSpan",
    "build_tree",
    "build_unit",
    "inflate",
    "iter_unit_spans",
    "iter_units",
    "join_parts",
    "locate",
    "parse_tree",
    "parse_unit",
    "split_unit",
]
