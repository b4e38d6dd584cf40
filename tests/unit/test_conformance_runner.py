# SPDX-License-Identifier: Apache-2.0
"""Selection, baselines, reports, adapters and exit codes of the checker."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from nnr_conformance.adapter import resolve_adapter
from nnr_conformance.baseline import Baseline, KnownFailure, baseline_of
from nnr_conformance.cli import main
from nnr_conformance.errors import UsageError
from nnr_conformance.json_schema import load_json, save_json, to_json
from nnr_conformance.reports import REPORTS
from nnr_conformance.result import Log, Result, load_log
from nnr_conformance.runner import Plan, run
from nnr_conformance.selection import Selection
from nnr_conformance.suite import Suite
from nnr_conformance.toy_suite import write_toy_suite


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    return write_toy_suite(tmp_path_factory.mktemp("suites") / "toy")


@pytest.fixture(scope="module")
def log(suite: Suite) -> Log:
    """Log of a decoder with a wrong last element, on all vectors."""
    vectors = [(suite, vector) for vector in suite.manifest.vectors]
    decoder = "broken:wrong-last-element@toy"
    plan = Plan(resolve_adapter(decoder), [suite], vectors, decoder=decoder, folder=str(suite.folder))
    return run(replace(plan, jobs=2))


def _verdicts(log: Log) -> dict[str, str]:
    return {result.vector: result.label for result in log.results}


def test_runs_everything_in_order(log: Log, suite: Suite) -> None:
    assert [result.vector for result in log.results] == [vector.id for vector in suite.manifest.vectors]
    failing = {name for name, label in _verdicts(log).items() if label == "FAIL(values)"}
    assert failing == {"toy/dense", "toy/names", "toy/update", "toy/advice"}
    assert log.end is not None
    assert log.end.exit_code == 1
    assert not log.conforms


# --- selection ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (Selection(ids=("toy/n*",)), ["names", "near"]),
        (Selection(features=("truncation", "limits")), ["cut", "huge"]),
        (Selection(clauses=("3",)), ["names"]),
        (Selection(profiles=(1,)), ["update"]),
        (Selection(requirement="should"), ["advice"]),
        (Selection(ids=("toy/n*",), features=("uniform",)), ["near"]),
        (Selection(shard=(2, 4)), ["names", "magic"]),
        (Selection(elements=("no_such_element",)), []),
    ],
)
def test_selects(suite: Suite, selection: Selection, names: list[str]) -> None:
    assert [vector.id for _, vector in selection.choose([suite])] == [f"toy/{name}" for name in names]


def test_shards_are_a_partition(suite: Suite) -> None:
    shards = [vector.id for i in (1, 2, 3) for _, vector in Selection(shard=(i, 3)).choose([suite])]
    assert sorted(shards) == sorted(vector.id for vector in suite.manifest.vectors)


def test_a_misspelt_id_is_no_success(suite: Suite) -> None:
    with pytest.raises(UsageError, match="toy/dens"):
        Selection(ids=("toy/dens",)).choose([suite])


def test_what_is_not_claimed_is_skipped(suite: Suite) -> None:
    adapter = replace(
        resolve_adapter("broken:rejects-everything@toy"), profiles=(1,), without=("incremental",)
    )
    vectors = Selection(ids=("toy/dense", "toy/update")).choose([suite])
    skipped = run(Plan(adapter, [suite], vectors))
    assert [(result.verdict, result.detail) for result in skipped.results] == [
        ("SKIP", "profile 0 is not claimed"),
        ("SKIP", "not claimed: incremental"),
    ]


# --- baseline -------------------------------------------------------------------------------------


def _apply(log: Log, suite: Suite, change: dict[str, str | None]) -> tuple[dict[str, str], list[str]]:
    """Apply the baseline of the failures of the log after changing some entries."""
    failures = dict(baseline_of("toy", log.results).failures)
    for name, verdict in change.items():
        failures.pop(name, None)
        if verdict is not None:
            failures[name] = KnownFailure(verdict=verdict)
    results, departures = Baseline(decoder="toy", failures=failures).apply(
        log.results, [vector.id for vector in suite.manifest.vectors]
    )
    return {result.vector: result.verdict for result in results}, departures


def test_known_failures_are_expected(log: Log, suite: Suite) -> None:
    verdicts, departures = _apply(log, suite, {})
    assert departures == []
    assert verdicts["toy/dense"] == "XFAIL"
    assert verdicts["toy/near"] == "PASS"


@pytest.mark.parametrize(
    ("change", "vector", "verdict"),
    [
        ({"toy/dense": None}, "toy/dense", "FAIL"),
        ({"toy/near": "FAIL(values)"}, "toy/near", "XPASS"),
        ({"toy/dense": "CRASH(SIGSEGV)"}, "toy/dense", "FAIL"),
        ({"toy/gone": "TIMEOUT"}, "toy/gone", None),
    ],
)
def test_baseline_is_two_sided(
    log: Log, suite: Suite, change: dict[str, str | None], vector: str, verdict: str | None
) -> None:
    verdicts, departures = _apply(log, suite, change)
    assert len(departures) == 1
    assert departures[0].startswith(f"{vector}:")
    assert verdicts.get(vector) == verdict


def test_baseline_keeps_reasons_and_what_was_not_run(log: Log) -> None:
    known = {"toy/dense": KnownFailure(verdict="OOM", reason="why"), "other/x": KnownFailure(verdict="OOM")}
    written = baseline_of("toy", log.results, Baseline(decoder="toy", failures=known)).failures
    assert written["toy/dense"] == KnownFailure(verdict="FAIL(values)", reason="why")
    assert written["other/x"] == known["other/x"]
    assert "toy/near" not in written


# --- reports --------------------------------------------------------------------------------------


def test_log_is_the_source_of_every_report(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log.save(path)
    (again,) = load_log(path)
    assert again == replace(log, results=list(log.results))
    for render in REPORTS.values():
        assert render([again]) == render([log])


def test_junit_counts(log: Log) -> None:
    (case_suite,) = ElementTree.fromstring(REPORTS["junit"]([log]))
    assert case_suite.attrib["tests"] == "9"
    assert case_suite.attrib["failures"] == "4"
    assert len(case_suite.findall("testcase/failure")) == 4


def test_json_report_has_everything(log: Log) -> None:
    (run_report,) = json.loads(REPORTS["json"]([log]))["runs"]
    assert run_report["conforms"] is False
    assert run_report["features"]["uniform"] == {"passed": 1, "failed": 0, "skipped": 0}
    assert run_report["results"] == [to_json(result) for result in log.results]


def test_html_loads_nothing_and_escapes(log: Log) -> None:
    evil = replace(log.results[0], verdict="FAIL", detail="<script>alert(1)</script>\x1b[31m")
    page = REPORTS["html"]([replace(log, results=[evil])])
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert "http" not in page
    assert page.count("<tr data-words") == 1


def test_texts_name_what_fails_and_how_to_see_it(log: Log, suite: Suite) -> None:
    again = f"explain toy/dense --suites {suite.folder} --decoder broken:wrong-last-element@toy"
    for kind in ("terminal", "markdown", "junit", "html"):
        text = REPORTS[kind]([log])
        assert again in text
        assert "weight[1, 2] at bit 80" in text
    assert "Not conforming: 3 of 8 requirements are not met." in REPORTS["statement"]([log])


def test_statement_of_a_known_failure_does_not_conform(log: Log, suite: Suite) -> None:
    results, _ = baseline_of("toy", log.results).apply(
        log.results, [vector.id for vector in suite.manifest.vectors]
    )
    assert "Not conforming" in REPORTS["statement"]([replace(log, results=results)])


# --- command line ---------------------------------------------------------------------------------


def _main(suite: Suite, command: str, *arguments: str) -> int:
    return main([command, *arguments, "--suites", str(suite.folder)])


def test_exit_codes(suite: Suite, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dense = ("toy/dense", "toy/near", "-q", "-j", "1", "-d", "broken:wrong-last-element@toy")
    baseline = tmp_path / "known.json"
    assert _main(suite, "run", "toy/near", "-q", "-d", "broken:none@toy") == 0
    assert _main(suite, "run", *run_dense, "--write-baseline", str(baseline)) == 1
    assert _main(suite, "run", *run_dense, "--baseline", str(baseline)) == 0
    save_json(replace(load_json(Baseline, baseline), failures={}), baseline)
    assert _main(suite, "run", *run_dense, "--baseline", str(baseline)) == 2
    assert _main(suite, "run", "toy/dense", "-d", "cmd:/no/such/program {input} {output}") == 3
    assert _main(suite, "run", "toy/dense", "-d", "jsonl:true") == 3
    for wrong in (
        ["-d", "nobody"],
        ["--shard", "3/2"],
        ["--feature", "wings"],
        ["--no-such-option"],
        ["no/id"],
    ):
        assert _main(suite, "run", *wrong) == 4
    assert main(["list", "--suites", str(tmp_path)]) == 4
    capsys.readouterr()


def test_damaged_suite_is_the_runners_failure(
    suite: Suite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(suite.folder, tmp_path / "toy")
    stream = tmp_path / "toy" / "vectors" / "near.0.nnc"
    stream.write_bytes(stream.read_bytes() + b"\n")
    assert main(["run", "toy/near", "-q", "-d", "broken:none@toy", "--suites", str(tmp_path)]) == 3
    assert "SHA-256" in capsys.readouterr().err
    assert main(["list", "--check", "--suites", str(tmp_path)]) == 1


def test_explain_tells_place_and_command(suite: Suite, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("toy/dense", "--decoder", "broken:wrong-last-level@toy")
    assert _main(suite, "explain", *arguments) == 1
    output = capsys.readouterr().out
    assert "FAIL(levels)" in output
    assert "stream 0, unit 1, tensor 'weight', index [1, 2], bit 80" in output
    assert "-6   0xfffffffa" in output
    assert f"explain toy/dense --suites {suite.folder} --decoder broken:wrong-last-level@toy" in output
    assert _main(suite, "explain", "toy/near", "--decoder", "broken:none@toy") == 0


# --- adapters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["command", "jsonl", "python"])
def test_scaffold_runs_as_it_is(
    kind: str,
    suite: Suite,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert main(["adapter", "new", "my-decoder", "--kind", kind, "--folder", str(tmp_path)]) == 0
    adapter = tmp_path / "my-decoder.adapter.json"
    assert main(["adapter", "new", "my-decoder", "--kind", kind, "--folder", str(tmp_path)]) == 4
    path = tmp_path / "log"
    assert _main(suite, "run", "toy/dense", "-q", "-d", str(adapter), "--log", str(path)) == 1
    capsys.readouterr()
    (log,) = load_log(path)
    assert [result.label for result in log.results] == ["UNSUPPORTED"]
    assert "no decoder is called yet" in log.results[0].detail


SHELL_ADAPTER = """#!/bin/sh
# Written from conformance/README.md alone: a decoder in shell that only hashes, for two of the toy vectors.
head -c 5 "$1" | grep -q TOY1 || { echo "nnr-error: malformed bit=0" >&2; exit 1; }
tail -c 3 "$1" | grep -q END || { echo "nnr-error: truncated" >&2; exit 1; }
grep -q '"weight": ' "$1" || exit 69
first_row='\\0\\0\\300\\076\\0\\0\\100\\277\\0\\0\\220\\077'
sha=$(printf "$first_row"'\\0\\0\\0\\0\\0\\0\\360\\077\\0\\0\\020\\300' | sha256sum)
cat > "$2" <<END
{"format": "nnr-conformance-report/1",
 "tensors": {"weight": {"dtype": "float32", "shape": [2, 3], "sha256": "${sha%% *}"}}}
END
"""


def test_an_adapter_in_another_language(suite: Suite, tmp_path: Path) -> None:
    program = tmp_path / "adapter.sh"
    program.write_text(SHELL_ADAPTER)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    adapter = replace(resolve_adapter(f"cmd:{program} {{input}} {{output}}"), output="hashes")
    vectors = Selection(ids=("toy/near", "toy/magic", "toy/cut", "toy/update", "toy/advice")).choose([suite])
    assert _verdicts(run(Plan(adapter, [suite], vectors))) == {
        "toy/near": "PASS",
        "toy/update": "UNSUPPORTED",
        "toy/advice": "UNSUPPORTED",
        "toy/magic": "PASS",
        "toy/cut": "PASS",
    }


@pytest.mark.parametrize(
    "command", ["decoder {input}", "decoder {inptu} {output}", "decoder --in={inputs} {outputs}"]
)
def test_templates_are_checked(command: str) -> None:
    with pytest.raises(UsageError):
        resolve_adapter(f"cmd:{command}").build()


def test_results_do_not_count_what_is_excused() -> None:
    result = Result(
        event="result",
        vector="a",
        suite="a",
        purpose="",
        profile=0,
        features=(),
        clauses=(),
        requirement="should",
        verdict="FAIL",
    )
    assert not result.counts_against(at_level=False)
    assert replace(result, verdict="CRASH").counts_against(at_level=False)
