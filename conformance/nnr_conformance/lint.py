# SPDX-License-Identifier: Apache-2.0
"""Rules of a suite beyond its JSON Schema: relations between fields, and between the manifest and its files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from nnr_conformance.arrays import digest, load_arrays
from nnr_conformance.errors import SuiteError
from nnr_conformance.expectation import ExpectedLevels, ExpectedValues
from nnr_conformance.suite import Suite, files_of
from nnr_conformance.vector import Vector, size_class


def lint(
    suites: Sequence[Suite], elements: Collection[str] | None = None, among: Sequence[Suite] | None = None
) -> list[str]:
    """Check suites and list their faults as sentences.

    Parameters
    ----------
    among : sequence of Suite, optional
        All suites, if only some are checked; the parent of a vector may be in another suite.
    elements : collection of str, optional
        Syntax elements of the grammar; other elements are then faults.
    """
    faults: list[str] = []
    known: dict[str, Vector] = {}
    for suite in among or suites:
        for vector in suite.manifest.vectors:
            if vector.id in known:
                faults.append(f"{vector.id}: the id is used twice")
            known[vector.id] = vector
            if not vector.id.startswith(f"{suite.name}/"):
                faults.append(f"{vector.id}: an id begins with its suite's name, {suite.name}/")
    for suite in suites:
        named = {"manifest.json"}
        for vector in suite.manifest.vectors:
            named.update(file.file for file in files_of(vector))
            faults.extend(f"{vector.id}: {fault}" for fault in _lint_vector(suite, vector, known, elements))
        present = {p.relative_to(suite.folder).as_posix() for p in suite.folder.rglob("*") if p.is_file()}
        faults.extend(f"{suite.name}: {stray} belongs to no vector" for stray in sorted(present - named))
    return faults


def _lint_vector(
    suite: Suite, vector: Vector, known: dict[str, Vector], elements: Collection[str] | None
) -> Iterator[str]:
    expect = vector.expect
    if len(set(vector.agreed_by)) < 2 and vector.requirement == "shall":
        yield "a `shall` is agreed by at least two independent implementations"
    total = sum(stream.size_bytes for stream in vector.streams)
    if vector.size_class != size_class(total):
        yield f"{total} bytes are {size_class(total)}, not {vector.size_class}"
    if expect.verdict == "accept" and expect.error is not None:
        yield "an accepted vector has no error"
    if (
        expect.verdict == "accept"
        and expect.values is None
        and expect.levels is None
        and expect.digests is None
    ):
        yield "an accepted vector states its values, levels or digests (an empty list when it carries no tensor)"
    if expect.verdict == "reject" and expect.error is None:
        yield "a rejected vector states its error"
    if vector.derived_from is not None:
        parent = known.get(vector.derived_from.parent)
        if parent is None:
            yield f"parent {vector.derived_from.parent} is in none of the suites"
        elif parent.expect.verdict == "reject":
            yield f"parent {parent.id} is not a valid vector"
    if elements is not None:
        for element in vector.elements:
            if element not in elements:
                yield f"{element} is not an element of the grammar"
    for name, per_stream in (
        ("units", expect.units),
        ("traces", expect.traces),
        ("bins", expect.bins),
        ("digests", expect.digests),
        ("reencode", expect.reencode),
    ):
        if per_stream is not None and len(per_stream) != len(vector.streams):
            yield f"{name} has {len(per_stream)} entries for {len(vector.streams)} streams"
    yield from _lint_files(suite, vector)


def _lint_files(suite: Suite, vector: Vector) -> Iterator[str]:
    try:
        for file in files_of(vector):
            suite.read(file)
    except SuiteError as error:
        yield str(error)
        return
    expect = vector.expect
    if expect.arrays is None:
        return
    arrays = load_arrays(suite.path(expect.arrays))
    stated: set[str] = set()
    kinds = (("level", expect.levels), ("value", expect.values), ("recomposition", expect.recompositions))
    for kind, listed in kinds:
        entries: Sequence[ExpectedLevels | ExpectedValues] = listed or ()
        for entry in entries:
            key = f"{entry.stream}/{kind}:{entry.tensor}"
            stated |= {key, f"{entry.stream}/bit:{entry.tensor}"}
            if key in arrays and (digest(arrays[key]) != entry.sha256 or arrays[key].shape != entry.shape):
                yield f"the stored array {key} is not the one that the manifest states"
    for key in arrays:
        if key not in stated:
            yield f"the stored array {key} belongs to no stated tensor"
