# SPDX-License-Identifier: Apache-2.0
"""A lane: a process that runs vectors one after the other on one decoder and adopts whatever it leaves.

It reads its orders as JSON lines and answers each with a result. It ends, with everything below it, when its
orders end, when it is told to, or when the runner dies.
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

from nnr_conformance import kernel
from nnr_conformance.adapter import Adapter
from nnr_conformance.decoders import Decoder
from nnr_conformance.errors import ConformanceError
from nnr_conformance.judge import Judgement, judge
from nnr_conformance.limits import Limits
from nnr_conformance.observation import Observation
from nnr_conformance.process import kill_descendants
from nnr_conformance.record import item, read_record, write_record
from nnr_conformance.result import Result
from nnr_conformance.suite import Suite
from nnr_conformance.vector import Vector
from nnr_conformance.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What a lane is told once."""

    adapter: Adapter = item("The decoder.")
    suites: dict[str, str] = item("Folders of the suites by name.")
    workspace: str = item("Folder for its files; it removes it.")
    seconds: float = item("As in Limits.")
    memory_bytes: int = item("As in Limits.")
    output_bytes: int = item("As in Limits.")
    time_scale: float = item("As in Limits.")
    cpu_seconds: float | None = item("As in Limits.", default=None)
    repeats: int = item("How often each vector is run.", default=1)

    @property
    def limits(self) -> Limits:
        """The limits of every vector."""
        return Limits(self.seconds, self.memory_bytes, self.output_bytes, self.time_scale, self.cpu_seconds)


def observe(
    decoder: Decoder, suite: Suite, vector: Vector, limits: Limits, folder: Path, extension: str
) -> Observation:
    """Run a vector once in a folder made and removed for it.

    The decoder sees numbered copies of the streams: their names tell it nothing, and the suite is out of
    reach.
    """
    folder.mkdir()
    try:
        streams, outputs = [], []
        for number, file in enumerate(vector.streams):
            streams.append(folder / f"{number}.nnc")
            streams[-1].write_bytes(suite.read(file))
            outputs.append(folder / f"{number}{extension}")
        return decoder.decode(streams, outputs, limits.of(vector))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_vector(
    decoder: Decoder, suite: Suite, vector: Vector, limits: Limits, folder: Path, *, extension: str = ".npz",
    repeats: int = 1,
) -> Result:  # fmt: skip
    """Run and judge a vector; runs that differ are FLAKY."""
    judgement, seen = Judgement(Verdict.SKIP, "", decoder.claims.exclude(vector)), None
    fingerprints: list[object] = []
    labels: list[str] = []
    for _ in range(0 if judgement.detail else repeats):
        seen = observe(decoder, suite, vector, limits, folder, extension)
        judgement = judge(suite, vector, seen)
        labels.append(f"{judgement.verdict}({judgement.at})" if judgement.at else str(judgement.verdict))
        fingerprints.append((labels[-1], seen.fingerprint()))
    if any(fingerprint != fingerprints[0] for fingerprint in fingerprints):
        told = (
            " or ".join(dict.fromkeys(labels))
            if len(set(labels)) > 1
            else f"{labels[0]} with differing output"
        )
        judgement = Judgement(Verdict.FLAKY, "", f"{told} in {repeats} runs", judgement.layers)
    return Result(
        event="result",
        vector=vector.id,
        suite=suite.name,
        purpose=vector.purpose,
        profile=vector.profile,
        features=vector.features,
        clauses=vector.clauses,
        requirement=vector.requirement,
        verdict=judgement.verdict.value,
        at=judgement.at,
        detail=judgement.detail,
        layers=judgement.layers or None,  # type: ignore[arg-type]  # of the three words Judgement names
        divergence=judgement.divergence,
        seconds=round(seen.seconds, 4) if seen else 0.0,
        cpu_seconds=round(seen.cpu_seconds, 4) if seen else 0.0,
        peak_memory_bytes=seen.peak_memory_bytes if seen else 0,
    )


def main(_: Sequence[str]) -> int:
    """``lane`` with orders on stdin: the first line is an `Orders`, every other ``[suite, vector id]``."""
    kernel.adopt_orphans()
    kernel.die_with_parent()
    runner = os.getppid()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders = read_record(Orders, json.loads(sys.stdin.readline()), "orders")
    workspace = Path(orders.workspace)
    decoder = orders.adapter.build()
    try:
        suites = {name: Suite.load(Path(folder)) for name, folder in orders.suites.items()}
        vectors = {vector.id: vector for suite in suites.values() for vector in suite.manifest.vectors}
        decoder.start(workspace, orders.limits)
        _say({"claims": write_record(decoder.claims)})
        for line in sys.stdin:
            if os.getppid() != runner:
                break
            suite, identity = json.loads(line)
            result = run_vector(
                decoder, suites[suite], vectors[identity], orders.limits, workspace / "vector",
                extension=orders.adapter.extension, repeats=orders.repeats,
            )  # fmt: skip
            _say({"result": write_record(result)})
    except ConformanceError as error:
        _say({"error": f"{error}", "exit_code": error.exit_code})
        return error.exit_code
    finally:
        decoder.close()
        kill_descendants()
        shutil.rmtree(workspace, ignore_errors=True)
        with contextlib.suppress(OSError):
            # The last lane out: should the runner have been killed, nobody else removes it.
            workspace.parent.rmdir()
    return 0


def _stop(number: int, _: FrameType | None) -> None:
    # Raised in the main thread, so that every `finally` on the way out kills and removes what it made.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)


def _say(message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
