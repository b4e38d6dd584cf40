# SPDX-License-Identifier: Apache-2.0
"""From records of units back to bytes. The dump itself checks that each record builds its unit."""

from __future__ import annotations

from typing import Any

from nnr_codec.errors import NotEncodable
from nnr_codec.inspect.examine import examine, state_after
from nnr_codec.inspect.resync import framing_at
from nnr_codec.model import Limits
from nnr_codec.syntax import SyntaxState, UnitSpan, build_tree

_LARGEST_SHORT = (1 << 15) - 1


class UnitBuilder:
    """Builds units one after the other, knowing what the ones before said."""

    def __init__(self) -> None:
        self.state = SyntaxState()

    def would_build(self, tree: dict[str, Any], octets: memoryview) -> bool:
        """Tell whether a tree builds these bytes, here."""
        try:
            return build_tree(tree, self.state) == octets
        except NotEncodable:
            return False

    def build(self, tree: dict[str, Any], trailing: bytes = b"") -> bytes:
        """Build a unit from its tree; where that has no size, with the right one."""
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
        """Take note of what a unit says."""
        view = memoryview(octets)
        framing = framing_at(view, 0)
        if framing is None:
            return
        span = UnitSpan(0, 0, len(view), framing.nnr_unit_type, framing.header_offset)
        self.state = state_after(examine(view, span, self.state, Limits()))
