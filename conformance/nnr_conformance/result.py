# SPDX-License-Identifier: Apache-2.0
"""Log of a run: one JSON line per event; the source of every report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nnr_conformance.decoders.decoder import Claims
from nnr_conformance.divergence import Divergence
from nnr_conformance.errors import SchemaError
from nnr_conformance.identity import Identity
from nnr_conformance.json_schema import from_json, json_field, to_json
from nnr_conformance.verdict import Verdict, denies, meets


@dataclass(frozen=True, kw_only=True)
class SuiteName:
    """Identity of a suite."""

    name: str = json_field("Name of the suite.")
    version: str = json_field("Semantic version.")
    sha256: str = json_field("SHA-256 of the manifest.")
    n_vectors: int = json_field("Number of vectors.")


@dataclass(frozen=True, kw_only=True)
class RunEvent:
    """Start of a run."""

    event: Literal["run"] = json_field("Event type.")
    checker: str = json_field("Version of the checker.")
    decoder: str = json_field("Argument of `--decoder`.")
    claims: Claims = json_field("Claims of the decoder.")
    identity: Identity | None = json_field("Command of the decoder, and hashes of its files.", default=None)
    level: str = json_field("Level of the run; empty for none.", default="")
    folder: str = json_field("Argument of `--suites`, if any.", default="")
    suites: tuple[SuiteName, ...] = json_field("Suites of the run.")
    selection: str = json_field("Criteria of the selection; empty for all vectors.", default="")
    started: str = json_field("Start time, UTC, ISO 8601.")
    platform: str = json_field("Machine and operating system.")


@dataclass(frozen=True, kw_only=True)
class Result:
    """Result of one vector."""

    event: Literal["result"] = json_field("Event type.")
    vector: str = json_field("Id of the vector.")
    suite: str = json_field("Suite of the vector.")
    purpose: str = json_field("Purpose of the vector.")
    profile: int = json_field("Profile of the vector.")
    features: tuple[str, ...] = json_field("Features of the vector.")
    clauses: tuple[str, ...] = json_field("Clauses of the vector.")
    requirement: str = json_field("`shall` or `should`.")
    beyond: str = json_field("Reason why the vector is beyond the level of the run.", default="")
    verdict: str = json_field("Verdict.", choices=tuple(Verdict))
    at: str = json_field("Layer, signal or field of the verdict.", default="")
    detail: str = json_field("One-line reason.", default="")
    known: str = json_field("Entry of the baseline.", default="")
    layers: dict[str, str] | None = json_field("Score of each layer that the vector states.", default=None)
    divergence: Divergence | None = json_field("First divergence.", default=None)
    seconds: float = json_field("Wall-clock time in seconds.", default=0.0)
    cpu_seconds: float = json_field("CPU time in seconds.", default=0.0)
    peak_memory_bytes: int = json_field("Peak resident memory in bytes.", default=0)
    n_elements: int = json_field("Elements of all tensors, for a vector that measures speed.", default=0)

    @property
    def label(self) -> str:
        """Verdict with its detail in brackets: ``FAIL(values)``."""
        return f"{self.verdict}({self.at})" if self.at else str(self.verdict)

    def counts_against(self, at_level: bool) -> bool:
        """True if the result denies conformance, to a level or to everything that the decoder claims."""
        return denies(Verdict(self.verdict), self.requirement, at_level, bool(self.beyond))


@dataclass(frozen=True, kw_only=True)
class EndEvent:
    """End of a run; a log without it is incomplete."""

    event: Literal["end"] = json_field("Event type.")
    counts: dict[str, int] = json_field("Vectors by verdict.")
    baseline: tuple[str, ...] = json_field("Departures from the baseline, as sentences.", default=())
    exit_code: int = json_field("Exit code of the runner.")


@dataclass(frozen=True)
class Log:
    """One run: start, results in the order of the manifests, end."""

    run: RunEvent
    results: Sequence[Result]
    end: EndEvent | None

    @property
    def conforms(self) -> bool:
        """True if the run is complete, met a requirement unless it is partial, and no result denies conformance."""
        met = bool(self.run.selection) or any(
            meets(Verdict(result.verdict), result.requirement) for result in self.results
        )
        return self.end is not None and met and not self.against

    @property
    def against(self) -> list[Result]:
        """Results that deny conformance."""
        return [result for result in self.results if result.counts_against(bool(self.run.level))]

    def lines(self) -> Iterable[str]:
        """Yield one line of JSON per event."""
        for event in (self.run, *self.results, self.end):
            if event is not None:
                yield json.dumps(to_json(event), ensure_ascii=False)

    def save(self, path: Path) -> None:
        """Write the log as JSON lines."""
        path.write_text("\n".join(self.lines()) + "\n", encoding="utf-8")


_EVENTS: dict[str, type[Any]] = {"run": RunEvent, "result": Result, "end": EndEvent}


def load_log(path: Path) -> list[Log]:
    """Read a log file of one or more runs."""
    logs: list[tuple[RunEvent, list[Result], list[EndEvent]]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SchemaError(str(path), str(error)) from error
    for number, line in enumerate(lines, 1):
        place = f"{path}:{number}"
        try:
            value = json.loads(line)
            event = from_json(_EVENTS[value["event"]], value, place)
        except (ValueError, KeyError, AttributeError) as error:
            raise SchemaError(place, f"not an event: {error}") from error
        if isinstance(event, RunEvent):
            logs.append((event, [], []))
        elif not logs:
            raise SchemaError(place, "a log begins with a run")
        else:
            (logs[-1][1] if isinstance(event, Result) else logs[-1][2]).append(event)
    return [Log(run, results, ends[-1] if ends else None) for run, results, ends in logs]
