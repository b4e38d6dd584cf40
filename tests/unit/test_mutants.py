# SPDX-License-Identifier: Apache-2.0
"""Mutants: their number, their keys, and a sample that the suites catch."""

import json

import pytest

from tools.mutants.harness import Case, Sources, run, verdict_on
from tools.mutants.operators import MODEL, Mutant, all_mutants
from tools.mutants.run import ON_IMPORT, SURVIVORS, Catchers, judged, load_cases, load_caught, prepare
from tools.mutants.seeded import catchers_of, load_faults


@pytest.fixture(scope="module")
def listed() -> list[Mutant]:
    return all_mutants()


@pytest.fixture(scope="module")
def mutants(listed: list[Mutant]) -> dict[str, Mutant]:
    return {mutant.key: mutant for mutant in listed}


def test_there_are_enough_of_every_kind(mutants: dict[str, Mutant]) -> None:
    assert len(mutants) >= 150
    assert {mutant.module for mutant in mutants.values()} >= {
        "tables", "arithmetic", "tensor_data", "contexts", "scan", "dependent_quantisation", "data_unit", "reconstruction",
    }  # fmt: skip


def test_keys_are_unique(listed: list[Mutant], mutants: dict[str, Mutant]) -> None:
    assert len(mutants) == len(listed)


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
    assert not [mutant.key for mutant in transitions if not judged(sources, cases, mutant, Catchers())[0]]


def test_every_mutant_is_caught_or_proved_equivalent(mutants: dict[str, Mutant]) -> None:
    """Check the record of the complete run; a mutant without record, because the model has changed, is judged here."""
    reasons = json.loads(SURVIVORS.read_text(encoding="utf-8"))
    caught = load_caught()
    assert not reasons.keys() & caught.keys()
    unknown = [mutant for key, mutant in mutants.items() if key not in caught and key not in reasons]
    if unknown:
        sources, cases = Sources(), load_cases()
        prepare(sources, cases)
        assert not [mutant.key for mutant in unknown if not judged(sources, cases, mutant, Catchers())[0]]


def test_a_sample_is_caught_by_the_vectors_named_for_it(mutants: dict[str, Mutant]) -> None:
    """Check the record of every 19th mutant."""
    named = {key: vector for key, vector in load_caught().items() if vector != ON_IMPORT and key in mutants}
    sample = sorted(named)[::19]
    assert len(sample) > 60
    cases = {case.id: case for case in load_cases() if case.id in {named[key] for key in sample}}
    sources = Sources()
    with sources.model() as model:
        for case in cases.values():
            case.expected = run(model, case)
    for key in sample:
        with sources.model({mutants[key].module: mutants[key].source}) as model:
            assert verdict_on(model, cases[named[key]]), key


@pytest.fixture(scope="module")
def vectors() -> dict[str, Case]:
    return {case.id: case for case in load_cases()}


def test_every_seeded_fault_changes_the_model() -> None:
    faults = load_faults()
    assert len({(fault.kind, fault.name) for fault in faults}) == len(faults)
    for fault in faults:
        for module, text in fault.sources().items():
            compile(text, module, "exec")


@pytest.mark.parametrize(
    ("name", "vector"),
    [
        ("the entry is rounded to binary32", "core/codebook/entries-beyond-24-bits-density-2"),
        ("reference list", "invalid/state/no-reference-list-in-a-later-stream"),
        ("only data units are joined", "core/parts/layer-parameter-set-many"),
        ("judged by the unit's device", "invalid/sequence/gap-on-the-parents-device"),
        ("not remembered by digest", "extended/parent/unit-without-node-by-sha256"),
        ("surrogates", "invalid/string/name-first-surrogate"),
        ("only neighbours are compared", "invalid/names/twice-first-and-last"),
        ("negative zero is lost, uniform", "extended/qp/zero-step-signs"),
        ("a raw unit displaces a node", "extended/parent/raw-unit-displaces-nothing"),
        ("tried again without wrapping", "invalid/topology/deflate-bare-like-zlib"),
    ],
)
def test_a_seeded_fault_of_each_kind_is_caught(name: str, vector: str, vectors: dict[str, Case]) -> None:
    [fault] = [fault for fault in load_faults() if fault.name == name]
    cases = [vectors[vector]]
    sources = Sources()
    with sources.model() as model:
        cases[0].expected = run(model, cases[0])
    assert catchers_of(sources, cases, fault, all_of_them=False)
