# SPDX-License-Identifier: Apache-2.0
"""Fuzz a target, or all of them one after the other.

    python -m tools.fuzz --seconds 60                     # each for a minute
    python -m tools.fuzz native-decode --runs 10000000
    python -m tools.fuzz model-files --runs 10000         # of each kind of model file; model-files:npz is one kind
    python -m tools.fuzz --table                          # what the log holds

Targets: native-decode, native-encode, native-estimate, native-quantize (libFuzzer, under the address and undefined-behaviour
sanitizers; ``--binaries`` says where they were built), and in Python decoder (bits of streams), structure (syntax elements,
through build), encoder (models and options) and model-files (readers of model files). Corpora, crashes and the log lie in
``--folder``. Exit code 1 on a finding.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for _folder in (ROOT, ROOT / "conformance"):
    sys.path.insert(0, str(_folder))

from tools.fuzz import model_files, native, python
from tools.fuzz.targets import TARGETS


def table(log: Path) -> None:
    """Add up what the log holds, target by target."""
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    print("| target | executions | seconds | reached | findings |\n|---|---:|---:|---:|---:|")
    for name in dict.fromkeys(entry["target"] for entry in entries):
        own = [entry for entry in entries if entry["target"] == name]
        best = max(own, key=lambda entry: entry["reached"])
        reached = f"{best['reached']:,} of {best['of']:,} {best['unit']}"
        executions, seconds = sum(e["executions"] for e in own), sum(e["seconds"] for e in own)
        print(
            f"| {name} | {executions:,} | {seconds:,.0f} | {reached} | {sum(bool(e['finding']) for e in own)} |"
        )


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="by default all that can run here")
    parser.add_argument("--seconds", type=float, default=1e12, help="for each target")
    parser.add_argument("--runs", type=int, default=1 << 62, help="for each target")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="by default another each time")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "fuzzing")
    parser.add_argument("--binaries", type=Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("--table", action="store_true", help="only print the table")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    log = options.folder / "log.jsonl"
    if options.table:
        table(log)
        return 0
    every = [
        *(native.NAMES if (options.binaries / "fuzz_decode").exists() else ()),
        *TARGETS,
        model_files.TOGETHER,
    ]
    unknown = set(options.targets) - set(native.NAMES) - set(TARGETS) - set(model_files.NAMES)
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}")
    if options.seconds == 1e12 and options.runs == 1 << 62:
        options.seconds = 60.0
    found = False
    for name in options.targets or every:
        if name in native.NAMES:
            entry = native.fuzz(name, binaries=options.binaries, folder=options.folder, seconds=options.seconds,
                                runs=options.runs, seed=options.seed & 0x7FFFFFFF)  # fmt: skip
        elif name in model_files.NAMES:
            entry = model_files.fuzz(name, seconds=options.seconds, runs=options.runs, seed=options.seed,
                                     crashes=options.folder / "crashes")  # fmt: skip
        else:
            entry = python.fuzz(name, seconds=options.seconds, runs=options.runs, seed=options.seed,
                                crashes=options.folder / "crashes")  # fmt: skip
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**entry, "seed": options.seed}) + "\n")
        found = found or bool(entry["finding"])
        print(f"{name}: {entry['executions']:,} executions, {entry['seconds']:.0f} s, {entry['reached']} of {entry['of']} "
              f"{entry['unit']} reached{', FOUND ' + entry['finding'] if entry['finding'] else ''}", flush=True)  # fmt: skip
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
