# SPDX-License-Identifier: Apache-2.0
"""Command line of ``python -m nnr_conformance`` and ``nnr conformance``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from nnr_conformance.adapter import SHIPPED, resolve_adapter
from nnr_conformance.adapters.broken import FAULTS
from nnr_conformance.baseline import Baseline, baseline_of
from nnr_conformance.certificate import read_certificate_text
from nnr_conformance.cli_options import add_limits, add_selection, limits_of, selection_of
from nnr_conformance.coverage import load_coverage, render_coverage
from nnr_conformance.errors import ConformanceError, UsageError
from nnr_conformance.explain import explain
from nnr_conformance.json_schema import load_json, save_json
from nnr_conformance.levels import find_level
from nnr_conformance.lint import lint
from nnr_conformance.reports import REPORTS
from nnr_conformance.reports.certificate import parse_certificate, verdict_line
from nnr_conformance.result import Log, Result, load_log
from nnr_conformance.runner import Plan, run
from nnr_conformance.scaffold import scaffold
from nnr_conformance.selftest import selftest
from nnr_conformance.suite import default_suites_folder, find_suites, find_vector
from nnr_conformance.verdict import NOT_JUDGED, Verdict
from nnr_conformance.verify import decoder_faults, differences, verify
from nnr_conformance.version import __version__

_EPILOG = "Exit codes: 0 conforming, 1 not, 2 differs from the baseline, 3 the runner failed, 4 usage."
_INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(UsageError.exit_code, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = _make_parser()
    try:
        options = parser.parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        return int(options.run(options))
    except ConformanceError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # `| head` closed the pipe: stay quiet, also in the interpreter's last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


def _make_parser() -> _Parser:
    parser = _Parser(prog="nnr_conformance", description="Check decoders of NNC bitstreams.", epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    command = commands.add_parser("run", help="run decoders on vectors", epilog=_EPILOG)
    add_selection(command)
    add_limits(command)
    command.add_argument(
        "--decoder", "-d", action="append", metavar="D", help="decoder under test; repeatable"
    )
    command.add_argument(
        "--jobs", "-j", type=int, default=os.cpu_count() or 1, help="number of vectors run in parallel"
    )
    command.add_argument(
        "--level",
        metavar="NAME",
        help="level to conform to (levels.json); the decoder may refuse vectors beyond it",
    )
    command.add_argument("--repeats", type=int, default=1, help="runs per vector; differing runs are FLAKY")
    command.add_argument(
        "--baseline", type=Path, metavar="FILE", help="file of known failures; an unexpected pass differs too"
    )
    command.add_argument(
        "--write-baseline", type=Path, metavar="FILE", help="write the failures of this run as the baseline"
    )
    command.add_argument("--log", type=Path, metavar="FILE", help="write the JSON-lines log")
    command.add_argument(
        "--report", action="append", default=[], metavar="KIND[=FILE]", help=", ".join(REPORTS)
    )
    command.add_argument("--quiet", "-q", action="store_true", help="no progress on stderr")
    command.set_defaults(run=_run)

    command = commands.add_parser(
        "report", help="render one or several logs, for example of shards or of several decoders"
    )
    command.add_argument("logs", nargs="+", type=Path)
    command.add_argument(
        "--report", action="append", default=[], metavar="KIND[=FILE]", help=", ".join(REPORTS)
    )
    command.set_defaults(run=_report)

    command = commands.add_parser("list", help="list vectors, or check the suites")
    add_selection(command)
    command.add_argument(
        "--check", action="store_true", help="check files, hashes and rules; exit 1 on a fault"
    )
    command.add_argument(
        "--elements",
        type=Path,
        help="with --check: file that lists the syntax elements of the grammar, one per line",
    )
    command.set_defaults(run=_list)

    command = commands.add_parser("explain", help="show the first divergence of a decoder on one vector")
    command.add_argument("id")
    command.add_argument("--suites", type=Path, metavar="DIR")
    command.add_argument("--decoder", "-d", default="native", metavar="D")
    command.add_argument(
        "--against", metavar="D", help="decoder whose arrays replace expectations that are stored as hashes"
    )
    add_limits(command)
    command.set_defaults(run=_explain)

    command = commands.add_parser(
        "verify", help="verify a certificate against the suites, and by a second run"
    )
    command.add_argument("certificate", type=Path)
    command.add_argument("--suites", type=Path, metavar="DIR")
    command.add_argument("--decoder", "-d", default="", metavar="D", help="compare the files of the decoder")
    command.add_argument("--rerun", action="store_true", help="run the decoder again and compare its results")
    command.add_argument("--jobs", "-j", type=int, default=os.cpu_count() or 1)
    add_limits(command)
    command.set_defaults(run=_verify)

    command = commands.add_parser("coverage", help="show how much of the format the vectors exercise")
    command.add_argument("--file", type=Path, help="default: coverage.json beside the folder of the suites")
    command.add_argument("--suites", type=Path, metavar="DIR")
    command.add_argument(
        "--floor", type=float, default=0.0, metavar="PERCENT", help="exit 1 when a group is below this"
    )
    command.add_argument("--missing", action="store_true", help="list uncovered items")
    command.set_defaults(run=_coverage)

    command = commands.add_parser("adapter", help="create an adapter, or list the shipped ones")
    actions = command.add_subparsers(required=True, metavar="ACTION", parser_class=_Parser)
    action = actions.add_parser("new", help="write the files of a new adapter")
    action.add_argument("name")
    action.add_argument("--kind", choices=("command", "jsonl", "python"), default="command")
    action.add_argument("--folder", type=Path, default=Path())
    action.set_defaults(run=_adapter_new)
    actions.add_parser("list", help="list the shipped adapters and faults").set_defaults(run=_adapter_list)

    commands.add_parser("selftest", help="run the deliberately broken decoders").set_defaults(run=_selftest)
    return parser


def _run(options: argparse.Namespace) -> int:
    suites = find_suites(options.suites, tuple(options.suite))
    selection = selection_of(options)
    reports = [_parse_report(report) for report in options.report] or [("terminal", None)]
    baseline = load_json(Baseline, options.baseline) if options.baseline else None
    specs: list[str] = options.decoder or ["native"]
    if len(specs) > 1 and (baseline or options.write_baseline):
        raise UsageError("a baseline belongs to one decoder: pass --decoder once")
    if options.jobs < 1 or options.repeats < 1:
        raise UsageError("--jobs and --repeats must be at least 1")
    vectors = selection.choose(suites)
    level = find_level(options.level, options.suites or default_suites_folder()) if options.level else None
    logs: list[Log] = []
    for spec in specs:
        plan = Plan(
            resolve_adapter(spec),
            suites,
            vectors,
            limits_of(options),
            jobs=options.jobs,
            repeats=options.repeats,
            level=level,
            baseline=None if options.write_baseline else baseline,
            selection=selection.expression(),
            decoder=spec,
            folder=str(options.suites or ""),
        )
        logs.append(run(plan, None if options.quiet else _Progress(len(vectors))))
    if options.write_baseline:
        previous = load_json(Baseline, options.write_baseline) if options.write_baseline.is_file() else None
        save_json(baseline_of(logs[0].run.claims.name, logs[0].results, previous), options.write_baseline)
    if options.log:
        reports.append(("log", options.log))
    if not any(path is None for _, path in reports):
        # Reports in files leave the summary on the terminal.
        reports.append(("terminal", None))
    for kind, path in reports:
        _write(REPORTS[kind](logs), path)
    return max(log.end.exit_code for log in logs if log.end is not None)


class _Progress:
    """Progress line on stderr; written to terminals only."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._shown = total, 0, sys.stderr.isatty()

    def __call__(self, result: Result) -> None:
        self._done += 1
        if self._shown:
            mark = (
                "" if result.verdict in (Verdict.PASS, *NOT_JUDGED) else f"  {result.label} {result.vector}\n"
            )
            end = "\n" if self._done == self._total else ""
            print(f"\r\x1b[K{mark}{self._done}/{self._total}{end}", end="", file=sys.stderr, flush=True)


def _parse_report(text: str) -> tuple[str, Path | None]:
    kind, equals, path = text.partition("=")
    if kind not in REPORTS:
        raise UsageError(f"unknown report {kind!r}; known: {', '.join(REPORTS)}")
    return kind, Path(path) if equals else None


def _write(text: str, path: Path | None) -> None:
    if path is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def _report(options: argparse.Namespace) -> int:
    logs = [log for path in options.logs for log in load_log(path)]
    for kind, path in [_parse_report(report) for report in options.report] or [("terminal", None)]:
        _write(REPORTS[kind](logs), path)
    return 0 if all(log.conforms for log in logs) else 1


def _list(options: argparse.Namespace) -> int:
    suites = find_suites(options.suites, tuple(options.suite))
    if options.check:
        elements = set(options.elements.read_text(encoding="utf-8").split()) if options.elements else None
        faults = lint(suites, elements, among=find_suites(options.suites))
        for fault in faults:
            print(fault)
        print(f"{sum(len(suite.manifest.vectors) for suite in suites)} vectors, {len(faults)} faults")
        return 1 if faults else 0
    for _, vector in selection_of(options).choose(suites):
        print(f"{vector.id:40}  {vector.expect.verdict:6}  {vector.purpose}")
    return 0


def _explain(options: argparse.Namespace) -> int:
    suite, vector = find_vector(options.id, options.suites)
    against = resolve_adapter(options.against) if options.against else None
    explanation = explain(
        resolve_adapter(options.decoder), suite, vector, limits_of(options), options.decoder, against,
        str(options.suites or ""),
    )  # fmt: skip
    _write(explanation.text, None)
    return 0 if explanation.passes else 1


def _verify(options: argparse.Namespace) -> int:
    if options.rerun and not options.decoder:
        raise UsageError("--rerun needs --decoder")
    certificate = parse_certificate(read_certificate_text(options.certificate), str(options.certificate))
    folder = options.suites or default_suites_folder()
    suites = find_suites(folder)
    faults = verify(certificate, suites)
    if options.decoder:
        adapter = resolve_adapter(options.decoder)
        faults += decoder_faults(certificate, adapter)
        if options.rerun and not faults:
            by_id = {vector.id: (suite, vector) for suite in suites for vector in suite.manifest.vectors}
            vectors = [by_id[result.vector] for result in certificate.results]
            level = find_level(certificate.level, folder) if certificate.level else None
            plan = Plan(adapter, suites, vectors, limits_of(options), jobs=options.jobs, level=level)
            faults += differences(certificate, run(plan, _Progress(len(vectors))))
    for fault in faults:
        print(fault)
    name = f"{certificate.claims.name} {certificate.claims.version}".strip()
    print(f"{name}: {verdict_line(certificate)}")
    checked = (
        "by a second run"
        if options.rerun
        else "decoder's files too"
        if options.decoder
        else "decoder not checked"
    )
    print(f"Not verified: {len(faults)} faults." if faults else f"Verified ({checked}).")
    return 1 if faults else 0


def _coverage(options: argparse.Namespace) -> int:
    folder = options.suites or default_suites_folder()
    coverage = load_coverage(options.file or folder.parent / "coverage.json")
    _write(render_coverage(coverage, missing=options.missing), None)
    faults = coverage.faults(find_suites(folder))
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults or any(group.percent < options.floor for group in coverage.groups) else 0


def _adapter_new(options: argparse.Namespace) -> int:
    for path in scaffold(options.name, options.kind, options.folder):
        print(path)
    return 0


def _adapter_list(_: argparse.Namespace) -> int:
    print("\n".join([*SHIPPED, *(f"broken:{fault}" for fault in FAULTS)]))
    return 0


def _selftest(_: argparse.Namespace) -> int:
    return 1 if selftest(print) else 0
