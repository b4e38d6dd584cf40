# SPDX-License-Identifier: Apache-2.0
"""Parser and builder that are generated from the syntax tables in C++: as strict as the tables, without paths and traces.

``python -m tools.codegen`` generates them. The tests compare them with the tables over every vector, over damaged units and over
random ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nnr_codec import _native
from nnr_codec.errors import (
    BitstreamError,
    LimitExceeded,
    MalformedBitstream,
    TruncatedBitstream,
    UnsupportedBitstream,
)
from nnr_codec.model import Limits
from nnr_codec.syntax.grammar import Tree
from nnr_codec.syntax.state import SyntaxState

_CLASSES = {
    "truncated": TruncatedBitstream,
    "malformed": MalformedBitstream,
    "unsupported": UnsupportedBitstream,
    "limit": LimitExceeded,
}
_DEFAULT_LIMITS = Limits()


class Fault(NamedTuple):
    """Fault of a unit, without its path."""

    kind: type[BitstreamError]
    bit_offset: int | None
    element: str | None


def parse(buffer: Any, byte_offset: int, size_bytes: int, state: SyntaxState, limits: Limits) -> Tree | Fault:
    """Parse a unit.

    Parameters
    ----------
    buffer : bytes-like
        The whole stream.
    byte_offset, size_bytes : int
        Position of the unit.
    state : SyntaxState
        State before the unit.
    limits : Limits

    Returns
    -------
    dict or Fault
        A ``bs(v)`` element of the dict is a view of ``buffer``.
    """
    view = memoryview(buffer).cast("B")
    outcome = _unit_syntax(state, limits).parse(view, byte_offset, byte_offset + size_bytes)
    if isinstance(outcome, dict):
        return outcome
    word, bit_offset, element = outcome
    return Fault(_CLASSES[word], bit_offset, element)


def build(tree: Tree, state: SyntaxState) -> bytes | None:
    """Build a unit, with the shortest size field unless the tree has one.

    Returns
    -------
    bytes or None
        None for a tree that the tables refuse.
    """
    sized = "nnr_unit_size" in tree
    if not sized:
        tree = {**tree, "nnr_unit_size_flag": 1, "nnr_unit_size": 0}
    return _unit_syntax(state, _DEFAULT_LIMITS).build(tree, sized)


class _Latest(NamedTuple):
    state: SyntaxState
    limits: Limits
    syntax: _native.UnitSyntax


def _unit_syntax(state: SyntaxState, limits: Limits) -> _native.UnitSyntax:
    """Return the native counterpart of a state; a reference list is converted once, not for each unit after it."""
    global _latest
    # Another thread may assign between any two lines, so the global is read once and written once.
    latest = _latest
    if not (
        latest.limits is limits
        and latest.state.reference_list is state.reference_list
        and latest.state.mps is state.mps
        and latest.state.general_profile_idc == state.general_profile_idc
    ):
        _latest = latest = _Latest(state, limits, _native_syntax(state, limits))
    return latest.syntax


def _native_syntax(state: SyntaxState, limits: Limits) -> _native.UnitSyntax:
    variables = state.variables()
    return _native.UnitSyntax(
        variables["general_profile_idc"],
        bool(variables["mps_topology_indexed_reference_flag"]),
        bool(variables["mps_parent_signalling_enabled_flag"]),
        state.reference_list,
        limits,
    )


_latest = _Latest(SyntaxState(), _DEFAULT_LIMITS, _native_syntax(SyntaxState(), _DEFAULT_LIMITS))
