# SPDX-License-Identifier: Apache-2.0
"""Pages of the specification held to the model: worked examples, tables, diagrams, clauses, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
from spec import model
from spec.model import tables
from spec.model.dependent_quantisation import level_of, next_state
from tools import spec_diagrams

SPEC = REPOSITORY / "spec"
PAGES = sorted(SPEC.glob("*.md")) + sorted((SPEC / "decisions").glob("*.md"))
EXAMPLES = sorted(SPEC.glob("A-worked-example-*.md"))


def example_stream(page: str) -> bytes:
    block = re.search(r"```hex\n(.*?)```", page, re.DOTALL)
    assert block is not None
    return bytes.fromhex(block[1])


def rows_of(page: str, header: str) -> list[list[str]]:
    """Return the cells of every table of a page that has this header line."""
    rows, inside = [], False
    for line in page.splitlines():
        if line == header:
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|---"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_worked_example_has_the_models_fields(path: Path) -> None:
    page = path.read_text()
    written = example_stream(page)
    log: list[model.Field] = []
    model.decode([written], log=log)
    everything = "".join(format(byte, "08b") for byte in written)
    expected = []
    for entry in log:
        bits = everything[entry.bit_offset : entry.bit_offset + entry.n_bits]
        value = entry.value.hex() if isinstance(entry.value, bytes) else str(entry.value)
        expected.append([str(entry.bit_offset), bits, entry.path.partition(".")[2], entry.descriptor, value])
    shown = rows_of(page, "| bit | bits | element | descriptor | value |")
    assert [[cell.strip("`").replace(" ", "") for cell in row] for row in shown] == expected


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_worked_example_has_the_models_bins(path: Path) -> None:
    page = path.read_text()
    expected = []

    def observe(_: int, trace: model.BinTrace) -> None:
        cells = (trace.index, trace.element, trace.kind, trace.context, trace.bin)
        cells += (trace.range, trace.offset, trace.bit_position, trace.s0, trace.s1)
        expected.append(["-" if cell is None else str(cell) for cell in cells])

    model.decode([example_stream(page)], observe=observe)
    header = "| bin | element | kind | context | value | range | offset | bits read | s0 | s1 |"
    shown = rows_of(page, header)
    assert shown
    for row in shown:
        # A row ``8..69`` stands for bins of one kind and value; it shows the state after the last of them.
        first, _, last = row[0].partition("..")
        run = expected[: int(last or first) - int(first) + 1]
        del expected[: len(run)]
        assert run[0][0] == first
        assert all(bin_row[1:5] == row[1:5] for bin_row in run)
        assert [row[0].rpartition("..")[2], *row[1:]] == run[-1]
    assert not expected


def test_worked_examples_end_as_their_text_says() -> None:
    (ordinary,), (single_entry,), (codebook,) = (
        model.decode([example_stream(path.read_text())]) for path in EXAMPLES
    )
    assert ordinary["w"].levels == [2, 0, 0, 0, -4, 2, 0, 0, 1, 0, -2, 3]
    assert ordinary["w"].values == [0.25, 0.0, 0.0, 0.0, -0.5, 0.25, 0.0, 0.0, 0.125, 0.0, -0.25, 0.375]
    assert single_entry["const"].shape == (6, 7)
    assert single_entry["const"].values == [0.25] * 42
    assert codebook["w"].levels == [1, 0, -3, 0, 0, 0]
    assert codebook["w"].values == [0.4375, 0.0, -2.1875, 0.0, 0.0, 0.0]


def test_the_ordinary_example_decodes_to_its_table_of_levels() -> None:
    page = EXAMPLES[0].read_text()
    rows = rows_of(
        page, "| position | n | state | bins: significance, sign, greater-than | q | level | next state |"
    )
    previous, state = 0, 0
    for position, (shown_position, n, before, _, coded, level, after) in enumerate(rows):
        assert (int(shown_position), int(n), int(before)) == (position, previous, state)
        previous = int(coded)
        assert int(level.rpartition("= ")[2]) == level_of(previous, state)
        state = next_state(state, previous)
        assert int(after) == state
    (ordinary,) = model.decode([example_stream(page)])
    assert [int(row[5].rpartition("= ")[2]) for row in rows] == ordinary["w"].levels


def test_diagrams_are_those_of_the_model() -> None:
    assert spec_diagrams.main(["--check"]) == 0


def test_a_stale_diagram_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spec_diagrams, "FOLDER", tmp_path)
    assert spec_diagrams.main(["--check"]) == 1
    assert spec_diagrams.main([]) == 0
    monkeypatch.setattr(spec_diagrams, "NEXT_STATE", ((1, 2), *tables.NEXT_STATE[1:]))
    assert spec_diagrams.main(["--check"]) == 1


def test_every_diagram_is_shown_with_alternative_text() -> None:
    shown = {
        name
        for page in SPEC.glob("*.md")
        for text, name in re.findall(r"!\[([^\]]*)\]\(diagrams/([\w-]+\.svg)\)", page.read_text())
        if len(text) > 40
    }
    assert shown == {path.name for path in spec_diagrams.FOLDER.glob("*.svg")} == set(spec_diagrams.DIAGRAMS)


def test_tables_page_has_the_models_numbers() -> None:
    page = (SPEC / "06-tables.md").read_text()
    blocks = {name: body.split() for name, body in re.findall(r"```(RLPS|STEP)\n(.*?)```", page, re.DOTALL)}
    assert [int(cell) for cell in blocks["RLPS"]] == [cell for row in tables.RANGE_LPS for cell in row]
    assert [int(cell) for cell in blocks["STEP"]] == list(tables.STEP)
    initialisations = rows_of(page, "| i | shift0 | shift1 | S | s0 | hence s1 |")
    assert [tuple(map(int, row[1:5])) for row in initialisations] == list(tables.INITIALISATIONS)
    states = rows_of(page, "| state | even q | odd q |")
    assert [tuple(map(int, row[1:])) for row in states] == list(tables.NEXT_STATE)


def test_every_clause_the_model_raises_is_a_heading() -> None:
    headings = {
        match
        for page in PAGES
        for match in re.findall(r"^#+ ([0-9A][0-9.]*) ", page.read_text(), re.MULTILINE)
    }
    raised = {
        clause
        for path in (SPEC / "model").glob("*.py")
        for clause in re.findall(r'(?:clause=|, )"([1-7](?:\.\d+)*)"\s*\)', path.read_text())
    }
    assert {"1.3", "2.1", "3.2.3", "5.1"} <= raised
    assert raised <= headings


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_syntax_regions_are_closed(path: Path) -> None:
    marks = re.findall(r"<!-- (syntax:\S+|/syntax) -->", path.read_text())
    opened, closed = marks[::2], marks[1::2]
    assert all(mark.startswith("syntax:") for mark in opened)
    assert closed == ["/syntax"] * len(opened)


def test_every_decision_is_reached_from_a_page() -> None:
    reached = {
        name for page in SPEC.glob("*.md") for name in re.findall(r"decisions/([\w-]+\.md)", page.read_text())
    }
    assert reached == {path.name for path in (SPEC / "decisions").glob("*.md")}
