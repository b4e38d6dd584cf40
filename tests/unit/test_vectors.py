# SPDX-License-Identifier: Apache-2.0
"""Generators of the vectors, and the generated suites."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from nnr_conformance.cli import main as checker
from nnr_conformance.coverage import load_coverage
from nnr_conformance.json_schema import save_json
from nnr_conformance.suite import Suite, find_suites

from conformance.generators import draft as d
from conformance.generators.coverage import entropy_items, reached_by
from conformance.generators.damage import written_over
from conformance.generators.grammar_map import GrammarMap
from conformance.generators.plain import one
from conformance.generators.random_streams import draw_streams
from conformance.generators.resource_cases import deflate_bomb
from conformance.generators.script import TensorScript, drawn_initialisations, drawn_values
from spec.model import Session, decode

MB = 1_000_000
COVERAGE = Path(__file__).parents[2] / "conformance" / "coverage.json"


@pytest.mark.parametrize("scan", range(5))
@pytest.mark.parametrize("dq", [0, 1])
def test_scripts_become_codewords(scan: int, dq: int) -> None:
    rng = random.Random(scan)
    script = TensorScript(
        drawn_values(rng, 0.5, 300),
        row_skip=True,
        skipped_rows={3, 17},
        initialisations=drawn_initialisations(rng),
    )
    stream = one(d.data_unit("w", (20, 13), script, scan=scan, dq=dq, unary=3), profile=1)
    levels = decode([stream])[0]["w"].levels
    assert levels is not None
    assert any(levels)
    assert not any(levels[3 * 13 : 4 * 13])
    # Block rows decoded from their entry points, the last first, give the same.
    assert Session(block_rows_alone=True).decode(stream).tensors["w"].levels == levels


def test_values_are_those_of_the_script() -> None:
    values = [0, 1, -1, 2, -3, 70000, (1 << 31) - 1, -(1 << 31)]
    stream = one(d.data_unit("n", (8,), TensorScript(values), kind=d.INT, profile=0, unary=1))
    assert decode([stream])[0]["n"].levels == values


@pytest.mark.parametrize(("profile", "n_streams"), [(0, 1), (1, 1), (1, 3)])
def test_random_streams_are_valid_and_repeat(profile: int, n_streams: int) -> None:
    for seed in range(4):
        streams = draw_streams(seed, profile, n_streams)
        assert streams == draw_streams(seed, profile, n_streams)
        assert len(decode(streams)) == n_streams


def test_an_element_is_written_over_in_place() -> None:
    stream = one(d.data_unit("w", (2, 2), TensorScript([1, 2]), profile=0))
    changed, bits = written_over(stream, "nnr_unit[2].scan_order", 3)
    assert bits[1] - bits[0] == 4
    assert len(changed) == len(stream)
    assert changed != stream


def test_the_bomb_inflates() -> None:
    import zlib

    assert zlib.decompress(deflate_bomb(1000), -15) == bytes(1 + 258 * 1000)


def test_the_suites_are_sound() -> None:
    assert checker(["list", "--check"]) == 0


@pytest.fixture(scope="module")
def suites() -> list[Suite]:
    return find_suites()


def test_the_suites_are_as_large_as_promised(suites: list[Suite]) -> None:
    assert {suite.name for suite in suites} == {"core", "extended", "invalid", "resource"}
    assert sum(len(vector.streams) for suite in suites for vector in suite.manifest.vectors) >= 250
    assert (
        sum(path.stat().st_size for suite in suites for path in suite.folder.rglob("*") if path.is_file())
        < 12 * MB
    )


def test_every_decision_has_a_vector(suites: list[Suite]) -> None:
    comments = " ".join(vector.comment for suite in suites for vector in suite.manifest.vectors)
    pages = (Path(__file__).parents[2] / "spec" / "decisions").glob("*.md")
    assert not [page.name for page in pages if page.name[:4] not in comments]


def test_coverage_has_no_hole() -> None:
    """Hold the floor: the suites reach everything that is reachable."""
    assert checker(["coverage", "--floor", "100"]) == 0


def test_what_is_said_to_be_covered_is_reached(suites: list[Suite]) -> None:
    """Recount every item in the first vector that covers it, so that counts cannot be written by hand."""
    vectors = {vector.id: (suite, vector) for suite in suites for vector in suite.manifest.vectors}
    claims: dict[str, list[tuple[str, str]]] = {}
    for group in load_coverage(COVERAGE).groups:
        for part in group.items:
            if part.reachable:
                claims.setdefault(part.covered_by[0], []).append((group.name, part.id))
    grammar = GrammarMap()
    assert {claim for listed in claims.values() for claim in listed} == {
        item for item, reason in (grammar.items | entropy_items()).items() if not reason
    }
    for name, listed in claims.items():
        suite, vector = vectors[name]
        reached = reached_by(grammar, [suite.read(file) for file in vector.streams])
        assert not [claim for claim in listed if not reached[claim]], name


def test_coverage_falls_with_a_vector(
    suites: list[Suite], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the only vector of an item, the floor is missed and the earlier counts are rejected."""
    [suite] = [suite for suite in suites if suite.name == "core"]
    remaining = tuple(
        vector for vector in suite.manifest.vectors if vector.id != "core/topology/long-reference-list"
    )
    assert len(remaining) == len(suite.manifest.vectors) - 1
    (tmp_path / "suites" / "core").mkdir(parents=True)
    smaller = Suite(tmp_path / "suites" / "core", replace(suite.manifest, vectors=remaining))
    smaller.save()
    counted = load_coverage(COVERAGE)
    assert counted.faults([smaller])
    without = replace(
        counted,
        suites={"core": smaller.manifest_sha256()},
        groups=tuple(
            replace(
                group,
                items=tuple(
                    replace(
                        part,
                        covered_by=tuple(
                            name for name in part.covered_by if name in {v.id for v in remaining}
                        ),
                    )
                    for part in group.items
                ),
            )
            for group in counted.groups
        ),
    )
    save_json(without, tmp_path / "coverage.json")
    assert not without.faults([smaller])
    assert checker(["coverage", "--suites", str(tmp_path / "suites"), "--floor", "100", "--missing"]) == 1
    assert (
        "topology_elements_ids_list(0).byte_alignment=part-of-a-byte: not covered" in capsys.readouterr().out
    )
