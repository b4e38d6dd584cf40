# SPDX-License-Identifier: Apache-2.0
"""C++ parsers of the syntax tables: one function for each titled table."""

from __future__ import annotations

from nnr_codec.syntax.descriptors import bs, byte_alignment, flt, i, ie, st, u, ue, unsupported
from nnr_codec.syntax.element import Element
from nnr_codec.syntax.grammar import Check, Repeat
from tools.codegen.cxx_expression import cxx_expression
from tools.codegen.layout import element_type
from tools.codegen.table_writer import TableWriter, callable_name


class ParserWriter(TableWriter):
    """Writer of the parsers of all tables that can be reached from one."""

    verb = "parse"
    parameters = "Parser& p, {}& t"
    coder = "p"

    def _mark_present(self, key: str, optional: bool) -> None:
        if optional:
            self._emit(f"t.has_{key} = true;")

    def _check(self, member: Check) -> None:
        self._emit(f"if (!check_{callable_name(member.demand)}(p, t)) return false;")

    def _repeat(self, member: Repeat) -> None:
        self._block("{")
        # A negative count is none.
        self._emit(f"const std::int64_t count = {cxx_expression(member.count)};")
        self._emit("const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);")
        self._emit(f"if (!p.make_list(size, {member.subcon.min_bits}, t.{member.key})) return false;")
        self._block("for (std::uint64_t index = 0; index < size; ++index) {")
        self._entry(member)
        self._end()
        self._end()

    def _element(self, element: Element, place: str) -> None:
        self._emit(
            f"if (!p.{_read_call(element, f'ElementId::{self._element_id(element)}', place)}) return false;"
        )
        if element.name in self.scope_names:
            self._emit(f"s.{element.name} = {place};")
        if element.limit is not None:
            self._emit(
                f"if ({place} > p.limits.{element.limit})"
                f' return p.refuse(NNR_LIMIT, "the value is above {element.limit}");'
            )
        self._value_checks(element, place)


def _read_call(element: Element, name: str, place: str) -> str:
    wide = "wide_" if element_type(element).startswith("BigEndian") else ""
    match element:
        case u() | i():
            size = "" if wide else f"{cxx_expression(element.n_bits)}, "
            return f"read_{wide}{type(element).__name__}({name}, {size}{place})"
        case ue() | ie():
            return f"read_{wide}{type(element).__name__}({name}, {cxx_expression(element.order)}, {place})"
        case st() | bs() | flt() | byte_alignment():
            return f"read_{type(element).__name__}({name}, {place})"
        case unsupported():
            return f"read_unsupported({name})"
    raise NotImplementedError(type(element).__name__)
