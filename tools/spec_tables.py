# SPDX-License-Identifier: Apache-2.0
"""Write the syntax tables of ``spec/*.md`` from the construct declarations: ``python -m tools.spec_tables``.

A table is written between ``<!-- syntax:NAME -->`` and ``<!-- /syntax -->``. With ``--check`` nothing is written, and the
exit code is 1 when a page differs or names an unknown table, or a table is on no page.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nnr_codec.model import NnrUnitType, TopologyStorageFormat
from nnr_codec.syntax import NNR_UNIT
from nnr_codec.syntax.element import Element
from nnr_codec.syntax.expressions import Expression
from nnr_codec.syntax.grammar import Choice, Derived, IfPresent, Repeat, Syntax

ROOT = Path(__file__).resolve().parents[1]

PAGES = ROOT / "spec"
_REGION = re.compile(r"(<!-- syntax:(\S+) -->\n)(.*?)(<!-- /syntax -->)", re.DOTALL)
#: Enumerations that name the cases of a switch.
_NAMES_OF_CASES = {"nnr_unit_type": NnrUnitType, "topology_storage_format": TopologyStorageFormat}
_WIDTH = 74


def tables() -> dict[str, Syntax]:
    """Return every table that has a title, by title."""
    by_title: dict[str, Syntax] = {}

    def walk(table: Syntax) -> None:
        if table.title and table.members:
            by_title.setdefault(table.title, table)
        for member in table.members:
            if isinstance(member, IfPresent):
                walk(member.members)
                if member.otherwise is not None:
                    walk(member.otherwise)
            elif isinstance(member, Choice):
                for case in (*member.cases.values(), member.default):
                    walk(case)
            elif isinstance(member, Syntax):
                walk(member)
            elif isinstance(member, Repeat) and isinstance(member.subcon, Syntax):
                walk(member.subcon)

    walk(NNR_UNIT)
    return by_title


def render(table: Syntax) -> str:
    """Return a table as pseudocode with descriptors, in a code block."""
    name = table.title if table.title.endswith(")") else f"{table.title}()"
    lines = [f"{name} {{", *_members(table, 1, ()), "}"]
    return "```\n" + "\n".join(lines) + "\n```\n"


def _line(text: str, descriptor: str, depth: int) -> str:
    return f"{'  ' * depth + text:<{_WIDTH}}{descriptor}".rstrip()


def _members(table: Syntax, depth: int, indices: tuple[str, ...]) -> Iterator[str]:
    for member in table.members:
        yield from _member(member, depth, indices)


def _member(member: Any, depth: int, indices: tuple[str, ...]) -> Iterator[str]:
    pad = "  " * depth
    if isinstance(member, IfPresent):
        yield f"{pad}if ({member.condition}) {{"
        yield from _members(member.members, depth + 1, indices)
        if member.otherwise is not None:
            yield f"{pad}}} else {{"
            yield from _members(member.otherwise, depth + 1, indices)
        yield f"{pad}}}"
    elif isinstance(member, Choice):
        yield f"{pad}switch ({member.selector}) {{"
        symbols = _NAMES_OF_CASES.get(str(member.selector))
        for value, case in member.cases.items():
            label = symbols(value).name if symbols is not None else str(value)
            yield f"{pad}  case {label}: {_call(case)}" if case.title else f"{pad}  case {label}:"
            if not case.title:
                yield from _members(case, depth + 2, indices)
        yield f"{pad}  default: {'' if member.default.members else 'nothing'}".rstrip()
        if member.default.title:
            yield f"{pad}    {_call(member.default)}"
        else:
            yield from _members(member.default, depth + 2, indices)
        yield f"{pad}}}"
    elif isinstance(member, Derived):
        counted = not isinstance(member.formula, Expression)
        yield f"{pad}{member.name} = {'the number of entry points (3.2.4)' if counted else member.formula}"
    elif isinstance(member, Repeat):
        index = member.index or "ij"[len(indices)]
        if isinstance(member.subcon, Syntax):
            yield f"{pad}for ({index} = 0; {index} < {member.count}; {index}++) {{"
            yield from _members(member.subcon, depth + 1, (*indices, index))
            yield f"{pad}}}"
        else:
            yield f"{pad}for ({index} = 0; {index} < {member.count}; {index}++)"
            marks = "".join(f"[{k}]" for k in (*indices, index))
            yield _line(f"{member.name}{marks}", member.subcon.descriptor, depth + 1)
    elif isinstance(member, Syntax):
        other_name = "" if member.title.partition("(")[0] == member.name else f"  // {member.name}"
        yield f"{pad}{_call(member)}{other_name}"
    elif isinstance(member, Element):
        if member.name == "byte_alignment":
            yield f"{pad}byte_alignment()"
        else:
            marks = "".join(f"[{k}]" for k in indices)
            yield _line(f"{member.name}{marks}", member.descriptor, depth)


def _call(case: Syntax) -> str:
    if not case.members:
        return "nothing"
    return case.title if case.title.endswith(")") else f"{case.title}()"


def rendered_page(text: str) -> str:
    """Return a page with its regions filled.

    Raises
    ------
    KeyError
        When a region names an unknown table.
    """
    known = tables()
    return _REGION.sub(lambda match: match[1] + render(known[match[2]]) + match[4], text)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args(arguments)
    placed: set[str] = set()
    wrong = []
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        placed |= {match[2] for match in _REGION.finditer(text)}
        try:
            wanted = rendered_page(text)
        except KeyError as error:
            wrong.append(f"{page.name}: unknown table {error}")
            continue
        if wanted != text:
            if options.check:
                wrong.append(f"{page.name}: a table differs from its declaration")
            else:
                page.write_text(wanted, encoding="utf-8")
    wrong += [f"{name} is on no page" for name in sorted(set(tables()) - placed)]
    print("\n".join(wrong) or f"{len(placed)} tables", file=sys.stderr if wrong else sys.stdout)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
