# SPDX-License-Identifier: Apache-2.0
"""Write native/syntax/generated from the syntax tables, or check that it is current.

python -m tools.codegen [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

from nnr_codec.syntax.expressions import EXPRESSION_NAMES
from nnr_codec.syntax.grammar import Syntax
from nnr_codec.syntax.unit import NNR_UNIT
from tools.codegen.builders import BuilderWriter
from tools.codegen.fields import FieldWriter
from tools.codegen.layout import Layout, struct_name
from tools.codegen.parsers import ParserWriter
from tools.codegen.table_writer import TableWriter

FOLDER = Path(__file__).resolve().parents[2] / "native/syntax/generated"
_NOTICE = """\
// SPDX-License-Identifier: Apache-2.0
// Generated from nnr_codec/syntax by `python -m tools.codegen`. Not to be edited.
"""


def generated_files(unit: Syntax = NNR_UNIT) -> dict[str, str]:
    """Return the text of each generated file by name, for the table of a unit."""
    parsers = ParserWriter(unit)
    return {
        "elements.hpp": _elements_header(parsers),
        "elements.cpp": _elements_source(parsers),
        "units.hpp": _units_header(unit),
        "unit_parsers.cpp": _functions_source(parsers, "../parser.hpp"),
        "unit_builders.cpp": _functions_source(BuilderWriter(unit), "../builder.hpp"),
        "fields.hpp": _fields_header(FieldWriter(unit)),
    }


def _elements_header(parsers: ParserWriter) -> str:
    constants = [f"inline constexpr std::int64_t {name} = {value};"
                 for name, value in EXPRESSION_NAMES.items() if name != "__builtins__"]  # fmt: skip
    lines = [
        _NOTICE + "// Syntax elements, and the values of earlier elements that conditions and counts read.",
        "#pragma once\n",
        "#include <cstdint>\n",
        "namespace nnr::syntax {\n",
        *constants,
        "\nenum class ElementId : std::uint8_t {",
        *(f"  {name}," for name in parsers.elements.values()),
        "  kNone,",
        "};\n",
        "// Static strings.",
        "[[nodiscard]] const char* element_name(ElementId element);",
        "[[nodiscard]] const char* element_clause(ElementId element);\n",
        "// Most recent values, absent elements as inferred.",
        "struct Scope {",
        *(f"  std::int64_t {name} = 0;" for name in parsers.scope_names),
        "};\n",
        "}  // namespace nnr::syntax\n",
    ]
    return "\n".join(lines)


def _elements_source(parsers: ParserWriter) -> str:
    rows = [f'    {{"{name}", "{clause}"}},' for name, clause in parsers.elements]
    lines = [
        _NOTICE + '#include "elements.hpp"\n',
        "namespace nnr::syntax {\n",
        "namespace {\n",
        "struct ElementText {",
        "  const char* name;",
        "  const char* clause;",
        "};\n",
        "constexpr ElementText kElements[] = {",
        *rows,
        '    {"", ""},',
        "};\n",
        "}  // namespace\n",
        "const char* element_name(ElementId element) { return kElements[static_cast<unsigned>(element)].name; }",
        "const char* element_clause(ElementId element) { return kElements[static_cast<unsigned>(element)].clause; }\n",
        "}  // namespace nnr::syntax\n",
    ]
    return "\n".join(lines)


def _units_header(unit: Syntax) -> str:
    lines = [
        _NOTICE
        + "// One struct for each syntax table. `has_NAME` says whether a conditional element is in the stream.",
        "#pragma once\n",
        "#include <cstdint>",
        "#include <span>\n",
        '#include "../values.hpp"\n',
        "namespace nnr::syntax {\n",
        "class Builder;",
        "class Parser;\n",
    ]
    for struct in Layout(unit).structs.values():
        lines.append(f"struct {struct.name} {{")
        for key, member in struct.fields.items():
            if member.optional:
                lines.append(f"  bool has_{key} = false;")
            if member.repeated:
                lines.append(f"  std::span<{member.cxx_type}> {key};")
            elif member.cxx_type.startswith("std::"):
                lines.append(f"  {member.cxx_type} {key} = {member.inferred or 0};")
            else:
                lines.append(f"  {member.cxx_type} {key};")
        lines.append("};\n")
    root = struct_name(NNR_UNIT.title)
    lines += [
        "// Parses a whole unit. On failure the parser's fault says why, and what was parsed before is in the struct.",
        f"[[nodiscard]] bool parse_{NNR_UNIT.title}(Parser& p, {root}& t);\n",
        "// Builds a unit with the size field that the struct holds. On failure the builder's fault says why.",
        f"[[nodiscard]] bool build_{NNR_UNIT.title}(Builder& b, const {root}& t);\n",
        "}  // namespace nnr::syntax\n",
    ]
    return "\n".join(lines)


def _functions_source(writer: TableWriter, header: str) -> str:
    public = f"{writer.verb}_{NNR_UNIT.title}"
    lines = [
        _NOTICE + '#include "units.hpp"\n',
        f'#include "{header}"',
        '#include "../callables.hpp"\n',
        "namespace nnr::syntax {\n",
        "namespace {\n",
    ]
    for name, body in writer.functions.items():
        if name == public:
            lines.append("}  // namespace\n")
        lines += [*body, ""]
    lines.append("}  // namespace nnr::syntax\n")
    return "\n".join(lines)


_VISITOR = """\
// Visits of the fields that are in a unit, in stream order, to convert units from and to other forms. A visitor has a `scope`
// with the values of earlier units, a `reference_list`, and functions that return false to end the visit:
//   value(FieldId, T&) and value(FieldId, std::uint32_t&, unsigned n_bits): one element
//   fixed(FieldId, std::uint32_t&, std::uint32_t value), alignment(FieldId, std::uint32_t&): an element with one legal value
//   text(FieldId, Bytes&), bytes(FieldId, Bytes&): an st(v) and a bs(v)
//   values(FieldId, std::int64_t count, std::span<T>&), texts(...): a list; a negative count is none
//   table(FieldId, visit), tables(FieldId, std::int64_t count, std::span<T>&, visit_entry): members with a level of their own
//   unsupported(): a table of unknown syntax
"""


def _fields_header(writer: FieldWriter) -> str:
    lines = [
        _NOTICE + _VISITOR + "#pragma once\n",
        "#include <cstddef>",
        "#include <cstdint>\n",
        '#include "../callables.hpp"',
        '#include "elements.hpp"',
        '#include "units.hpp"\n',
        "namespace nnr::syntax {\n",
        "enum class FieldId : std::uint8_t {",
        *(f"  {key}," for key in writer.keys),
        "};\n",
        "inline constexpr const char* kFieldNames[] = {",
        *(f'    "{key}",' for key in writer.keys),
        "};\n",
        "// Calls `visit` with the name and the value of each limit on elements.",
        "template <class Visit>",
        "void visit_limits(nnr_limits& limits, Visit visit) {",
        *(f'  visit("{name}", limits.{name});' for name in sorted(writer.limits)),
        "}\n",
    ]
    for body in writer.functions.values():
        lines += [*body, ""]
    lines.append("}  // namespace nnr::syntax\n")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Write the files; with ``--check`` only compare them."""
    stale = [
        name
        for name, text in generated_files().items()
        if not (FOLDER / name).exists() or (FOLDER / name).read_text() != text
    ]
    if "--check" in arguments:
        for name in stale:
            print(f"{name} is stale: run python -m tools.codegen", file=sys.stderr)
        return int(bool(stale))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (FOLDER / name).write_text(generated_files()[name])
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
