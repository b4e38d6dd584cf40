# SPDX-License-Identifier: Apache-2.0
"""Worker: a process that runs vectors in sequence on one decoder and adopts the decoder's orphans.

It reads a task and then vector ids as JSON lines, and answers every vector with a result. It ends, with all its
descendants, when its input closes, on SIGTERM, or when the runner dies.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from nnr_conformance import os_process
from nnr_conformance.adapter import Adapter
from nnr_conformance.decoders import Decoder
from nnr_conformance.errors import ConformanceError
from nnr_conformance.json_schema import from_json, json_field, to_json
from nnr_conformance.judge import Judgement, judge, refuse
from nnr_conformance.levels import Level
from nnr_conformance.limits import Limits
from nnr_conformance.observation import Observation
from nnr_conformance.process import kill_descendants
from nnr_conformance.result import Result
from nnr_conformance.suite import Suite
from nnr_conformance.vector import Vector
from nnr_conformance.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class WorkerTask:
    """First message to a worker."""

    adapter: Adapter = json_field("Decoder under test.")
    suites: dict[str, str] = json_field("Folders of the suites, by name.")
    workspace: str = json_field("Folder for the files of the worker, which removes it.")
    seconds: float = json_field("As in Limits.")
    memory_bytes: int = json_field("As in Limits.")
    output_bytes: int = json_field("As in Limits.")
    time_scale: float = json_field("As in Limits.")
    cpu_seconds: float | None = json_field("As in Limits.", default=None)
    repeats: int = json_field("Runs per vector.", default=1)
    level: Level | None = json_field("Level of the run.", default=None)

    @property
    def limits(self) -> Limits:
        """Limits of every vector."""
        return Limits(self.seconds, self.memory_bytes, self.output_bytes, self.time_scale, self.cpu_seconds)


def observe(
    decoder: Decoder, suite: Suite, vector: Vector, limits: Limits, folder: Path, extension: str
) -> Observation:
    """Run a vector once in a temporary folder.

    The decoder gets numbered copies of the streams, so that neither names nor paths reveal the vector.
    """
    folder.mkdir()
    try:
        streams, outputs = [], []
        for number, file in enumerate(vector.streams):
            streams.append(folder / f"{number}.nnc")
            streams[-1].write_bytes(suite.read(file))
            outputs.append(folder / f"{number}{extension}")
        return decoder.decode(streams, outputs, limits.of(vector), vector.dimensions)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_vector(
    decoder: Decoder, suite: Suite, vector: Vector, limits: Limits, folder: Path, *, extension: str = ".npz",
    repeats: int = 1, level: Level | None = None,
) -> Result:  # fmt: skip
    """Run and judge a vector; runs that differ are FLAKY."""
    beyond = level.beyond(vector) if level is not None else ""
    judgement, seen = Judgement(Verdict.SKIP, "", decoder.claims.exclude(vector)), None
    fingerprints: list[object] = []
    labels: list[str] = []
    for _ in range(0 if judgement.detail else repeats):
        seen = observe(decoder, suite, vector, limits, folder, extension)
        judgement = judge(suite, vector, seen)
        if beyond:
            judgement = refuse(judgement, seen, beyond)
        labels.append(f"{judgement.verdict}({judgement.at})" if judgement.at else str(judgement.verdict))
        fingerprints.append((labels[-1], seen.fingerprint()))
    if any(fingerprint != fingerprints[0] for fingerprint in fingerprints):
        outcomes = (
            " or ".join(dict.fromkeys(labels))
            if len(set(labels)) > 1
            else f"{labels[0]} with differing output"
        )
        judgement = Judgement(Verdict.FLAKY, "", f"{outcomes} in {repeats} runs", judgement.layers)
    return Result(
        event="result",
        vector=vector.id,
        suite=suite.name,
        purpose=vector.purpose,
        profile=vector.profile,
        features=vector.features,
        clauses=vector.clauses,
        requirement=vector.requirement,
        beyond=beyond,
        verdict=judgement.verdict.value,
        at=judgement.at,
        detail=judgement.detail,
        layers=judgement.layers or None,
        divergence=judgement.divergence,
        seconds=round(seen.seconds, 4) if seen else 0.0,
        cpu_seconds=round(seen.cpu_seconds, 4) if seen else 0.0,
        peak_memory_bytes=seen.peak_memory_bytes if seen else 0,
        n_elements=vector.n_elements or 0,
    )


def main(_: Sequence[str]) -> int:
    """Serve stdin: the first line is a `WorkerTask`, every other line ``[suite, vector id]``."""
    os_process.adopt_orphans()
    os_process.die_with_parent()
    runner = os.getppid()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    task = from_json(WorkerTask, json.loads(sys.stdin.readline()), "task")
    workspace = Path(task.workspace)
    decoder = task.adapter.build()
    try:
        suites = {name: Suite.load(Path(folder)) for name, folder in task.suites.items()}
        vectors = {vector.id: vector for suite in suites.values() for vector in suite.manifest.vectors}
        decoder.start(workspace, task.limits)
        _emit({"claims": to_json(decoder.claims)})
        for line in sys.stdin:
            if os.getppid() != runner:
                break
            suite, identity = json.loads(line)
            result = run_vector(
                decoder, suites[suite], vectors[identity], task.limits, workspace / "vector",
                extension=task.adapter.extension, repeats=task.repeats,
                level=task.level,
            )  # fmt: skip
            _emit({"result": to_json(result)})
    except ConformanceError as error:
        _emit({"error": f"{error}", "exit_code": error.exit_code})
        return error.exit_code
    finally:
        decoder.close()
        kill_descendants()
        shutil.rmtree(workspace, ignore_errors=True)
        with contextlib.suppress(OSError):
            # If the runner was killed, the last worker removes the common folder.
            workspace.parent.rmdir()
    return 0


def _stop(number: int, _: FrameType | None) -> None:
    # SystemExit in the main thread runs every `finally`, which kills processes and removes files.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)


def _emit(message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
