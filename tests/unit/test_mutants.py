# SPDX-License-Identifier: Apache-2.0
"""The mutants: that there are enough, that one is what it says, and that the suites catch a sample."""

import json

import pytest

from tools.mutants.harness import Sources, run, verdict_on
from tools.mutants.operators import all_mutants
from tools.mutants.run import SURVIVORS, judged, load_cases, prepare


@pytest.fixture(scope="module")
def mutants() -> dict[str, object]:
    return {mutant.key: mutant for mutant in all_mutants()}


def test_there_are_enough_of_every_kind(mutants: dict[str, object]) -> None:
    assert len(mutants) >= 150
    assert {mutant.module for mutant in mutants.values()} >= {  # type: ignore[attr-defined]
        "tables", "arithmetic", "tensor_data", "contexts", "scan", "dependent_quantisation", "data_unit", "reconstruction",
    }  # fmt: skip


def test_keys_are_unique(mutants: dict[str, object]) -> None:
    assert len(mutants) == len(all_mutants())


def test_every_survivor_is_a_mutant_with_a_reason(mutants: dict[str, object]) -> None:
    reasons = json.loads(SURVIVORS.read_text(encoding="utf-8"))
    assert not [key for key in reasons if key not in mutants]
    assert all(len(reason.split()) > 3 for reason in reasons.values())


def test_a_sample_is_caught(mutants: dict[str, object]) -> None:
    sources = Sources()
    names = (
        "core/contexts",
        "core/trellis",
        "core/binarisation/unary",
        "extended/row-skip",
        "extended/incremental/large",
    )
    cases = [case for case in load_cases() if case.id.startswith(names)]
    prepare(sources, cases)
    with sources.model() as model:
        assert not [case.id for case in cases if verdict_on(model, case)]
        assert run(model, cases[0]).rejected is None
    reasons = json.loads(SURVIVORS.read_text(encoding="utf-8"))
    wanted = [
        m
        for m in mutants.values()
        if m.module in ("tensor_data", "dependent_quantisation") and m.key not in reasons
    ]  # type: ignore[attr-defined]
    caught = [judged(sources, cases, mutant)[0] for mutant in wanted[::25]]  # type: ignore[arg-type]
    assert len([result for result in caught if result]) >= 0.7 * len(caught)
