# SPDX-License-Identifier: Apache-2.0
"""The walk over the syntax tables that C++ parsers and builders share."""

from __future__ import annotations

import ast
from typing import Any

from nnr_codec.errors import UnsupportedBitstream
from nnr_codec.syntax.descriptors import unsupported
from nnr_codec.syntax.element import Element
from nnr_codec.syntax.expressions import EXPRESSION_NAMES, Expression
from nnr_codec.syntax.grammar import Check, Choice, Derived, Group, IfPresent, Repeat, Syntax
from tools.codegen.cxx_expression import cxx_condition, cxx_expression
from tools.codegen.layout import bare_title, function_name, snake_case, struct_name, unique

#: Python callables of the tables, by name, and the earlier elements that their C++ counterparts read from the scope.
#: The counterparts are in native/syntax/callables.hpp.
CALLABLES = {
    "number_of_entry_points": (
        "scan_order",
        "compressed_parameter_types",
        "nnr_compressed_data_unit_payload_type",
    ),
    "low_rank_factor": ("nnr_compressed_data_unit_payload_type",),
}


class TableWriter:
    """Writer of one C++ function for each titled table that can be reached from one.

    Attributes
    ----------
    elements : dict of (name, clause) to str
        Enumerators of the elements, in stream order.
    scope_names : list of str
        Values that conditions, counts, formulas and callables read.
    functions : dict of str to list of str
        Lines of each function, in the order of definition.
    """

    #: What a direction defines: the verb in the names of functions, their parameters, and the first one's name.
    verb: str
    template = ""
    parameters: str
    coder: str

    def __init__(self, table: Syntax) -> None:
        self.elements: dict[tuple[str, str], str] = {}
        self.scope_names = sorted(scope_names(table))
        self.functions: dict[str, list[str]] = {}
        self._lines: list[str] = []
        self._depth = 0
        self._struct = ""
        self._function(table, struct_name(table.title))

    def _function(self, table: Syntax, struct: str, name: str | None = None) -> str:
        name = name or f"{self.verb}_{function_name(table)}"
        if name in self.functions:
            return name
        kept = self._lines, self._depth, self._struct
        self._lines, self._depth, self._struct = [], 0, struct
        if self.template:
            self._emit(self.template)
        self._emit(f"bool {name}({self.parameters.format(struct)}) {{")
        self._depth += 1
        if table.members:
            self._emit(f"[[maybe_unused]] Scope& s = {self.coder}.scope;")
            self._table(table, optional=False)
        else:
            self._emit(f"static_cast<void>({self.coder});", "static_cast<void>(t);")
        self._emit("return true;")
        self._depth -= 1
        self._emit("}")
        self.functions[name] = self._lines
        self._lines, self._depth, self._struct = kept
        return name

    def _emit(self, *lines: str) -> None:
        self._lines += ["  " * self._depth + line for line in lines]

    def _block(self, opening: str) -> None:
        self._emit(opening)
        self._depth += 1

    def _end(self, closing: str = "}") -> None:
        self._depth -= 1
        self._emit(closing)

    def _table(self, table: Syntax, *, optional: bool) -> None:
        for name, value in table.inferred.items():
            if name in self.scope_names:
                self._emit(f"s.{name} = {value};")
        for member in table.members:
            self._member(member, optional)

    def _member(self, member: Any, optional: bool) -> None:
        if isinstance(member, Group):
            self._group(member)
        elif isinstance(member, Repeat):
            self._require_present(member.key or "", optional)
            self._repeat(member)
            self._mark_present(member.key or "", optional)
        elif isinstance(member, Syntax):
            if member.key is None:
                self._table(member, optional=optional)
            else:
                function = self._function(member, struct_name(member.title))
                self._require_present(member.key, optional)
                self._nested(member.key, function)
                self._mark_present(member.key, optional)
        else:
            named = not isinstance(member, unsupported)
            self._require_present(member.key, optional and named)
            self._element(member, f"t.{member.key}")
            self._mark_present(member.key, optional and named)

    def _nested(self, key: str, function: str) -> None:
        """Emit the call of the function of a table with a key."""
        self._emit(f"if (!{function}({self.coder}, t.{key})) return false;")

    def _require_present(self, key: str, optional: bool) -> None:
        """Emit the check of ``has_KEY`` before a member."""

    def _mark_present(self, key: str, optional: bool) -> None:
        """Emit the assignment of ``has_KEY`` behind a member."""

    def _group(self, member: Group) -> None:
        if isinstance(member, IfPresent):
            self._block(f"if ({cxx_condition(member.condition)}) {{")
            self._table(member.members, optional=True)
            if member.otherwise is not None:
                self._end("} else {")
                self._depth += 1
                self._table(member.otherwise, optional=True)
            self._end()
        elif isinstance(member, Choice):
            self._choice(member)
        elif isinstance(member, Check):
            self._check(member)
        elif isinstance(member, Derived):
            formula = member.formula
            text = (
                cxx_expression(formula)
                if isinstance(formula, Expression)
                else f"{callable_name(formula)}({self.coder}.reference_list, t)"
            )
            self._emit(f"s.{member.name} = {text};")
        else:
            raise NotImplementedError(type(member).__name__)

    def _choice(self, member: Choice) -> None:
        self._block(f"switch ({cxx_expression(member.selector)}) {{")
        for value, case in [*member.cases.items(), (None, member.default)]:
            label = "default:" if value is None else f"case {int(value)}:"
            if case.title:
                function = self._function(case, struct_name(case.title))
                self._block(label)
                self._emit(f"if (!{function}({self.coder}, t.{bare_title(case.title)})) return false;")
            else:
                self._block(label)
                self._table(case, optional=True)
            self._emit("break;")
            self._depth -= 1
        self._end()

    def _check(self, member: Check) -> None:
        """Emit a demand on several elements."""
        raise NotImplementedError

    def _repeat(self, member: Repeat) -> None:
        """Emit a list."""
        raise NotImplementedError

    def _element(self, element: Element, place: str) -> None:
        """Emit one element, whose value is in `place`."""
        raise NotImplementedError

    def _entry(self, member: Repeat) -> None:
        """Emit one entry of a list; the loop's variable is ``index``."""
        entry = member.subcon
        if member.index is not None:
            self._emit(f"s.{member.index} = static_cast<std::int64_t>(index);")
        if isinstance(entry, Element):
            self._element(entry, f"t.{member.key}[index]")
        else:
            struct = self._struct + struct_name(member.name or "")
            function = self._function(entry, struct, f"{self.verb}_{snake_case(struct)}")
            self._emit(f"if (!{function}({self.coder}, t.{member.key}[index])) return false;")

    def _value_checks(self, element: Element, place: str) -> None:
        """Emit that a value must be one that the format allows."""
        refusal = "NNR_UNSUPPORTED" if element.refusal is UnsupportedBitstream else "NNR_MALFORMED"
        if element.allowed is not None:
            wrong = outside(element.allowed, place)
            text = f"the format allows {element.allowed_text}"
            self._emit(f'if ({wrong}) return {self.coder}.refuse({refusal}, "{text}");')
        if element.rule is not None:
            rule = cxx_condition(element.rule)
            self._emit(
                f'if (!({rule})) return {self.coder}.refuse({refusal}, "{element.rule} does not hold");'
            )

    def _element_id(self, element: Element) -> str:
        key = (element.name or "", element.clause or "")
        if key not in self.elements:
            taken = sum(name == key[0] for name, _ in self.elements)
            self.elements[key] = key[0] if taken == 0 else f"{key[0]}_{taken + 1}"
        return self.elements[key]


def outside(allowed: Any, place: str) -> str:
    """Return a condition that holds for values that are not allowed; all elements with such values are unsigned."""
    values = sorted(allowed)
    if values == list(range(values[-1] + 1)):
        return f"{place} != 0" if len(values) == 1 else f"{place} > {values[-1]}"
    return " && ".join(f"{place} != {value}" for value in values)


def callable_name(function: Any) -> str:
    name: str = function.__name__
    if name not in CALLABLES:
        raise NotImplementedError(f"{name} has no C++ counterpart")
    return name


def scope_names(table: Any) -> set[str]:
    """Collect the names that the expressions and callables below a table read."""
    names: set[str] = set()
    pending, seen = [table], set()
    while pending:
        member = pending.pop()
        if id(member) in seen:
            continue
        seen.add(id(member))
        for attribute in ("condition", "selector", "count", "rule", "n_bits", "order", "formula"):
            value = getattr(member, attribute, None)
            if isinstance(value, Expression):
                names |= _names(value)
        if isinstance(member, Derived):
            names.add(member.name)
            if not isinstance(member.formula, Expression):
                names |= set(CALLABLES[callable_name(member.formula)])
        if isinstance(member, Check):
            names |= set(CALLABLES[callable_name(member.demand)])
        if isinstance(member, Syntax):
            pending += member.members
        elif isinstance(member, Choice):
            pending += unique(member)
        elif isinstance(member, Group):
            pending += member.tables()
        elif isinstance(member, Repeat):
            pending.append(member.subcon)
            if member.index:
                names.add(member.index)
    return names


def _names(expression: Expression) -> set[str]:
    nodes = ast.walk(ast.parse(expression.text, mode="eval"))
    return {node.id for node in nodes if isinstance(node, ast.Name) and node.id not in EXPRESSION_NAMES}
