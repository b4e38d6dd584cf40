# SPDX-License-Identifier: Apache-2.0
"""C++ visitors of the structs: a walk over the fields that are in a unit, in stream order, with their keys in a tree."""

from __future__ import annotations

from nnr_codec.syntax.descriptors import bs, byte_alignment, st, u, unsupported
from nnr_codec.syntax.element import Element
from nnr_codec.syntax.grammar import Check, Repeat, Syntax
from tools.codegen.cxx_expression import cxx_expression
from tools.codegen.layout import MACHINE_BITS, snake_case, struct_name
from tools.codegen.table_writer import TableWriter


class FieldWriter(TableWriter):
    """Writer of the visitors of all tables that can be reached from one.

    Attributes
    ----------
    keys : list of str
        Keys of the fields, in stream order.
    limits : set of str
        Fields of `Limits` that bound elements.
    """

    verb = "visit"
    template = "template <class Visitor>"
    parameters = "Visitor& v, {}& t"
    coder = "v"

    def __init__(self, table: Syntax) -> None:
        self.keys: list[str] = []
        self.limits = {"max_name_bytes"}  # of every st(v)
        super().__init__(table)

    def _mark_present(self, key: str, optional: bool) -> None:
        if optional:
            self._emit(f"t.has_{key} = true;")

    def _check(self, member: Check) -> None:
        """Emit nothing: a visitor converts values and judges none."""

    def _nested(self, key: str, function: str) -> None:
        body = f"[&] {{ return {function}(v, t.{key}); }}"
        self._emit(f"if (!v.table({self._field_id(key)}, {body})) return false;")

    def _repeat(self, member: Repeat) -> None:
        key, entry = member.key or "", member.subcon
        arguments = f"{self._field_id(key)}, {cxx_expression(member.count)}, t.{key}"
        if isinstance(entry, Element):
            self._emit(f"if (!v.{'texts' if isinstance(entry, st) else 'values'}({arguments})) return false;")
            return
        struct = self._struct + struct_name(member.name or "")
        function = self._function(entry, struct, f"{self.verb}_{snake_case(struct)}")
        self._block(f"if (!v.tables({arguments}, [&](std::size_t index) {{")
        if member.index is not None:
            self._emit(f"s.{member.index} = static_cast<std::int64_t>(index);")
        self._emit(f"return {function}(v, t.{key}[index]);")
        self._end("})) return false;")

    def _element(self, element: Element, place: str) -> None:
        if isinstance(element, unsupported):
            self._emit("if (!v.unsupported()) return false;")
            return
        if element.limit is not None:
            self.limits.add(element.limit)
        call, arguments = "value", [self._field_id(element.key or ""), place]
        if isinstance(element, st | bs | byte_alignment):
            call = {st: "text", bs: "bytes", byte_alignment: "alignment"}[type(element)]
        elif element.fixed:
            call, arguments = "fixed", [*arguments, str(element.values)]
        elif isinstance(element, u) and isinstance(element.n_bits, int) and element.n_bits <= MACHINE_BITS:
            arguments.append(str(element.n_bits))
        self._emit(f"if (!v.{call}({', '.join(arguments)})) return false;")
        if element.name in self.scope_names:
            self._emit(f"s.{element.name} = {place};")

    def _field_id(self, key: str) -> str:
        if key not in self.keys:
            self.keys.append(key)
        return f"FieldId::{key}"
