# SPDX-License-Identifier: Apache-2.0
"""Generated C++ is current, and hand-written counterparts of the tables' callables agree with Python's."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest
from nnr_conformance.suite import find_suites

from nnr_codec.errors import MalformedBitstream
from nnr_codec.syntax import compressed_data_unit
from nnr_codec.syntax.descriptors import u
from nnr_codec.syntax.expressions import Expression
from nnr_codec.syntax.grammar import IfPresent, Syntax
from nnr_codec.syntax.unit import NNR_UNIT
from tools import spec_tables
from tools.codegen.__main__ import FOLDER, generated_files
from tools.codegen.amalgamation import NATIVE, library_sources
from tools.codegen.cxx_expression import cxx_condition, cxx_expression
from tools.codegen.table_writer import CALLABLES

ROOT = NATIVE.parent
NAMES = ("w", "w_G", "w_H")


def test_generated_sources_are_current() -> None:
    """A table was changed without `python -m tools.codegen`."""
    texts = generated_files()
    assert sorted(texts) == sorted(path.name for path in FOLDER.iterdir())
    for name, text in texts.items():
        assert (FOLDER / name).read_text() == text, f"{name} is stale: run python -m tools.codegen"


def test_a_new_element_is_one_line() -> None:
    """It stands in every generated file and in the table of the page, with its condition and its range."""
    element = IfPresent("general_profile_idc == 1", "made_up_exponent" / u(3, range(5)))
    unit = Syntax("nnr_unit", *NNR_UNIT.members[:6], element, *NNR_UNIT.members[6:], clause="format 2")
    for name, text in generated_files(unit).items():
        assert "made_up_exponent" in text, name
        assert "made_up_exponent" not in (FOLDER / name).read_text()
    parsers = generated_files(unit)["unit_parsers.cpp"]
    assert "if (t.made_up_exponent > 4) return p.refuse(NNR_MALFORMED" in parsers
    assert "made_up_exponent" in spec_tables.render(unit)


@pytest.mark.parametrize(
    ("text", "cxx"),
    [
        ("a & NNR_CPT_DC", "(s.a & NNR_CPT_DC) != 0"),
        ("not a == 1 or b", "!(s.a == 1) || (s.b) != 0"),
        ("a == 1 and (b == 2 or c > 3)", "s.a == 1 && (s.b == 2 || s.c > 3)"),
        ("a & 3 == 1", "(s.a & (3 == 1)) != 0"),
    ],
)
def test_conditions_keep_pythons_precedence(text: str, cxx: str) -> None:
    """C++ binds `&` looser than comparisons, Python tighter: parentheses decide."""
    if text == "a & 3 == 1":
        assert cxx_condition(Expression(text)) == "(s.a & 3) == 1"
        return
    assert cxx_condition(Expression(text)) == cxx


def test_an_unknown_construct_is_refused() -> None:
    """A new kind of expression has to be translated on purpose."""
    with pytest.raises(NotImplementedError, match="a // b"):
        cxx_expression(Expression("a // b"))


def test_the_library_lists_its_sources() -> None:
    """Every file of the rooms is compiled."""
    listed = {*library_sources(), *library_sources("NNR_BUILDER_SOURCES")}
    for folder in ("syntax", "codec"):
        assert set((NATIVE / folder).rglob("*.cpp")) <= listed


def test_callables_agree(build_folder: Path) -> None:
    """`CALLABLES` are the same function in both languages."""
    assert set(CALLABLES) == {"number_of_entry_points", "low_rank_factor"}
    cases = list(
        itertools.product(
            (0, 1, 3),  # payload types
            (0, 1, 3, 15),  # compressed_parameter_types
            (1, 2, 4),  # scan_order
            (0, 1, 8, 65, (1 << 32) - 1),  # g_number_of_rows
            (1, 64, 1 << 31),  # decomposition_rank
            (0, 1, 8, 9, (1 << 32) - 1),  # first dimension
            (("w_G", -1), ("w_H", -1), ("G", -1), ("-", -1), ("_G", -1), ("-", 0), ("-", 1), ("-", 2)),
        )
    )
    lines = [" ".join(map(str, [*case[:6], *case[6]])) for case in cases]
    answer = subprocess.run(
        [build_folder / "nnr_callables"], input="\n".join(lines), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(answer) == len(cases)
    for case, line in zip(cases, answer, strict=True):
        letter, passes, count = line.split()
        assert (letter, passes) == _factor(case), case
        if passes == "1":
            assert int(count) == compressed_data_unit.number_of_entry_points(_scope(case)), case


def test_units_are_built_as_they_were_parsed(build_folder: Path) -> None:
    """Every unit of every vector that is accepted, bit for bit; all but those in an unusual long form with the size as chosen."""
    n_units = n_same = n_sized = 0
    for suite in find_suites(ROOT / "conformance" / "suites"):
        paths = [
            str(suite.folder / file.file)
            for vector in suite.manifest.vectors
            if vector.expect.verdict == "accept"
            for file in vector.streams
            if file.size_bytes < 1 << 22
        ]
        if paths:
            answer = subprocess.run(
                [build_folder / "nnr_rebuild", *paths], capture_output=True, text=True, check=True
            ).stdout
            counts = [int(word) for word in answer.split()]
            n_units, n_same, n_sized = n_units + counts[0], n_same + counts[1], n_sized + counts[2]
    assert n_same == n_units > 3000
    assert n_units * 0.99 < n_sized <= n_units


def _scope(case: tuple[object, ...]) -> dict[str, object]:
    payload_type, types, scan_order, g_rows, rank, rows, (name, index) = case  # type: ignore[misc] - a case is a tuple of mixed types
    scope: dict[str, object] = {
        "nnr_compressed_data_unit_payload_type": payload_type,
        "compressed_parameter_types": types,
        "scan_order": scan_order,
        "g_number_of_rows": g_rows,
        "decomposition_rank": rank,
        "tensor_dimensions": [rows],
        "_reference_list": NAMES,
    }
    return scope | (
        {"topology_elem_id": "" if name == "-" else name} if index < 0 else {"topology_elem_id_index": index}
    )


def _factor(case: tuple[object, ...]) -> tuple[str, str]:
    try:
        return compressed_data_unit.low_rank_factor(_scope(case))[1:] or "0", "1"
    except MalformedBitstream:
        return "0", "0"
