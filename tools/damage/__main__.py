# SPDX-License-Identifier: Apache-2.0
"""Damage test of the codec against the specification's model, on all small conformance vectors.

    python -m tools.damage --log damage.jsonl              # all cases; resumes an interrupted run
    python -m tools.damage --log sample.jsonl --every 37   # a sample
    python -m tools.damage --log damage.jsonl --table      # print the table of a log
    python -m tools.damage --checksum                      # the same damage to streams with a checksum

A case is one flipped bit or one truncation. The decoders agree if both accept it with the same names, shapes, levels and
values, or both reject it with the same class and bit. The exit code is 1 on disagreement.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnr_conformance.suite import find_suites

from nnr_codec.codec.stream.checksum import checksum_unit
from tools.damage import native
from tools.damage.cases import damaged, n_cases

if TYPE_CHECKING:
    from tools.damage.cases import Verdict

ROOT = Path(__file__).resolve().parents[2]

#: Largest stream of a tested vector; larger ones would take days.
LARGEST_BYTES = 4096
_SLOW_SECONDS = 1.0


class Model:
    """Process of the model with a cache of its answers, which stay valid when the codec changes.

    PyPy runs the model many times faster than CPython.
    """

    def __init__(self, python: str, folder: Path) -> None:
        self._folder = folder / code_state("spec/model")
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [python, "-m", "tools.damage.model_worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, streams: list[bytes], numbers: range) -> Callable[[], list[Verdict]]:
        """Send a job; returns a function that waits for the verdicts."""
        job = {
            "streams": [stream.hex() for stream in streams],
            "numbers": [numbers.start, numbers.stop, numbers.step],
        }
        line = json.dumps(job).encode()
        known = self._folder / hashlib.sha256(line).hexdigest()[:24]
        if not known.exists():
            if self._process.stdin is None:
                raise RuntimeError("the model has no standard input")
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()
        return lambda: self._answer(known)

    def _answer(self, known: Path) -> list[Verdict]:
        if not known.exists():
            answer = b"" if self._process.stdout is None else self._process.stdout.readline()
            if not answer:
                raise SystemExit("the model's process died")
            # Rename the complete file, so that an interrupted run leaves no partial answer.
            part = known.with_suffix(".part")
            part.write_bytes(zlib.compress(answer))
            part.replace(known)
        return [(word, detail) for word, detail in json.loads(zlib.decompress(known.read_bytes()))]


def vectors() -> Iterator[tuple[str, list[bytes]]]:
    """Yield ids and streams of all vectors with small streams."""
    for suite in find_suites(ROOT / "conformance" / "suites"):
        for vector in suite.manifest.vectors:
            if all(file.size_bytes < LARGEST_BYTES for file in vector.streams):
                yield vector.id, [suite.read(file) for file in vector.streams]


_CODEC = (
    "nnr_codec/syntax",
    "nnr_codec/codec",
    "nnr_codec/entropy",
    "nnr_codec/bitio",
    "native/src",
    "native/include",
)


def code_state(*folders: str) -> str:
    """Digest of the code in folders, which ties results to a version of the code."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.[pch]*")):
            if path.suffix in (".py", ".cpp", ".hpp"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def cases_of(streams: list[bytes], every: int, position: int) -> range:
    """Select the cases of a vector; the start of a sample varies with the vector."""
    return range(position % every, n_cases(streams), every)


def compare(model: Model, streams: list[bytes], every: int, position: int) -> dict[str, Any]:
    """Decode all damaged versions of a vector with both decoders."""
    numbers = cases_of(streams, every, position)
    answer = model.ask(streams, numbers)
    verdicts, slowest = [], 0.0
    for number in numbers:
        started = time.process_time()
        verdicts.append(native.verdict(damaged(streams, number)[0]))
        slowest = max(slowest, time.process_time() - started)
    expected = answer()
    classes = Counter(verdict[0] for verdict in verdicts)
    differing = [
        [number, damaged(streams, number)[1], verdict, reference]
        for number, verdict, reference in zip(numbers, verdicts, expected, strict=True)
        if verdict != reference
    ]
    return {
        "cases": len(numbers),
        "verdicts": dict(classes),
        "differing": differing,
        "slowest": round(slowest, 3),
    }


def run(log: Path, every: int, model: Model, *, any_code: bool) -> None:
    """Test the vectors that the log lacks."""
    state, done = code_state(*_CODEC, "spec/model"), set()
    for entry in _entries(log):
        if entry["every"] == every and (any_code or entry["code"] == state):
            done.add((entry["id"], entry["sha256"]))
    with log.open("a", encoding="utf-8") as file:
        for position, (name, streams) in enumerate(vectors()):
            sha = hashlib.sha256(b"".join(streams)).hexdigest()[:16]
            if (name, sha) in done:
                continue
            result = compare(model, streams, every, position)
            entry = {"id": name, "sha256": sha, "every": every, "code": state, **result}
            file.write(json.dumps(entry) + "\n")
            file.flush()
            for _, what, verdict, reference in result["differing"][:3]:
                print(f"{name}: {what}: {verdict}, the model {reference}", flush=True)


def _entries(log: Path) -> Iterator[dict[str, Any]]:
    if log.exists():
        for line in log.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


def table(log: Path, every: int) -> int:
    """Print the table of a log; returns the number of disagreements."""
    latest = {entry["id"]: entry for entry in _entries(log) if entry["every"] == every}
    columns = ("truncated", "malformed", "unsupported", "limit", "accept")
    rows: dict[str, Counter[str]] = {}
    for name, entry in latest.items():
        row = rows.setdefault(name.partition("/")[0], Counter())
        row += Counter(
            vectors=1, cases=entry["cases"], disagreements=len(entry["differing"]), **entry["verdicts"]
        )
        row["slow"] += entry["slowest"] > _SLOW_SECONDS
    total: Counter[str] = sum(rows.values(), Counter())
    print(f"| suite | vectors | cases | rejected | {' | '.join(columns[:4])} | accepted | disagreements |")
    print("|---|" + "---:|" * 9)
    for name, row in [*rows.items(), ("all", total)]:
        cells = [
            row["vectors"],
            row["cases"],
            row["cases"] - row["accept"],
            *(row[key] for key in columns),
            row["disagreements"],
        ]
        print(f"| {name} | {' | '.join(f'{cell:,}' for cell in cells)} |")
    slowest = max((entry["slowest"] for entry in latest.values()), default=0)
    states = sorted({entry["code"] for entry in latest.values()})
    print(f"\nevery {every}. case; slowest native verdict {slowest} s; code {', '.join(states)}")
    return total["disagreements"]


def checksums(every: int) -> int:
    """Damage every stream with an appended checksum; returns the number of accepted ones."""
    n_streams = n_damaged = accepted = 0
    for _, streams in vectors():
        for stream in streams:
            stream_with_checksum = stream + checksum_unit(hashlib.sha256(stream).digest())
            n_streams += 1
            for number in range(n_streams % every, n_cases([stream_with_checksum]), every):
                n_damaged += 1
                accepted += native.accepted_with_checksum(damaged([stream_with_checksum], number)[0][0])
    print(f"{n_streams} streams with a checksum, {n_damaged:,} damaged, {accepted} accepted")
    return accepted


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how the model runs and where its answers are kept."""
    parser.add_argument(
        "--python", default=shutil.which("pypy3") or sys.executable, help="interpreter of the model"
    )
    parser.add_argument(
        "--model-answers",
        type=Path,
        default=ROOT / "build" / "damage-model",
        help="folder of the model's answers",
    )


def main() -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--log", type=Path, default=ROOT / "build" / "damage.jsonl")
    parser.add_argument("--every", type=int, default=1, help="sample every N-th case")
    add_model_options(parser)
    parser.add_argument("--prepare", action="store_true", help="only collect the model's answers")
    parser.add_argument(
        "--any-code", action="store_true", help="accept entries of other code versions in the log"
    )
    parser.add_argument("--table", action="store_true", help="only print the table of the log")
    parser.add_argument("--checksum", action="store_true", help="damage streams with checksums instead")
    options = parser.parse_args()
    if options.checksum:
        return int(checksums(options.every) > 0)
    options.log.parent.mkdir(parents=True, exist_ok=True)
    if options.prepare:
        model = Model(options.python, options.model_answers)
        for position, (_, streams) in enumerate(vectors()):
            model.ask(streams, cases_of(streams, options.every, position))()
        return 0
    if not options.table:
        run(
            options.log,
            options.every,
            Model(options.python, options.model_answers),
            any_code=options.any_code,
        )
    return int(table(options.log, options.every) > 0)


if __name__ == "__main__":
    sys.exit(main())
