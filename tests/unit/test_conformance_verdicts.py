# SPDX-License-Identifier: Apache-2.0
"""Verdicts on the broken decoders, and cleanup of their processes and files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nnr_conformance import Limits, Plan, run
from nnr_conformance.adapters.broken import FAULTS, ORPHAN_SECONDS
from nnr_conformance.decoders.command import name_exit, parse_rejection
from nnr_conformance.python_child import launch
from nnr_conformance.result import Result
from nnr_conformance.selftest import CASES, FLAKY_CASES, JSONL_CASES, Case, run_cases, toy_adapter
from nnr_conformance.suite import Suite
from nnr_conformance.toy_suite import write_toy_suite
from nnr_conformance.verdict import Verdict, counts_against

# One for each verdict; the cases of the persistent child go through the same judge.
COMMAND_CASES = (
    Case("none", "update", "PASS"),
    Case("none", "feature", "PASS"),
    Case("wrong-last-element", "dense", "FAIL(values)"),
    Case("missing-output", "dense", "FAIL(output)"),
    Case("accepts-garbage", "magic", "WRONG_ACCEPT"),
    Case("rejects-everything", "dense", "WRONG_REJECT"),
    Case("wrong-error-bit", "magic", "WRONG_ERROR(bit)"),
    Case("crashes", "dense", "CRASH(SIGSEGV)"),
    Case("exits", "dense", "CRASH(exit 42)"),
    Case("hangs-with-orphans", "dense", "TIMEOUT"),
    Case("forks-orphans", "dense", "FAIL(process)"),
    Case("eats-memory", "huge", "OOM"),
    Case("unsupported", "dense", "UNSUPPORTED"),
)
ALL_CASES = [("jsonl", case) for case in (*CASES, *JSONL_CASES)] + [
    ("command", case) for case in COMMAND_CASES
]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    pairs = dict.fromkeys((case.fault, case.vector) for case in (*CASES, *JSONL_CASES, *FLAKY_CASES))
    return write_toy_suite(tmp_path_factory.mktemp("suites") / "toy", pairs)


@pytest.fixture(scope="module")
def labels(suite: Suite) -> dict[tuple[str, Case], str]:
    labels = {
        ("jsonl", case): label for case, label in run_cases((*CASES, *JSONL_CASES), "jsonl", suite).items()
    }
    return labels | {
        ("command", case): label for case, label in run_cases(COMMAND_CASES, "command", suite).items()
    }


@pytest.mark.parametrize(
    ("kind", "case"), ALL_CASES, ids=lambda part: part if isinstance(part, str) else part.id
)
def test_fault_gets_its_verdict(kind: str, case: Case, labels: dict[tuple[str, Case], str]) -> None:
    assert labels[kind, case] == case.verdict


def test_runs_that_differ_are_flaky(suite: Suite) -> None:
    assert list(run_cases(FLAKY_CASES, "jsonl", suite, repeats=2, jobs=1).values()) == ["FLAKY", "PASS"]


def test_every_fault_and_every_verdict_of_a_decoder_is_tried() -> None:
    tried = {case.fault for case in (*CASES, *JSONL_CASES, *FLAKY_CASES)}
    assert tried == set(FAULTS)
    seen = {case.verdict.partition("(")[0] for case in (*CASES, *JSONL_CASES, *FLAKY_CASES)}
    # The other four depend on claims, level and baseline; test_conformance_runner.py and test_conformance_levels.py have them.
    assert seen == {verdict.value for verdict in Verdict} - {"SKIP", "REFUSED", "XFAIL", "XPASS"}


def _one(suite: Suite, fault: str, name: str, **options: object) -> Result:
    vector = next(vector for vector in suite.manifest.vectors if vector.id == f"toy/{name}")
    return run(Plan(toy_adapter("jsonl", fault), [suite], [(suite, vector)], **options)).results[0]


def test_wrong_last_element_is_located(suite: Suite) -> None:
    divergence = _one(suite, "wrong-last-element", "update").divergence
    assert divergence is not None
    assert (divergence.layer, divergence.stream, divergence.unit, divergence.tensor, divergence.index) == (
        "values",
        1,
        1,
        "weight",
        (1, 2),
    )
    assert (divergence.bit, divergence.n_different, divergence.n_elements) == (80, 1, 6)
    assert (divergence.expected, divergence.expected_hex, divergence.actual_hex) == (
        "-1.5",
        "bfc00000",
        "bfc00001",
    )


def test_scores_each_layer_by_itself(suite: Suite) -> None:
    layers = _one(suite, "wrong-last-level", "dense").layers
    assert layers["levels"] == "fail"
    assert {name for name, score in layers.items() if score == "pass"} == {
        "verdict", "units", "trace", "topology", "arithmetic", "values", "reencode",
    }  # fmt: skip


def test_memory_and_time_are_reported(suite: Suite) -> None:
    result = _one(suite, "eats-memory", "dense", limits=Limits(memory_bytes=200 << 20))
    assert result.verdict == "OOM"
    assert 200 << 20 < result.peak_memory_bytes < 2 << 30


@pytest.mark.skipif(
    sys.platform != "linux", reason="orphans in a session of their own are found on Linux only"
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_nothing_behind(
    suite: Suite, tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    marker = f"NNR_TEST_MARKER={tmp_path}"
    argv = launch(
        "nnr_conformance.cli",
        "run",
        "toy/dense",
        "--suites",
        str(suite.folder),
        "--jobs",
        "1",
        "--quiet",
        "--decoder",
        "broken:hangs-with-orphans@toy",
    )
    runner = subprocess.Popen(
        argv, env={**os.environ, "NNR_TEST_MARKER": str(tmp_path)}, stderr=subprocess.DEVNULL
    )
    try:
        # The runner, its worker, the decoder and the orphan that the decoder has made.
        _wait_for(lambda: len(_marked(marker)) >= 4)
        runner.send_signal(number)
        runner.wait(90)
        _wait_for(lambda: not _marked(marker) and not list(tmp_path.iterdir()))
    finally:
        runner.kill()
        runner.wait()
    assert ORPHAN_SECONDS > 60


def _marked(marker: str) -> list[int]:
    """Processes with the marker in their environment."""
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if marker.encode() in (entry / "environ").read_bytes():
                    pids.append(int(entry.name))
            except OSError:
                continue
    return pids


def _wait_for(condition: object, seconds: float = 90.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("code", "name"), [(-11, "SIGSEGV"), (139, "SIGSEGV"), (42, "exit 42"), (255, "exit 255")]
)
def test_names_exits(code: int, name: str) -> None:
    assert name_exit(code) == name


def test_reads_a_rejection_from_stderr() -> None:
    rejection = parse_rejection(
        "noise\nnnr-error: truncated bit=77 stage=payload stream=1 ends early\nmore noise"
    )
    assert (rejection.error_class, rejection.bit_offset, rejection.stage, rejection.stream) == (
        "truncated",
        77,
        "payload",
        1,
    )
    assert rejection.message == "ends early"
    assert parse_rejection("just words").error_class is None


def test_a_recommendation_may_be_departed_from_but_not_crashed_on() -> None:
    assert not counts_against(Verdict.FAIL, "should")
    assert counts_against(Verdict.CRASH, "should")
    assert counts_against(Verdict.UNSUPPORTED, "shall")
    assert counts_against(Verdict.XFAIL, "shall")
