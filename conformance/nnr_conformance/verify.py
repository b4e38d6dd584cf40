# SPDX-License-Identifier: Apache-2.0
"""Verification of certificates: everything that can be recomputed is, from the suites and from a second run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nnr_conformance.adapter import Adapter
from nnr_conformance.certificate import Certificate, CertifiedResult, certificate_of, sealed, summary_of
from nnr_conformance.errors import SuiteError, UsageError
from nnr_conformance.identity import identify
from nnr_conformance.judge import layers_of
from nnr_conformance.levels import Level, find_level
from nnr_conformance.result import Log
from nnr_conformance.suite import Suite, files_of
from nnr_conformance.vector import Vector
from nnr_conformance.verdict import NOT_JUDGED, Verdict, denies, meets


def verify(certificate: Certificate, suites: Sequence[Suite]) -> list[str]:
    """Check a certificate against itself and against the suites; lists its faults as sentences."""
    faults = [*_hash_faults(certificate), *_suite_faults(certificate, suites)]
    # Results of other suites say nothing about these.
    return faults or [*_result_faults(certificate, suites)]


def _hash_faults(certificate: Certificate) -> Iterator[str]:
    again = sealed(certificate)
    if again.results_sha256 != certificate.results_sha256:
        yield "the SHA-256 of the results is another one"
    elif again.sha256 != certificate.sha256:
        yield "the SHA-256 of the certificate is another one"


def _suite_faults(certificate: Certificate, suites: Sequence[Suite]) -> Iterator[str]:
    present = {suite.name: suite for suite in suites}
    if len({stated.name for stated in certificate.suites}) != len(certificate.suites):
        yield "it names a suite twice"
    for stated in certificate.suites:
        suite = present.get(stated.name)
        if suite is None:
            yield f"there is no suite {stated.name} here"
        elif (stated.version, stated.n_vectors) != (suite.manifest.version, len(suite.manifest.vectors)):
            yield f"suite {stated.name} is {suite.manifest.version} of {len(suite.manifest.vectors)} vectors here"
        elif suite.manifest_sha256() != stated.sha256:
            yield f"suite {stated.name} is {suite.manifest.version} here, with another manifest than {stated.version} of the run"
        else:
            yield from _file_faults(suite)


def _file_faults(suite: Suite) -> Iterator[str]:
    for vector in suite.manifest.vectors:
        try:
            for file in files_of(vector):
                suite.read(file)
        except SuiteError as error:
            yield str(error)


def _result_faults(certificate: Certificate, suites: Sequence[Suite]) -> Iterator[str]:
    named = [stated.name for stated in certificate.suites]
    vectors = {v.id: v for suite in suites if suite.name in named for v in suite.manifest.vectors}
    ids = [result.vector for result in certificate.results]
    if len(set(ids)) != len(ids) or not set(ids) <= set(vectors):
        yield "the results are not those of the vectors of the suites"
        return
    is_complete = len(ids) == len(vectors)
    if not is_complete and not certificate.selection:
        yield f"{len(vectors) - len(ids)} vectors have no result"
    if certificate.conforms and {*named} != {suite.name for suite in suites}:
        yield "it is not about all suites"
    try:
        level = find_level(certificate.level, suites[0].folder.parent) if certificate.level else None
    except UsageError as error:
        yield str(error)
        return
    for result in certificate.results:
        yield from (
            f"{result.vector}: {fault}"
            for fault in _faults_of(result, vectors[result.vector], certificate, level)
        )
    conforms = is_complete and not certificate.selection
    conforms = conforms and any(
        meets(Verdict(result.verdict), vectors[result.vector].requirement) for result in certificate.results
    )
    for result in certificate.results:
        requirement = vectors[result.vector].requirement
        at_level = bool(certificate.level)
        conforms = conforms and not denies(Verdict(result.verdict), requirement, at_level, result.beyond)
    if conforms != certificate.conforms:
        yield f"its results make it {'' if conforms else 'not '}conform, it says otherwise"
    for field, value in summary_of(certificate.results).items():
        if getattr(certificate, field) != value:
            yield f"`{field}` is not the sum of the results"


def _faults_of(
    result: CertifiedResult, vector: Vector, certificate: Certificate, level: Level | None
) -> Iterator[str]:
    verdict = Verdict(result.verdict)
    if result.beyond != bool(level is not None and level.beyond(vector)):
        yield f"is {'not ' if result.beyond else ''}beyond the level"
    if (verdict is Verdict.SKIP) != bool(certificate.claims.exclude(vector)):
        yield "the verdict SKIP differs from the claims"
    if verdict is Verdict.REFUSED and not result.beyond:
        yield "only vectors beyond the level can be refused"
    layers = result.layers or {}
    if verdict is Verdict.PASS:
        if "fail" in layers.values() or layers.get("verdict") != "pass":
            yield "passes with a layer that differs"
        if not any(set(layers) == set(stated) for stated in layers_of(vector.expect)):
            yield "its layers are not those that the vector states"
        if layers.get("values") == "not shown":
            yield "passes without values"
    elif verdict in NOT_JUDGED and layers:
        yield "has layers without having been judged"


def differences(certificate: Certificate, log: Log) -> list[str]:
    """Compare a certificate with a second run: decoder, verdicts and layers, but not time and memory."""
    again = certificate_of([log])
    faults = []
    if again.claims != certificate.claims:
        faults.append("the decoder has another name, version or claims")
    for stated, seen in zip(certificate.results, again.results, strict=True):
        if stated.label != seen.label:
            faults.append(f"{stated.vector}: {seen.label} now, {stated.label} in the certificate")
        elif stated.layers != seen.layers:
            faults.append(f"{stated.vector}: other layers agree or are shown now")
    return faults


def decoder_faults(certificate: Certificate, adapter: Adapter) -> list[str]:
    """Compare the files of a decoder with those of the certificate."""
    present, stated = identify(adapter), certificate.identity
    faults = []
    if (present.kind, present.command) != (stated.kind, stated.command):
        faults.append("the command of the decoder is another one")
    if [file.name for file in present.files] != [file.name for file in stated.files]:
        faults.append("the decoder has other files")
    else:
        pairs = zip(present.files, stated.files, strict=True)
        faults += [f"{now.name} is another file" for now, then in pairs if now.sha256 != then.sha256]
    return faults
