# SPDX-License-Identifier: Apache-2.0
"""Certificate: statement of one run as data, complete enough to be verified by others.

Its hashes make accidental changes visible and tie it to suites and decoder. They are no signature of a person: who edits
a certificate can also compute its hashes anew, so that only a second run shows that the decoder gives these answers.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from nnr_conformance.decoders.decoder import Claims
from nnr_conformance.errors import UsageError
from nnr_conformance.expectation import SHA256
from nnr_conformance.identity import Identity
from nnr_conformance.json_schema import json_field, to_json
from nnr_conformance.result import Log, Result, SuiteName
from nnr_conformance.verdict import NOT_JUDGED, Verdict

LAYERS = (
    "verdict", "error.class", "error.stage", "error.stream", "error.bit", "units", "trace", "topology", "levels",
    "arithmetic", "values", "digests", "recompositions", "reencode",
)  # fmt: skip
"""Layers in the order of a certificate."""


@dataclass(frozen=True, kw_only=True)
class LayerCount:
    """Scores of one layer over all vectors that state it."""

    passed: int = json_field("Vectors on which the decoder shows the layer, and it agrees.", minimum=0)
    failed: int = json_field("Vectors on which it differs.", minimum=0)
    not_shown: int = json_field("Vectors on which the decoder does not show it.", minimum=0)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Resources of the run."""

    seconds: float = json_field("Wall-clock seconds of all vectors together.", minimum=0)
    cpu_seconds: float = json_field("CPU seconds of all vectors together.", minimum=0)
    peak_memory_bytes: int = json_field("Highest resident memory on a vector.", minimum=0)
    slowest: str = json_field("Id of the slowest vector; empty if none was run.")


@dataclass(frozen=True, kw_only=True)
class CertifiedResult:
    """Result of one vector."""

    vector: str = json_field("Id of the vector.")
    verdict: str = json_field("Verdict.", choices=tuple(Verdict))
    at: str = json_field("Layer, signal or field of the verdict.", default="")
    beyond: bool = json_field("True if the vector is beyond the level.", default=False)
    layers: dict[str, str] | None = json_field("Score of each layer that the vector states.", default=None)
    seconds: float = json_field("Wall-clock seconds.", default=0.0)
    cpu_seconds: float = json_field("CPU seconds.", default=0.0)
    peak_memory_bytes: int = json_field("Peak resident memory in bytes.", default=0)
    n_elements: int = json_field("Elements of all tensors, for a vector that measures speed.", default=0)

    @property
    def label(self) -> str:
        """Verdict with its detail in brackets: ``FAIL(values)``."""
        return f"{self.verdict}({self.at})" if self.at else self.verdict


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """Statement of one run of one decoder."""

    schema: str = json_field(
        "Schema of this file, for editors.", key="$schema", default="certificate.schema.json"
    )
    format: Literal["nnr-conformance-certificate/1"] = json_field("Name and version of the file format.")
    conforms: bool = json_field(
        "True if all vectors of the suites were run, or are beyond the level or the claims, and none denies conformance."
    )
    level: str = json_field("Level of the run; empty: all of the suites that the decoder claims.", default="")
    selection: str = json_field("Criteria of a partial run, which never conforms.", default="")
    claims: Claims = json_field("Name, version, profiles and missing features of the decoder.")
    identity: Identity = json_field("Command of the decoder, and hashes of its files.")
    suites: tuple[SuiteName, ...] = json_field("Suites of the run.")
    checker: str = json_field("Version of the checker.")
    started: str = json_field("Start of the run, UTC, ISO 8601.")
    platform: str = json_field("Machine and operating system.")
    counts: dict[str, int] = json_field("Vectors by verdict.")
    layers: dict[str, LayerCount] = json_field("Scores by layer.")
    timing: Timing = json_field("Resources of the run.")
    results: tuple[CertifiedResult, ...] = json_field("Results, in the order of the suites.")
    results_sha256: str = json_field("SHA-256 of `results` as canonical JSON.", pattern=SHA256)
    sha256: str = json_field(
        "SHA-256 of this certificate as canonical JSON without this key.", pattern=SHA256
    )


def certificate_of(logs: Sequence[Log]) -> Certificate:
    """Create the certificate of a run.

    Raises
    ------
    UsageError
        If there are several runs, or the log is incomplete, has a baseline, or is of an older checker.
    """
    if len(logs) != 1:
        raise UsageError("a certificate is about one run: pass one decoder, or one log of one run")
    run, results = logs[0].run, logs[0].results
    if run.identity is None or logs[0].end is None:
        raise UsageError("a certificate needs a complete log of this version of the checker")
    if any(result.known for result in results):
        raise UsageError("a certificate is about a run without a baseline")
    certified = tuple(map(_certified, results))
    return sealed(
        Certificate(
            format="nnr-conformance-certificate/1",
            conforms=logs[0].conforms and not run.selection,
            level=run.level,
            selection=run.selection,
            claims=run.claims,
            identity=run.identity,
            suites=run.suites,
            checker=run.checker,
            started=run.started,
            platform=run.platform,
            results=certified,
            **summary_of(certified),
            results_sha256="",
            sha256="",
        )
    )


def _certified(result: Result) -> CertifiedResult:
    return CertifiedResult(
        vector=result.vector,
        verdict=result.verdict,
        at=result.at,
        beyond=bool(result.beyond),
        layers=result.layers,
        seconds=result.seconds,
        cpu_seconds=result.cpu_seconds,
        peak_memory_bytes=result.peak_memory_bytes,
        n_elements=result.n_elements,
    )


def summary_of(results: Sequence[CertifiedResult]) -> dict[str, Any]:
    """Compute the fields ``counts``, ``layers`` and ``timing`` of a certificate."""
    scores: Counter[tuple[str, str]] = Counter()
    for result in results:
        scores.update((result.layers or {}).items())
    slowest = max(results, key=lambda result: result.seconds, default=None)
    run = [result for result in results if result.verdict not in NOT_JUDGED]
    return {
        "counts": dict(Counter(result.verdict for result in results)),
        "layers": {
            layer: LayerCount(
                passed=scores[layer, "pass"],
                failed=scores[layer, "fail"],
                not_shown=scores[layer, "not shown"],
            )
            for layer in LAYERS
        },
        "timing": Timing(
            seconds=round(sum(result.seconds for result in results), 3),
            cpu_seconds=round(sum(result.cpu_seconds for result in results), 3),
            peak_memory_bytes=max((result.peak_memory_bytes for result in results), default=0),
            slowest=slowest.vector if slowest is not None and run else "",
        ),
    }


def sealed(certificate: Certificate) -> Certificate:
    """Compute the two hashes of a certificate."""
    certificate = replace(certificate, results_sha256=canonical_sha256(to_json(certificate.results)))
    content = to_json(certificate)
    del content["sha256"]
    return replace(certificate, sha256=canonical_sha256(content))


def canonical_sha256(value: object) -> str:
    """SHA-256 of JSON with sorted keys, without white space, in UTF-8."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_certificate_text(path: Path) -> str:
    """Read a certificate file; raises `UsageError` if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
