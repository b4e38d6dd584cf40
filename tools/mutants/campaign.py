# SPDX-License-Identifier: Apache-2.0
"""Campaign of hand-seeded faults in the clean-room Rust decoder: ``nice python -m tools.mutants.campaign``.

``campaign.json`` lists the faults by kind: texts that a fault replaces in ``conformance/rust_decoder/src``. Each fault is
applied to a copy of the crate, which is built and then decodes the vectors with the requirement ``shall``, those of the generated
suite ``large`` included, until one fails.
Faults that survive must be in ``campaign_survivors.json`` with a reason. The exit code is 1 for any other survivor.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnr_conformance.decoders.command import name_exit, parse_rejection
from nnr_conformance.judge import judge
from nnr_conformance.observation import Observation, Status
from nnr_conformance.output import OutputError, read_output
from nnr_conformance.protocol import EXIT_DECODED, EXIT_REJECTED, EXIT_UNSUPPORTED
from nnr_conformance.suite import Suite, find_suites
from nnr_conformance.vector import Vector
from nnr_conformance.verdict import Verdict

from conformance.generators.seeded.suites import write_suite

CRATE = Path(__file__).resolve().parents[2] / "conformance" / "rust_decoder"
FAULTS = Path(__file__).with_name("campaign.json")
SURVIVORS = Path(__file__).with_name("campaign_survivors.json")
#: Vectors that exposed earlier faults of the same file are tried first.
_LIKELY = 25
_SMALL_BYTES = 2000
_SECONDS, _MEMORY_BYTES = 20.0, 6 << 30


@dataclass(frozen=True)
class CrateFault:
    """Fault of the crate; every edit replaces a text that its file has exactly once."""

    kind: str
    name: str
    edits: list[dict[str, str]]

    @property
    def key(self) -> str:
        """Kind and name, which identify the fault."""
        return f"{self.kind}: {self.name}"

    def sources(self) -> dict[str, str]:
        """Return the changed sources, by file.

        Raises
        ------
        ValueError
            If a file does not have the text of an edit exactly once.
        """
        sources: dict[str, str] = {}
        for edit in self.edits:
            name = edit["file"]
            text = sources.get(name) or (CRATE / "src" / name).read_text(encoding="utf-8")
            if text.count(edit["before"]) != 1:
                raise ValueError(
                    f"{self.key}: {name} has {text.count(edit['before'])} times {edit['before']!r}"
                )
            sources[name] = text.replace(edit["before"], edit["after"])
        return sources


def load_faults() -> list[CrateFault]:
    """Read the faults."""
    return [CrateFault(**entry) for entry in json.loads(FAULTS.read_text(encoding="utf-8"))]


def load_reasons() -> dict[str, str]:
    """Read the reasons of the listed survivors, by key."""
    reasons: dict[str, str] = json.loads(SURVIVORS.read_text(encoding="utf-8"))
    return reasons


class Crate:
    """Copy of the crate in which faults are built, one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(CRATE, folder / "crate", ignore=shutil.ignore_patterns("target"))

    def build(self, fault: CrateFault | None) -> Path | None:
        """Build the crate with a fault; returns the program, or None if it does not compile."""
        changed = {} if fault is None else fault.sources()
        for path in sorted((CRATE / "src").glob("*.rs")):
            text = changed.get(path.name) or path.read_text(encoding="utf-8")
            copy = self.folder / "crate" / "src" / path.name
            # An unchanged file keeps its time stamp, so that cargo builds only what a fault changes.
            if copy.read_text(encoding="utf-8") != text:
                copy.write_text(text, encoding="utf-8")
        command = ["cargo", "build", "--offline", "--quiet", "--bins"]
        environment = {
            "CARGO_PROFILE_DEV_OPT_LEVEL": "1",
            "CARGO_INCREMENTAL": "1",
            "RUSTFLAGS": "-Awarnings",
        }
        target = self.folder / "target"
        result = subprocess.run(
            [*command, "--target-dir", str(target)],
            cwd=self.folder / "crate",
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            print(result.stderr, file=sys.stderr)
            return None
        return target / "debug" / "nnc_decoder"


def required_vectors(generated: Path | None = None) -> list[tuple[Suite, Vector]]:
    """Return the vectors that decide conformance, in a fixed random order that mixes the features, large ones last.

    Parameters
    ----------
    generated : Path, optional
        Folder with the suite ``large``.
    """
    vectors = [
        (suite, vector)
        for suite in (*find_suites(None), *(find_suites(generated) if generated else ()))
        for vector in suite.manifest.vectors
        if vector.requirement == "shall"
    ]
    random.Random("campaign").shuffle(vectors)
    return sorted(vectors, key=lambda pair: sum(file.size_bytes for file in pair[1].streams) > _SMALL_BYTES)


def failures_of(
    program: Path, vectors: Sequence[tuple[Suite, Vector]], folder: Path
) -> Iterator[tuple[str, str]]:
    """Yield the vectors that a program fails: id and verdict."""
    for suite, vector in vectors:
        judgement = judge(suite, vector, _observe(program, suite, vector, folder))
        if judgement.verdict is not Verdict.PASS:
            yield vector.id, f"{judgement.verdict}{f' {judgement.at}' if judgement.at else ''}"


def _observe(program: Path, suite: Suite, vector: Vector, folder: Path) -> Observation:
    """Run a program under the command-line contract, without the checker's guards, which take most of its time."""
    inputs = [suite.path(file) for file in vector.streams]
    outputs = [folder / f"{number}.out" for number in range(len(inputs))]
    for path in folder.iterdir():
        path.unlink()
    try:
        result = subprocess.run(
            [program, *inputs, "--to", *outputs],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Observation(Status.TIMED_OUT)
    if result.returncode == EXIT_DECODED:
        try:
            return Observation(Status.DECODED, [read_output(path) for path in outputs])
        except OutputError as error:
            return Observation(Status.BROKE_CONTRACT, at="output", detail=str(error))
    if result.returncode == EXIT_REJECTED:
        return Observation(Status.REJECTED, rejection=parse_rejection(result.stderr))
    if result.returncode == EXIT_UNSUPPORTED:
        return Observation(Status.UNSUPPORTED)
    return Observation(Status.CRASHED, at=name_exit(result.returncode))


class Order:
    """Order of the vectors for a fault; it decides nothing but the time of a run."""

    def __init__(self, vectors: Sequence[tuple[Suite, Vector]]) -> None:
        self.vectors = vectors
        self.of_file: dict[str, Counter[str]] = {}

    def note(self, fault: CrateFault, vector: str) -> None:
        """Record the vector that exposed a fault."""
        for edit in fault.edits:
            self.of_file.setdefault(edit["file"], Counter())[vector] += 1

    def of(self, fault: CrateFault) -> list[tuple[Suite, Vector]]:
        """Return the vectors, the likely ones first."""
        counts: Counter[str] = sum(
            (self.of_file.get(edit["file"], Counter()) for edit in fault.edits), Counter()
        )
        likely = {vector: rank for rank, (vector, _) in enumerate(counts.most_common(_LIKELY))}
        return sorted(self.vectors, key=lambda pair: likely.get(pair[1].id, _LIKELY))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default="", help="select faults by a substring of kind or name")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="run every N-th fault only")
    parser.add_argument("--all", action="store_true", help="list every vector that a fault fails")
    options = parser.parse_args(arguments)
    faults = [fault for fault in load_faults() if options.only in fault.key][:: options.every]
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    reasons = load_reasons()
    by_kind: dict[str, list[int]] = {}
    open_faults = 0
    with tempfile.TemporaryDirectory(prefix="nnr_campaign.") as name:
        write_suite("large", Path(name) / "generated")
        order = Order(required_vectors(Path(name) / "generated"))
        crate = Crate(Path(name))
        workspace = Path(name) / "work"
        workspace.mkdir()
        original = crate.build(None)
        if original is None or next(failures_of(original, order.vectors, workspace), None) is not None:
            raise SystemExit("the decoder without a fault does not build or fails a vector")
        for fault in faults:
            program = crate.build(fault)
            if program is None:
                raise SystemExit(f"{fault.key}: does not compile")
            caught = []
            for vector, verdict in failures_of(program, order.of(fault), workspace):
                caught.append(f"{vector} ({verdict})")
                order.note(fault, vector)
                if not options.all:
                    break
            counts = by_kind.setdefault(fault.kind, [0, 0])
            counts[0] += bool(caught)
            counts[1] += 1
            open_faults += bool(caught) == (fault.key in reasons)
            word = "caught  " if caught else "survives" if fault.key in reasons else "SURVIVES"
            print(f"{word} {fault.key}   {', '.join(caught) or reasons.get(fault.key, '')}", flush=True)
    for kind, (caught_faults, of) in sorted(by_kind.items()):
        print(f"{kind:20} {caught_faults:4} of {of:4}")
    print(f"{len(faults)} faults, {sum(counts[0] for counts in by_kind.values())} caught, {open_faults} open")
    return int(open_faults > 0)


if __name__ == "__main__":
    sys.exit(main())
