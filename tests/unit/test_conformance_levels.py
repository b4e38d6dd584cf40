# SPDX-License-Identifier: Apache-2.0
"""Levels: their declaration, the assignment of vectors by computed requirements, and runs at a level."""

from __future__ import annotations

import itertools
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from nnr_conformance import Plan, resolve_adapter, run
from nnr_conformance.errors import UsageError
from nnr_conformance.levels import Capabilities, Level, find_level, load_levels
from nnr_conformance.reports import REPORTS
from nnr_conformance.result import Log
from nnr_conformance.selection import Selection
from nnr_conformance.suite import Suite, find_suites, find_vector
from nnr_conformance.toy_suite import write_toy_suite

from conformance.generators.requirements import requirements_of

ROOT = Path(__file__).resolve().parents[2]
SUITES = ROOT / "conformance/suites"
LEVELS = load_levels(SUITES)
#: Within it: profile 0, so all toy vectors but the update.
SMALL = Level(name="small", title="For tests", profile=0, capabilities=Capabilities())


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    return write_toy_suite(tmp_path_factory.mktemp("suites") / "toy")


@pytest.fixture(scope="module")
def suites() -> list[Suite]:
    return find_suites(SUITES)


def run_at(level: Level | None, suite: Suite, decoder: str, *ids: str, **claims: object) -> Log:
    adapter = replace(resolve_adapter(decoder), **claims)  # type: ignore[arg-type]  # claims of any type, by name
    return run(Plan(adapter, [suite], Selection(ids=ids).choose([suite]), level=level))


# --- declaration ----------------------------------------------------------------------------------


def test_each_level_is_within_the_next() -> None:
    for smaller, larger in itertools.pairwise(LEVELS):
        assert smaller.profile <= larger.profile
        assert larger.capabilities.beyond(smaller.capabilities) == ""
        assert smaller.capabilities.beyond(larger.capabilities) != ""


def test_the_page_shows_the_levels() -> None:
    """The table of 7.5 is that of the data."""
    page = (ROOT / "spec/07-limits-and-errors.md").read_text(encoding="utf-8")
    rows = {
        name: [_number(cell) for cell in cells.split("|")]
        for name, cells in re.findall(
            r"^\| `(\w+)` \| [^|]* \| (.*) \|$", page.partition("## 7.5")[2], re.MULTILINE
        )
    }
    expected = {
        field.name: [getattr(level.capabilities, field.name) for level in LEVELS]
        for field in fields(Capabilities)
    }
    assert rows == {"general_profile_idc": [level.profile for level in LEVELS], **expected}


def _number(cell: str) -> int:
    base, _, exponent = cell.strip().partition("^")
    return int(base) ** int(exponent or 1)


def test_an_unknown_level_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="basic, main, full"):
        find_level("huge", SUITES)


# --- assignment -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (
            "core/codebook/seven-unary-10",
            {"codebook_entries": 7, "dimensions": 2, "tensor_elements": 72, "string_bytes": 1},
        ),
        ("core/framing/parts-256", {"parts": 256}),
        ("extended/incremental/temporal", {"streams": 4}),
        ("core/entry-points/false-offset", {"scan_order": 1, "entry_points": 3, "tensor_elements": 252}),
        ("core/external-dimensions/rank-5", {"dimensions": 5, "tensor_elements": 24, "stream_elements": 24}),
        ("core/external-dimensions/block", {"dimensions": 2, "tensor_elements": 45, "stream_elements": 63}),
        ("core/block/types-15-scan-1", {"names": 8}),
        ("resource/dimensions/2-60-raw", {"tensor_elements": 1 << 60}),
        ("resource/counts/codebook", {"codebook_entries": 1 << 31}),
        ("resource/deflate/256-mib", {"inflated_bytes": (1 << 28) + 387}),
    ],
)
def test_requirements_are_counted(identity: str, expected: dict[str, int]) -> None:
    suite, vector = find_vector(identity, SUITES)
    counted = requirements_of([suite.read(file) for file in vector.streams], vector.dimensions)
    assert counted == vector.requires
    assert {name: getattr(counted, name) for name in expected} == expected


def test_every_valid_vector_is_within_the_largest_level(suites: list[Suite]) -> None:
    """7.3: vectors that a decoder has to accept stay within the recommended minimum."""
    beyond = [v.id for suite in suites for v in suite.manifest.vectors if LEVELS[-1].beyond(v)]
    assert beyond
    assert all(name.startswith("resource/") for name in beyond)


def test_each_limit_of_a_smaller_level_is_probed(suites: list[Suite]) -> None:
    """For each capability there is a valid vector that only this capability puts beyond the smallest level."""
    smallest = LEVELS[0].capabilities
    alone = set()
    for vector in (vector for suite in suites for vector in suite.manifest.vectors):
        over = [
            f.name for f in fields(smallest) if getattr(vector.requires, f.name) > getattr(smallest, f.name)
        ]
        if vector.expect.verdict == "accept" and vector.profile == 0 and len(over) == 1:
            alone |= {*over}
    assert alone >= {"dimensions", "names", "codebook_entries", "scan_order", "parts", "inflated_bytes"}


# --- runs -----------------------------------------------------------------------------------------


def test_a_decoder_may_refuse_what_is_beyond_the_level(suite: Suite) -> None:
    for decoder in ("broken:unsupported@toy", "broken:rejects-everything@toy"):
        (result,) = run_at(SMALL, suite, decoder, "toy/update").results
        assert (result.verdict, result.detail, result.beyond) == ("REFUSED", "profile 1 > 0", "profile 1 > 0")
    assert run_at(SMALL, suite, "broken:unsupported@toy", "toy/update").against == []


def test_a_decoder_may_not_answer_wrongly_beyond_the_level(suite: Suite) -> None:
    log = run_at(SMALL, suite, "broken:wrong-last-element@toy", "toy/update", "toy/magic")
    assert [result.label for result in log.results] == ["FAIL(values)", "PASS"]
    assert not log.conforms
    assert "Not conforming: 1 of 2 requirements of level small" in REPORTS["terminal"]([log])


def test_within_the_level_nothing_may_be_refused(suite: Suite) -> None:
    log = run_at(SMALL, suite, "broken:unsupported@toy", "toy/dense")
    assert [result.verdict for result in log.results] == ["UNSUPPORTED"]
    assert not log.conforms


def test_a_level_leaves_no_choice_of_features(suite: Suite) -> None:
    claims = {"without": ("float-payload",)}
    assert run_at(None, suite, "broken:none@toy", "toy/names", **claims).against == []
    log = run_at(SMALL, suite, "broken:none@toy", "toy/names", **claims)
    assert [result.verdict for result in log.results] == ["SKIP"]
    assert not log.conforms
    assert log.end is not None
    assert log.end.exit_code == 1


def test_the_statement_counts_what_is_beyond_the_level(suite: Suite) -> None:
    statement = REPORTS["statement"]([run_at(SMALL, suite, "broken:unsupported@toy", "toy/update")])
    assert "Level: small; beyond it, 0 vectors passed, 1 were refused and 0 failed" in statement
