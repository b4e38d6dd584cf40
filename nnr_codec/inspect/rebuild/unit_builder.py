# SPDX-License-Identifier: Apache-2.0
"""Units from syntax trees to bytes, in stream order."""

from __future__ import annotations

from typing import Any

from nnr_codec.errors import NotEncodable
from nnr_codec.inspect.read.resync import framing_at
from nnr_codec.inspect.read.unit import examine, state_after
from nnr_codec.model import Limits
from nnr_codec.syntax import SyntaxState, UnitSpan, build_tree

_LARGEST_SHORT = (1 << 15) - 1


class UnitBuilder:
    """Builder of successive units; it keeps the syntax state that the units so far define."""

    def __init__(self) -> None:
        self.state = SyntaxState()

    def would_build(self, tree: dict[str, Any], octets: memoryview) -> bool:
        """Return whether a tree builds exactly these bytes in the current state."""
        try:
            return build_tree(tree, self.state) == octets
        except NotEncodable:
            return False

    def build(self, tree: dict[str, Any], trailing: bytes = b"") -> bytes:
        """Return the bytes of a unit; a tree without a size gets the correct one."""
        if "nnr_unit_size" in tree:
            return build_tree(tree, self.state) + trailing
        flag = tree.get("nnr_unit_size_flag", 0)
        sized = {**tree, "nnr_unit_size_flag": flag, "nnr_unit_size": 0}
        size = len(build_tree(sized, self.state)) + len(trailing)
        if size > _LARGEST_SHORT and not flag:
            sized["nnr_unit_size_flag"] = 1
            size += 2
        sized["nnr_unit_size"] = size
        return build_tree(sized, self.state) + trailing

    def advance(self, octets: bytes | memoryview) -> None:
        """Update the state with a unit's bytes."""
        view = memoryview(octets)
        framing = framing_at(view, 0)
        if framing is None:
            return
        span = UnitSpan(0, 0, len(view), framing.nnr_unit_type, framing.header_offset)
        self.state = state_after(examine(view, span, self.state, Limits()))
