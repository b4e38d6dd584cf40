# SPDX-License-Identifier: Apache-2.0
"""Syntax of the start unit."""

from __future__ import annotations

from typing import Any

from nnr_codec.errors import UnsupportedBitstream
from nnr_codec.model import StartUnit
from nnr_codec.syntax.descriptors import u
from nnr_codec.syntax.grammar import Syntax, Tree

NNR_START_UNIT_HEADER = Syntax(
    "nnr_start_unit_header",
    "general_profile_idc" / u(8, range(2), refusal=UnsupportedBitstream),
    clause="format 2",
)
NNR_START_UNIT_PAYLOAD = Syntax("nnr_start_unit_payload", clause="format 2")


def start_unit(tree: Tree, **every_unit: Any) -> StartUnit:
    """Return the unit of a parsed tree."""
    return StartUnit(tree["general_profile_idc"], **every_unit)


def start_unit_tree(unit: StartUnit) -> Tree:
    """Return the syntax elements of a unit."""
    return {"general_profile_idc": unit.general_profile_idc}
