# SPDX-License-Identifier: Apache-2.0
"""Fuzzing of one target, or of all targets in sequence.

    python -m tools.fuzz --seconds 60                     # every target for a minute
    python -m tools.fuzz native-decode --runs 10000000
    python -m tools.fuzz model-files --runs 10000         # of each kind of model file; model-files:npz is one kind
    python -m tools.fuzz --table                          # print the table of the log

Targets: native-decode, native-encode, native-estimate, native-quantize (libFuzzer, under the address and undefined-behaviour
sanitizers; ``--binaries`` names their folder), libnnr-decode, libnnr-headers and libnnr-push (the same, of nnr.h), and in
Python decoder (bits of streams), structure (syntax elements,
through build), encoder (models and options) and model-files (readers of model files). Corpora, crashes and the log are in
``--folder``. The exit code is 1 on a finding.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from tools.fuzz import libnnr, model_files, native, python
from tools.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]


def table(log: Path) -> None:
    """Print the totals of the log by target."""
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    print("| target | executions | seconds | reached | findings |\n|---|---:|---:|---:|---:|")
    for name in dict.fromkeys(entry["target"] for entry in entries):
        runs = [entry for entry in entries if entry["target"] == name]
        widest = max(runs, key=lambda entry: entry["reached"])
        reached = f"{widest['reached']:,} of {widest['of']:,} {widest['unit']}"
        executions, seconds = sum(e["executions"] for e in runs), sum(e["seconds"] for e in runs)
        print(
            f"| {name} | {executions:,} | {seconds:,.0f} | {reached} | {sum(bool(e['finding']) for e in runs)} |"
        )


def main() -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: all targets that can run here")
    parser.add_argument("--seconds", type=float, default=1e12, help="time per target")
    parser.add_argument("--runs", type=int, default=1 << 62, help="executions per target")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: from the clock")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "fuzzing")
    parser.add_argument("--binaries", type=Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("--table", action="store_true", help="only print the table")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    log = options.folder / "log.jsonl"
    if options.table:
        table(log)
        return 0
    available = [
        *(native.NAMES if (options.binaries / "fuzz_decode").exists() else ()),
        *(libnnr.NAMES if libnnr.can_run() else ()),
        *TARGETS,
        model_files.TOGETHER,
    ]
    unknown = (
        set(options.targets) - set(native.NAMES) - set(libnnr.NAMES) - set(TARGETS) - set(model_files.NAMES)
    )
    if unknown:
        parser.error(f"unknown target {', '.join(sorted(unknown))}")
    if options.seconds == 1e12 and options.runs == 1 << 62:
        options.seconds = 60.0
    any_finding = False
    for name in options.targets or available:
        if name in native.NAMES:
            entry = native.fuzz(name, binaries=options.binaries, folder=options.folder, seconds=options.seconds,
                                runs=options.runs, seed=options.seed & 0x7FFFFFFF)  # fmt: skip
        elif name in libnnr.NAMES:
            entry = libnnr.fuzz(name, folder=options.folder, seconds=options.seconds, runs=options.runs,
                                seed=options.seed & 0x7FFFFFFF)  # fmt: skip
        elif name in model_files.NAMES:
            entry = model_files.fuzz(name, seconds=options.seconds, runs=options.runs, seed=options.seed,
                                     crashes=options.folder / "crashes")  # fmt: skip
        else:
            entry = python.fuzz(name, seconds=options.seconds, runs=options.runs, seed=options.seed,
                                crashes=options.folder / "crashes")  # fmt: skip
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**entry, "seed": options.seed}) + "\n")
        any_finding = any_finding or bool(entry["finding"])
        print(f"{name}: {entry['executions']:,} executions, {entry['seconds']:.0f} s, {entry['reached']} of {entry['of']} "
              f"{entry['unit']} reached{', FOUND ' + entry['finding'] if entry['finding'] else ''}", flush=True)  # fmt: skip
    return int(any_finding)


if __name__ == "__main__":
    sys.exit(main())
