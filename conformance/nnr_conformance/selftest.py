# SPDX-License-Identifier: Apache-2.0
"""Self-test of the checker: every broken decoder must get its verdict, over every interface."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nnr_conformance.adapter import Adapter, resolve_adapter
from nnr_conformance.limits import Limits
from nnr_conformance.python_child import launch
from nnr_conformance.runner import Plan, run
from nnr_conformance.suite import Suite
from nnr_conformance.toy_suite import write_toy_suite


@dataclass(frozen=True)
class Case:
    """Seeded fault, vector that exposes it, and required verdict."""

    fault: str
    vector: str
    verdict: str

    @property
    def id(self) -> str:
        """Id of the vector that selects the fault."""
        return f"toy/{self.fault}.{self.vector}"


CASES = (
    Case("none", "dense", "PASS"),
    Case("none", "names", "PASS"),
    Case("none", "update", "PASS"),
    Case("none", "magic", "PASS"),
    Case("none", "cut", "PASS"),
    Case("none", "feature", "PASS"),
    Case("none", "huge", "PASS"),
    Case("wrong-last-element", "dense", "FAIL(values)"),
    Case("wrong-last-element", "update", "FAIL(values)"),
    Case("wrong-last-element", "near", "PASS"),
    Case("wrong-last-level", "dense", "FAIL(levels)"),
    Case("wrong-shape", "dense", "FAIL(values)"),
    Case("wrong-dtype", "dense", "FAIL(values)"),
    Case("missing-tensor", "dense", "FAIL(values)"),
    Case("extra-tensor", "dense", "FAIL(values)"),
    Case("wrong-units", "dense", "FAIL(units)"),
    Case("wrong-trace", "dense", "FAIL(trace)"),
    Case("missing-output", "dense", "FAIL(output)"),
    Case("accepts-garbage", "magic", "WRONG_ACCEPT"),
    Case("rejects-everything", "dense", "WRONG_REJECT"),
    Case("rejects-everything", "magic", "PASS"),
    Case("wrong-error-class", "magic", "WRONG_ERROR(class)"),
    Case("wrong-error-bit", "magic", "WRONG_ERROR(bit)"),
    Case("crashes", "dense", "CRASH(SIGSEGV)"),
    Case("crashes", "magic", "CRASH(SIGSEGV)"),
    Case("exits", "dense", "CRASH(exit 42)"),
    Case("hangs", "dense", "TIMEOUT"),
    Case("spins", "dense", "TIMEOUT"),
    Case("hangs-with-orphans", "dense", "TIMEOUT"),
    Case("forks-orphans", "dense", "FAIL(process)"),
    Case("eats-memory", "huge", "OOM"),
    Case("unsupported", "dense", "UNSUPPORTED"),
)
"""Cases for both interfaces."""

JSONL_CASES = (
    Case("raises", "dense", "CRASH(IndexError)"),
    Case("babbles", "dense", "FAIL(protocol)"),
)
"""Cases that need a persistent child."""

FLAKY_CASES = (Case("flaky", "dense", "FLAKY"), Case("none", "near", "PASS"))
"""Cases for repeated runs."""


def toy_adapter(kind: str, fault: str = "from-stream") -> Adapter:
    """Create the toy decoder behind an interface, with a fixed fault or with the fault that each stream selects."""
    adapter = resolve_adapter(f"broken:{fault}@toy")
    if kind == "jsonl":
        return adapter
    argv = launch(
        "nnr_conformance.python_command",
        adapter.callable,
        *adapter.arguments,
        "--",
        "{inputs}",
        "--",
        "{outputs}",
    )
    return replace(adapter, kind="command", command=tuple(argv), callable="", arguments=())


def run_cases(
    cases: Sequence[Case], kind: str, suite: Suite, *, repeats: int = 1, jobs: int = 2
) -> dict[Case, str]:
    """Run cases and return the label of each."""
    vectors = {vector.id: vector for vector in suite.manifest.vectors}
    chosen = [(suite, vectors[case.id]) for case in cases]
    limits = Limits(seconds=60.0, memory_bytes=400 << 20)
    log = run(Plan(toy_adapter(kind), [suite], chosen, limits, jobs=jobs, repeats=repeats))
    return {case: result.label for case, result in zip(cases, log.results, strict=True)}


def selftest(emit: Callable[[str], None]) -> int:
    """Run every case and return the number of wrong verdicts."""
    n_wrong = 0
    selected = {(case.fault, case.vector): None for case in (*CASES, *JSONL_CASES, *FLAKY_CASES)}
    with tempfile.TemporaryDirectory(prefix="nnr_conformance.") as folder:
        suite = write_toy_suite(Path(folder) / "toy", selected)
        rounds = (("jsonl", CASES + JSONL_CASES, 1), ("jsonl", FLAKY_CASES, 2), ("command", CASES, 1))
        for kind, cases, repeats in rounds:
            for case, label in run_cases(cases, kind, suite, repeats=repeats).items():
                n_wrong += label != case.verdict
                mark = "ok   " if label == case.verdict else "WRONG"
                emit(f"{mark} {kind:8}{case.fault:22}{case.vector:9}{label:20}expected {case.verdict}")
    emit(f"{n_wrong} wrong")
    return n_wrong
