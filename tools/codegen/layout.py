# SPDX-License-Identifier: Apache-2.0
"""C++ structs of the syntax tables: one field for each element, in stream order."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from nnr_codec.syntax.descriptors import bs, flt, i, ie, st, u, ue, unsupported
from nnr_codec.syntax.element import Element
from nnr_codec.syntax.grammar import Choice, IfPresent, Repeat, Syntax

#: Longer values are stored as bytes.
MACHINE_BITS = 32


@dataclass
class Field:
    """Member of a struct.

    Attributes
    ----------
    cxx_type : str
        Type of one value.
    repeated : bool
        Whether it is a list.
    optional : bool
        Whether ``has_NAME`` says that the element is in the stream.
    inferred : int or None
        Value when the element is absent.
    """

    cxx_type: str
    repeated: bool = False
    optional: bool = False
    inferred: int | None = None


@dataclass
class CxxStruct:
    """Struct of one titled table, or of the entries of one list."""

    name: str
    fields: dict[str, Field] = field(default_factory=dict)

    def add(self, key: str, member: Field) -> None:
        """Add a field; two tables that share a key have to agree on its type."""
        known = self.fields.setdefault(key, member)
        if (known.cxx_type, known.repeated) != (member.cxx_type, member.repeated):
            raise NotImplementedError(f"{self.name}.{key} has two types")
        known.optional = known.optional or member.optional


def struct_name(title: str) -> str:
    """Return the struct of a table: ``topology_elements_ids_list(0)`` is a ``TopologyElementsIdsList``."""
    return "".join(word.capitalize() for word in bare_title(title).split("_"))


def snake_case(struct: str) -> str:
    """Return a struct's name in the spelling of functions."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", struct).lower()


def bare_title(title: str) -> str:
    """Return a table's title without its argument."""
    return title.partition("(")[0]


def function_name(table: Syntax) -> str:
    """Return a table's title as a part of a function's name."""
    return re.sub(r"\W+", "_", table.title).strip("_")


def element_type(element: Element) -> str:
    """Return the C++ type of an element's value."""
    match element:
        case u(n_bits=int(n_bits)) if n_bits > MACHINE_BITS:
            return f"BigEndian<{n_bits // 8}>"
        case ue(maximum=maximum) if maximum.bit_length() > MACHINE_BITS:
            return f"BigEndian<{maximum.bit_length() // 8}>"
        case i():
            return "std::int32_t"
        case ie():
            return "std::int64_t"
        case flt():
            return "Binary32"
        case st() | bs():
            return "Bytes"
        case _:
            return "std::uint32_t"


class Layout:
    """Structs of all tables that can be reached from one.

    Attributes
    ----------
    structs : dict of str to CxxStruct
        In the order of their definition: each before those that hold it.
    """

    def __init__(self, table: Syntax) -> None:
        self.structs: dict[str, CxxStruct] = {}
        self._titled(table)

    def _titled(self, table: Syntax, name: str | None = None) -> str:
        name = name or struct_name(table.title)
        struct = self.structs.get(name) or CxxStruct(name)
        self._members(table, struct, optional=False)
        self.structs.setdefault(name, struct)
        return name

    def _members(self, table: Syntax, struct: CxxStruct, *, optional: bool) -> None:
        for member in table.members:
            self._member(member, struct, optional)

    def _member(self, member: Any, struct: CxxStruct, optional: bool) -> None:
        if isinstance(member, unsupported):
            return
        if isinstance(member, Element):
            struct.add(
                member.key or "", Field(element_type(member), optional=optional, inferred=member.inferred)
            )
        elif isinstance(member, Repeat):
            entry = member.subcon
            if isinstance(entry, Element):
                struct.add(member.key or "", Field(element_type(entry), repeated=True, optional=optional))
            else:
                name = self._titled(entry, struct.name + struct_name(member.name or ""))
                struct.add(member.key or "", Field(name, repeated=True, optional=optional))
        elif isinstance(member, IfPresent):
            for inside in member.tables():
                self._members(inside, struct, optional=True)
        elif isinstance(member, Choice):
            for case in unique(member):
                if case.title:
                    struct.add(bare_title(case.title), Field(self._titled(case)))
                else:
                    self._members(case, struct, optional=True)
        elif isinstance(member, Syntax):
            if member.key is None:
                self._members(member, struct, optional=optional)
            else:
                struct.add(member.key, Field(self._titled(member), optional=optional))


def unique(choice: Choice) -> list[Syntax]:
    """Return the tables of a choice, the default last."""
    return [*choice.cases.values(), choice.default]
