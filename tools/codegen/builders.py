# SPDX-License-Identifier: Apache-2.0
"""C++ builders of the syntax tables: the inverse of the parsers."""

from __future__ import annotations

from nnr_codec.syntax.descriptors import bs, byte_alignment, flt, i, ie, st, u, ue, unsupported
from nnr_codec.syntax.element import Element
from nnr_codec.syntax.grammar import Check, Repeat
from tools.codegen.cxx_expression import cxx_expression
from tools.codegen.layout import element_type
from tools.codegen.table_writer import TableWriter


class BuilderWriter(TableWriter):
    """Writer of the builders of all tables that can be reached from one."""

    verb = "build"
    parameters = "Builder& b, const {}& t"
    coder = "b"

    def _require_present(self, key: str, optional: bool) -> None:
        if optional:
            self._emit(f'if (!t.has_{key}) return b.refuse_missing("{key}");')

    def _check(self, member: Check) -> None:
        """Emit nothing: as in the grammar, a demand on several elements is the parser's."""

    def _repeat(self, member: Repeat) -> None:
        self._block("{")
        self._emit(f"const std::int64_t count = {cxx_expression(member.count)};")
        self._emit("const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);")
        self._emit(f'if (t.{member.key}.size() != size) return b.refuse_missing("{member.key}");')
        self._block("for (std::uint64_t index = 0; index < size; ++index) {")
        self._entry(member)
        self._end()
        self._end()

    def _element(self, element: Element, place: str) -> None:
        name = f"ElementId::{self._element_id(element)}"
        self._emit(f"b.begin({name});")
        if element.name in self.scope_names:
            self._emit(f"s.{element.name} = {place};")
        self._value_checks(element, place)
        self._emit(f"if (!b.{_write_call(element, place)}) return false;")


def _write_call(element: Element, place: str) -> str:
    wide = "wide_" if element_type(element).startswith("BigEndian") else ""
    match element:
        case u() | i():
            size = "" if wide else f"{cxx_expression(element.n_bits)}, "
            return f"write_{wide}{type(element).__name__}({size}{place})"
        case ue() | ie():
            return f"write_{wide}{type(element).__name__}({cxx_expression(element.order)}, {place})"
        case st() | bs() | flt():
            return f"write_{type(element).__name__}({place})"
        case byte_alignment():
            return f"write_byte_alignment({place})"
        case unsupported():
            return "write_unsupported()"
    raise NotImplementedError(type(element).__name__)
