# SPDX-License-Identifier: Apache-2.0
"""The log: one JSON line per event, the single source of every report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nnr_conformance.decoders.decoder import Claims
from nnr_conformance.divergence import Divergence
from nnr_conformance.errors import RecordError
from nnr_conformance.record import item, read_record, write_record
from nnr_conformance.verdict import Verdict, counts_against


@dataclass(frozen=True, kw_only=True)
class SuiteName:
    """Which suite exactly."""

    name: str = item("Name.")
    version: str = item("Semantic version.")
    sha256: str = item("Of its manifest.")
    n_vectors: int = item("How many vectors it has.")


@dataclass(frozen=True, kw_only=True)
class RunEvent:
    """The start of a run."""

    event: Literal["run"] = item("Event type.")
    checker: str = item("Version of the checker.")
    decoder: str = item("What was given as the decoder.")
    claims: Claims = item("What the decoder says it is.")
    folder: str = item("Where the suites are, when not in their usual place.", default="")
    suites: tuple[SuiteName, ...] = item("The suites.")
    selection: str = item("What was selected of them; empty for all.", default="")
    started: str = item("UTC time, ISO 8601.")
    platform: str = item("Machine and operating system.")


@dataclass(frozen=True, kw_only=True)
class Result:
    """One vector's result."""

    event: Literal["result"] = item("Event type.")
    vector: str = item("Its id.")
    suite: str = item("Its suite.")
    purpose: str = item("Its purpose.")
    profile: int = item("Its profile.")
    features: tuple[str, ...] = item("Its features.")
    clauses: tuple[str, ...] = item("Its clauses.")
    requirement: str = item("shall or should.")
    verdict: str = item("The verdict.", choices=tuple(Verdict))
    at: str = item("Layer, signal or field of the verdict.", default="")
    detail: str = item("One line of reason.", default="")
    known: str = item("What the baseline says of it.", default="")
    layers: dict[str, str] = item("Score of each layer that the vector states.", default=None)
    divergence: Divergence | None = item("The first divergence.", default=None)
    seconds: float = item("Wall-clock time.", default=0.0)
    cpu_seconds: float = item("CPU time.", default=0.0)
    peak_memory_bytes: int = item("Peak resident memory.", default=0)

    @property
    def label(self) -> str:
        """The verdict with its brackets, ``FAIL(values)``."""
        return f"{self.verdict}({self.at})" if self.at else str(self.verdict)

    @property
    def counts_against(self) -> bool:
        """Whether it denies conformance."""
        return counts_against(Verdict(self.verdict), self.requirement)


@dataclass(frozen=True, kw_only=True)
class EndEvent:
    """The end of a run; a log without it was cut short."""

    event: Literal["end"] = item("Event type.")
    counts: dict[str, int] = item("Vectors by verdict.")
    baseline: tuple[str, ...] = item("Departures from the baseline, as sentences.", default=())
    exit_code: int = item("The runner's exit code.")


@dataclass(frozen=True)
class Log:
    """One run: its start, its results in order of the manifests, its end."""

    run: RunEvent
    results: Sequence[Result]
    end: EndEvent | None

    @property
    def conforms(self) -> bool:
        """Whether the run is complete and nothing in it denies conformance."""
        return self.end is not None and not any(result.counts_against for result in self.results)

    def lines(self) -> Iterable[str]:
        """One JSON text for each event."""
        for event in (self.run, *self.results, self.end):
            if event is not None:
                yield json.dumps(write_record(event), ensure_ascii=False)

    def save(self, path: Path) -> None:
        """Write the log as JSON lines."""
        path.write_text("\n".join(self.lines()) + "\n", encoding="utf-8")


_EVENTS: dict[str, type[Any]] = {"run": RunEvent, "result": Result, "end": EndEvent}


def load_log(path: Path) -> list[Log]:
    """Read a log file: one run, or several one after the other."""
    logs: list[tuple[RunEvent, list[Result], list[EndEvent]]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise RecordError(str(path), str(error)) from error
    for number, line in enumerate(lines, 1):
        place = f"{path}:{number}"
        try:
            value = json.loads(line)
            event = read_record(_EVENTS[value["event"]], value, place)
        except (ValueError, KeyError, AttributeError) as error:
            raise RecordError(place, f"not an event: {error}") from error
        if isinstance(event, RunEvent):
            logs.append((event, [], []))
        elif not logs:
            raise RecordError(place, "a log begins with a run")
        else:
            (logs[-1][1] if isinstance(event, Result) else logs[-1][2]).append(event)
    return [Log(run, results, ends[-1] if ends else None) for run, results, ends in logs]
