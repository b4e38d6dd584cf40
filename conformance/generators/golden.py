# SPDX-License-Identifier: Apache-2.0
"""What a decoder owes for a case: decoded by the model and by the codec, which have to agree."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from nnr_conformance.adapters import model, native
from nnr_conformance.answer import Answer, Rejected, Unsupported
from nnr_conformance.arrays import Array, digest, save_arrays
from nnr_conformance.expectation import (
    Expectation,
    ExpectedError,
    ExpectedLevels,
    ExpectedState,
    ExpectedTopology,
    ExpectedUnit,
    ExpectedValues,
    SuiteFile,
)
from nnr_conformance.suite import suite_file
from nnr_conformance.vector import Bounds, Derivation, Recipe, Vector, size_class

from conformance.generators.case import Case

#: Arrays of more elements are stored as levels alone, and still larger ones as hashes.
VALUES_UP_TO, LEVELS_UP_TO = 450, 3000
TRACE_UP_TO = 8000


class Disagreement(Exception):
    """The implementations differ, or the declaration is wrong: nothing is written."""


def outcome_of(decode: Any, streams: list[bytes]) -> list[Answer] | Rejected | Unsupported:
    """Decode; a rejection is a result."""
    try:
        return list(decode(streams))
    except (Rejected, Unsupported) as error:
        return error


def class_of(outcome: Any) -> str | None:
    """The class of a rejection."""
    if isinstance(outcome, Unsupported):
        return "unsupported"
    return str(outcome.rejection.error_class)


def bit_of(outcome: Any) -> int | None:
    """Where it was rejected; None when it does not say."""
    return None if isinstance(outcome, Unsupported) else outcome.rejection.bit_offset


def vector_of(case: Case, folder: Path, peers: dict[str, list[str]]) -> Vector:
    """Write a case's files below the suite's folder and return its entry.

    Parameters
    ----------
    peers : dict of str to list of str
        By id and digest of the streams, who else decodes the same.

    Raises
    ------
    Disagreement
        When the model and the codec differ, or are not what the case declares.
    """
    name = case.id.partition("/")[2].replace("/", ".")
    files = []
    for number, stream in enumerate(case.streams):
        suffix = "" if len(case.streams) == 1 else f".{number}"
        files.append(_written(folder, f"vectors/{name}{suffix}.nnc", stream))
    agreed = ["model", "native"]
    if case.verdict == "accept":
        expect = _accepted(case, folder, name)
        agreed += peers.get(key_of(case), [])
    elif case.verdict == "reject":
        expect = _rejected(case)
    else:
        outcomes = [outcome_of(adapter.decode, case.streams) for adapter in (model, native)]
        expect = Expectation(verdict="either") if all(o is not None for o in outcomes) else None
    fault = case.fault
    derived = None
    if fault is not None and fault.parent is not None:
        derived = Derivation(parent=fault.parent, mutation=fault.mutation)
    return Vector(
        id=case.id, purpose=case.purpose, profile=case.profile, features=case.features,
        clauses=case.all_clauses(), elements=case.all_elements(), requirement=case.requirement,
        size_class=size_class(sum(map(len, case.streams))),
        recipe=Recipe(tool=case.tool, version=case.tool_version, seed=case.seed, options=case.options or None),
        agreed_by=tuple(agreed), streams=tuple(files), expect=expect, derived_from=derived,
        bounds=None if case.bounds is None else Bounds(seconds=case.bounds[0], memory_bytes=case.bounds[1]),
        comment=case.comment,
    )  # fmt: skip


def key_of(case: Case) -> str:
    """Names the bytes of a case."""
    return hashlib.sha256(b"".join(hashlib.sha256(stream).digest() for stream in case.streams)).hexdigest()[
        :32
    ]


def _written(folder: Path, name: str, content: bytes) -> SuiteFile:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return suite_file(path, folder)


def _accepted(case: Case, folder: Path, name: str) -> Expectation:
    ours = outcome_of(model.decode, case.streams)
    theirs = outcome_of(native.decode, case.streams)
    for who, outcome in (("the model", ours), ("the codec", theirs)):
        if not isinstance(outcome, list):
            raise Disagreement(f"{case.id}: {who} rejects it: {outcome}")
    assert isinstance(ours, list)
    assert isinstance(theirs, list)
    values, levels, states, topology, arrays = [], [], [], [], {}
    units, traces, reencode = [], [], []
    for number, (here, there) in enumerate(zip(ours, theirs, strict=True)):
        _same(case, here, there)
        report = here.report
        assert report is not None
        assert there.report is not None
        assert report.units is not None
        units.append(tuple(ExpectedUnit(**unit) for unit in report.units))
        suffix = "" if len(case.streams) == 1 else f".{number}"
        if all(len(answer.trace or "") <= TRACE_UP_TO for answer in ours):
            traces.append(_written(folder, f"vectors/{name}{suffix}.trace", (here.trace or "").encode()))
        built = there.report.reencode
        reencode.append(built.sha256 if built is not None else "")
        for tensor, array in here.values.items():
            values.append(
                ExpectedValues(
                    stream=number,
                    tensor=tensor,
                    dtype=array.dtype.name,
                    shape=array.shape,
                    sha256=digest(array),
                )
            )
            if array.size <= VALUES_UP_TO:
                arrays[f"{number}/value:{tensor}"] = array
        for tensor, array in here.levels.items():
            levels.append(
                ExpectedLevels(stream=number, tensor=tensor, shape=array.shape, sha256=digest(array))
            )
            if array.size <= LEVELS_UP_TO:
                arrays[f"{number}/level:{tensor}"] = array
                if array.size <= VALUES_UP_TO:
                    arrays[f"{number}/bit:{tensor}"] = here.bits[tensor]
            states.append(ExpectedState(stream=number, tensor=tensor, **(report.arithmetic or {})[tensor]))
        topology += [
            ExpectedTopology(stream=number, size_bytes=part.size_bytes, sha256=part.sha256)
            for part in report.topology or ()
        ]
    stored = None
    if arrays:
        path = folder / f"vectors/{name}.npz"
        save_arrays(path, arrays)
        stored = suite_file(path, folder)
    return Expectation(
        verdict="accept", units=tuple(units), traces=tuple(traces) or None, arithmetic=tuple(states), levels=tuple(levels),
        values=tuple(values), topology=tuple(topology), arrays=stored,
        reencode=tuple(reencode) if all(reencode) else None,
    )  # fmt: skip


def _same(case: Case, here: Answer, there: Answer) -> None:
    for layer in ("values", "levels"):
        mine: dict[str, Array] = getattr(here, layer)
        other: dict[str, Array] = getattr(there, layer)
        if mine.keys() != other.keys():
            raise Disagreement(f"{case.id}: {layer} of {sorted(mine)} and of {sorted(other)}")
        for name, array in mine.items():
            same = array.dtype == other[name].dtype and array.shape == other[name].shape
            if not same or digest(array) != digest(other[name]):
                raise Disagreement(f"{case.id}: {layer} of {name} differ")
    if here.trace != there.trace:
        pairs = zip((here.trace or "").splitlines(), (there.trace or "").splitlines(), strict=False)
        raise Disagreement(
            f"{case.id}: traces differ: {next((pair for pair in pairs if pair[0] != pair[1]), 'length')}"
        )
    assert here.report is not None
    assert there.report is not None
    if here.report.units != there.report.units or here.report.topology != there.report.topology:
        raise Disagreement(f"{case.id}: units or topology differ")


def _rejected(case: Case) -> Expectation:
    fault = case.fault
    if fault is None:
        raise Disagreement(f"{case.id}: no fault is declared")
    bits = []
    for who, adapter in (("the model", model), ("the codec", native)):
        outcome = outcome_of(adapter.decode, case.streams)
        if isinstance(outcome, list):
            raise Disagreement(f"{case.id}: {who} accepts it")
        if class_of(outcome) not in fault.classes:
            raise Disagreement(f"{case.id}: {who} says {class_of(outcome)}, not {fault.classes}: {outcome}")
        bit = bit_of(outcome)
        if bit is not None:
            bits.append(bit)
            if fault.bits is not None and not fault.bits[0] <= bit <= fault.bits[1]:
                raise Disagreement(f"{case.id}: {who} says bit {bit}, outside of {fault.bits}: {outcome}")
    where = fault.bits or ((min(bits), max(bits)) if bits else None)
    return Expectation(
        verdict="reject",
        error=ExpectedError(
            classes=fault.classes, stage=fault.stage, stream=fault.stream, bits=where, element=fault.element
        ),
    )


def little(array: Array) -> bytes:
    """Bytes of an array as digests take them."""
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
