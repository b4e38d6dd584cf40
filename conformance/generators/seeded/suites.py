# SPDX-License-Identifier: Apache-2.0
"""Writing of the generated suites ``stress`` and ``large`` from their records, and blessing of the records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nnr_conformance.adapters import native
from nnr_conformance.answer import Rejected, Unsupported
from nnr_conformance.digests import stream_digest
from nnr_conformance.expectation import Expectation, ExpectedError, SuiteFile
from nnr_conformance.manifest import Manifest
from nnr_conformance.suite import Suite
from nnr_conformance.vector import Recipe, Vector, size_class

from conformance.generators.case import FEATURES, VERSION, error_classes
from conformance.generators.seeded.large import CASES
from conformance.generators.seeded.outcome import SMALL, LeftOut, Outcome, outcome_of
from conformance.generators.seeded.stress import KINDS, stress_streams
from spec.model import Limits

N_STRESS = 10_000
TOOL = "conformance/generators/seeded"
TITLES = {"stress": "Random streams, most of them damaged", "large": "Streams of real size"}
#: The recommended minimum of clause 7.3, which the large streams keep to.
_LARGE = Limits(topology_elements=1 << 16, codebook_size=1 << 16, entry_points=1 << 16)


class Mismatch(Exception):
    """Streams or outcomes that differ from the record."""


@dataclass(frozen=True)
class Generated:
    """Generated case: a vector before its files are written."""

    id: str
    purpose: str
    profile: Literal[0, 1]
    features: tuple[str, ...]
    streams: list[bytes]
    seed: int | None = None
    clauses: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    n_elements: int = 0


def record_path(suite: str) -> Path:
    """Path of the record of a suite."""
    return Path(__file__).with_name(f"{suite}.json")


def load_record(suite: str) -> dict[str, Any]:
    """Read the record of a suite."""
    record: dict[str, Any] = json.loads(record_path(suite).read_text(encoding="utf-8"))
    return record


def stress_case(number: int) -> Generated:
    """Generate a case of the suite ``stress``."""
    profile, streams, features = stress_streams(number)
    kind = KINDS[number % len(KINDS)]
    purpose = (
        "Anything: all choices are random."
        if kind == "valid"
        else f"Anything: random streams with damage ({kind})."
    )
    return Generated(f"stress/{number:05}", purpose, profile, tuple(sorted(features)), streams, seed=number)


def large_cases() -> Iterator[Generated]:
    """Generate the cases of the suite ``large``, one at a time."""
    for case in CASES:
        yield Generated(
            f"large/{case.name}", case.purpose, 1, tuple(case.features.split()), case.streams(),
            clauses=case.clauses, elements=case.elements, n_elements=case.n_elements,
        )  # fmt: skip


def cases_of(suite: str, numbers: list[int] | None = None) -> Iterator[Generated]:
    """Generate the cases of a suite; ``numbers`` are those of its record."""
    return large_cases() if suite == "large" else map(stress_case, numbers or [])


def bless(suite: str) -> None:
    """Compute the record of a suite with the model; the codec must agree.

    Raises
    ------
    Mismatch
        If the codec differs from the model.
    """
    outcomes: dict[str, str] = {}
    digest = hashlib.sha256()
    limits = _LARGE if suite == "large" else SMALL
    for case in large_cases() if suite == "large" else map(stress_case, range(1 << 30)):
        try:
            outcome = outcome_of(case.streams, limits)
        except LeftOut:
            continue
        if outcome != (actual := _outcome_of_codec(case.streams)):
            raise Mismatch(f"{case.id}: the model says {outcome.text()}, the codec {actual.text()}")
        outcomes[case.id] = outcome.text()
        _update(digest, case.streams)
        if suite == "stress" and len(outcomes) == N_STRESS:
            break
    record = {"version": VERSION, "streams_sha256": digest.hexdigest(), "outcomes": outcomes}
    record_path(suite).write_text(json.dumps(record, indent=0) + "\n", encoding="utf-8")


def _outcome_of_codec(streams: list[bytes]) -> Outcome:
    try:
        answers = native.decode(streams)
    except Rejected as error:
        rejection = error.rejection
        return Outcome((), str(rejection.error_class), rejection.bit_offset or 0, rejection.stream or 0)
    except Unsupported as error:
        cause = error.__cause__
        return Outcome((), "unsupported", int(getattr(cause, "bit_offset", 0) or 0), _stream_of(streams))
    return Outcome(tuple(stream_digest(answer.hashed_values()) for answer in answers))


def _stream_of(streams: list[bytes]) -> int:
    """Return the index of the first stream that the codec does not decode."""
    for number in range(len(streams)):
        try:
            native.decode(streams[: number + 1])
        except (Rejected, Unsupported):
            return number
    return 0


def _update(digest: Any, streams: list[bytes]) -> None:
    for stream in streams:
        digest.update(len(stream).to_bytes(8, "big") + stream)


def write_suite(suite: str, target: Path, *, most: int | None = None) -> int:
    """Generate a suite below ``target``; returns the number of its vectors.

    Parameters
    ----------
    most : int, optional
        Only this many vectors, without the check of the digest of all streams.

    Raises
    ------
    Mismatch
        If the generated streams are not those of the record.
    """
    record = load_record(suite)
    outcomes: dict[str, str] = dict(list(record["outcomes"].items())[:most])
    numbers = [int(name.partition("/")[2]) for name in outcomes] if suite == "stress" else None
    folder = target / suite
    (folder / "vectors").mkdir(parents=True, exist_ok=True)
    vectors, digest = [], hashlib.sha256()
    for case in cases_of(suite, numbers):
        if case.id not in outcomes:
            continue
        _update(digest, case.streams)
        vectors.append(_vector_of(case, Outcome.parse(outcomes[case.id]), folder))
    if most is None and digest.hexdigest() != record["streams_sha256"]:
        raise Mismatch(f"{suite}: the generated streams are not those of the record")
    manifest = Manifest(
        format="nnr-conformance-manifest/1", suite=suite, version=record["version"], title=TITLES[suite],
        vectors=tuple(vectors), schema="",
    )  # fmt: skip
    Suite(folder, manifest).save()
    return len(vectors)


def _vector_of(case: Generated, outcome: Outcome, folder: Path) -> Vector:
    files = []
    for number, stream in enumerate(case.streams):
        suffix = "" if len(case.streams) == 1 else f".{number}"
        name = f"vectors/{case.id.partition('/')[2]}{suffix}.nnc"
        (folder / name).write_bytes(stream)
        files.append(SuiteFile(file=name, size_bytes=len(stream), sha256=hashlib.sha256(stream).hexdigest()))
    if outcome.error_class:
        error = ExpectedError(
            classes=error_classes(outcome.error_class),
            stream=outcome.stream, bits=(outcome.bit, outcome.bit),
        )  # fmt: skip
        expect = Expectation(verdict="reject", error=error)
    else:
        expect = Expectation(verdict="accept", digests=outcome.digests)
    clauses = dict.fromkeys((*case.clauses, *(c for name in case.features for c in FEATURES[name][0])))
    elements = dict.fromkeys((*case.elements, *(e for name in case.features for e in FEATURES[name][1])))
    return Vector(
        id=case.id, purpose=case.purpose, features=case.features,
        profile=case.profile,
        clauses=tuple(clauses), elements=tuple(elements), requirement="shall",
        size_class=size_class(sum(map(len, case.streams))), recipe=Recipe(tool=TOOL, seed=case.seed),
        agreed_by=("model", "native"), streams=tuple(files), expect=expect,
        n_elements=case.n_elements or None,
    )  # fmt: skip
