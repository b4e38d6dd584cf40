# SPDX-License-Identifier: Apache-2.0
"""The mutants: that there are enough, that one is what it says, and that the suites catch a sample."""

import json

import pytest

from tools.mutants.harness import Sources, run, verdict_on
from tools.mutants.operators import MODEL, Mutant, all_mutants
from tools.mutants.run import SURVIVORS, judged, load_cases, prepare


@pytest.fixture(scope="module")
def mutants() -> dict[str, Mutant]:
    return {mutant.key: mutant for mutant in all_mutants()}


def test_there_are_enough_of_every_kind(mutants: dict[str, Mutant]) -> None:
    assert len(mutants) >= 150
    assert {mutant.module for mutant in mutants.values()} >= {
        "tables", "arithmetic", "tensor_data", "contexts", "scan", "dependent_quantisation", "data_unit", "reconstruction",
    }  # fmt: skip


def test_keys_are_unique(mutants: dict[str, Mutant]) -> None:
    assert len(mutants) == len(all_mutants())


def test_every_survivor_is_a_mutant_with_a_reason(mutants: dict[str, Mutant]) -> None:
    reasons = json.loads(SURVIVORS.read_text(encoding="utf-8"))
    assert not [key for key in reasons if key not in mutants]
    assert all(len(reason.split()) > 3 for reason in reasons.values())


def test_every_wrong_transition_is_caught(mutants: dict[str, Mutant]) -> None:
    sources = Sources()
    cases = [case for case in load_cases() if case.id.startswith(("core/trellis", "core/scan/1-17x20-dq"))]
    prepare(sources, cases)
    with sources.model() as model:
        assert not [case.id for case in cases if verdict_on(model, case)]
        assert run(model, cases[0]).rejected is None
    line = (MODEL / "tables.py").read_text(encoding="utf-8").split("NEXT_STATE")[0].count("\n") + 1
    transitions = [mutant for mutant in mutants.values() if mutant.module == "tables" and mutant.line == line]
    assert len(transitions) == 16
    assert not [mutant.key for mutant in transitions if not judged(sources, cases, mutant)[0]]
