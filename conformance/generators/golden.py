# SPDX-License-Identifier: Apache-2.0
"""Expectations of cases, computed by the model and the codec, which must agree."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

from nnr_conformance.adapters import model, native
from nnr_conformance.answer import Answer, Rejected, Unsupported
from nnr_conformance.arrays import Array, digest, save_arrays
from nnr_conformance.divergence import differing
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
from conformance.generators.recomposition import recomposition_of
from conformance.generators.requirements import requirements_of
from spec.model import Field, Session, StreamError

#: Larger arrays are stored as levels only, and still larger ones as hashes. In elements.
VALUES_UP_TO, LEVELS_UP_TO = 450, 3000
TRACE_UP_TO = 8000

#: Vectors with a stored bin trace: plain levels, blocks with states, a codebook, several tensors, rows, and updates.
WITH_BINS = (
    "core/framing/plain", "core/scan/1-9x8-dq", "core/codebook/seven-unary-10", "core/block/types-08-scan-0",
    "extended/row-skip/none", "extended/parent/gap-on-the-units-own-device",
)  # fmt: skip


class Disagreement(Exception):
    """Implementations that differ, or differ from the declaration of the case."""


def outcome_of(decode: Any, case: Case) -> list[Answer] | Rejected | Unsupported:
    """Decode, and return a rejection instead of raising it."""
    try:
        return list(decode(case.streams, dimensions=case.dimensions))
    except (Rejected, Unsupported) as error:
        return error


def class_of(outcome: Any) -> str:
    """Error class of a rejection."""
    if isinstance(outcome, Unsupported):
        return "unsupported"
    return str(outcome.rejection.error_class)


def bit_of(outcome: Any) -> int | None:
    """Bit of a rejection; None if not reported."""
    return None if isinstance(outcome, Unsupported) else outcome.rejection.bit_offset


def vector_of(case: Case, folder: Path, peers: dict[str, list[str]]) -> Vector:
    """Write the files of a case below the folder of the suite and return its manifest entry.

    Parameters
    ----------
    peers : dict of str to list of str
        Further implementations that agree, by digest of the streams.

    Raises
    ------
    Disagreement
        If the model and the codec differ, or differ from the declaration.
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
        # Any outcome is right, but none may be an exception outside the contract.
        for adapter in (model, native):
            outcome_of(adapter.decode, case)
        expect = Expectation(verdict="either")
    fault = case.fault
    derived = None
    if fault is not None and fault.parent is not None:
        derived = Derivation(parent=fault.parent, mutation=fault.mutation)
    return Vector(
        id=case.id, purpose=case.purpose, features=case.features,
        profile=case.profile,
        clauses=case.all_clauses(), elements=case.all_elements(),
        requirement=case.requirement,
        size_class=size_class(sum(map(len, case.streams))),
        recipe=Recipe(tool=case.tool, version=case.tool_version, seed=case.seed, options=case.options or None),
        agreed_by=tuple(agreed), streams=tuple(files), requires=requirements_of(case.streams, case.dimensions), expect=expect, derived_from=derived,
        bounds=None if case.bounds is None else Bounds(seconds=case.bounds[0], memory_bytes=case.bounds[1]),
        comment=case.comment, dimensions=case.dimensions,
        entry_points=_truth_of_entry_points(case),
    )  # fmt: skip


def _truth_of_entry_points(case: Case) -> Literal["true", "false"] | None:
    """Decode every block row from its entry point; None for a vector without entry points, or one that is not valid."""
    if case.verdict != "accept":
        return None
    fields: list[Field] = []
    straight = Session(dimensions=case.dimensions, log=fields)
    alone = Session(dimensions=case.dimensions, block_rows_alone=True)
    try:
        for stream in case.streams:
            expected = {name: tensor.levels for name, tensor in straight.decode(stream).tensors.items()}
            actual = {name: tensor.levels for name, tensor in alone.decode(stream).tensors.items()}
            if actual != expected:
                return "false"
    except StreamError:
        return "false"
    return "true" if any("cabac_offset_value" in field.path for field in fields) else None


def key_of(case: Case) -> str:
    """Digest of the streams of a case."""
    return hashlib.sha256(b"".join(hashlib.sha256(stream).digest() for stream in case.streams)).hexdigest()[
        :32
    ]


def _written(folder: Path, name: str, content: bytes) -> SuiteFile:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return suite_file(path, folder)


def _accepted(case: Case, folder: Path, name: str) -> Expectation:
    model_outcome = outcome_of(model.decode, case)
    native_outcome = outcome_of(native.decode, case)
    for who, outcome in (("the model", model_outcome), ("the codec", native_outcome)):
        if not isinstance(outcome, list):
            raise Disagreement(f"{case.id}: {who} rejects it: {outcome}")
    assert isinstance(model_outcome, list)
    assert isinstance(native_outcome, list)
    values, levels, states, topology, arrays = [], [], [], [], {}
    units, traces, bins, reencode = [], [], [], []
    for number, (answer, native_answer) in enumerate(zip(model_outcome, native_outcome, strict=True)):
        _compare(case, answer, native_answer)
        report = answer.report
        assert report is not None
        assert native_answer.report is not None
        assert report.units is not None
        units.append(tuple(ExpectedUnit(**unit) for unit in report.units))
        suffix = "" if len(case.streams) == 1 else f".{number}"
        if all(len(part.trace or "") <= TRACE_UP_TO for part in model_outcome):
            traces.append(_written(folder, f"vectors/{name}{suffix}.trace", (answer.trace or "").encode()))
        if case.id in WITH_BINS:
            content = model.bin_traces(case.streams)[number].encode()
            bins.append(_written(folder, f"vectors/{name}{suffix}.bins", content))
        built = native_answer.report.reencode
        reencode.append(built.sha256 if built is not None else "")
        for tensor, array in answer.values.items():
            values.append(
                ExpectedValues(
                    stream=number,
                    tensor=tensor,
                    dtype=array.dtype.name,
                    shape=array.shape,
                    sha256=digest(array),
                    tolerance=case.tolerance,
                )
            )
            if array.size <= VALUES_UP_TO:
                arrays[f"{number}/value:{tensor}"] = array
        for tensor, array in answer.levels.items():
            levels.append(
                ExpectedLevels(stream=number, tensor=tensor, shape=array.shape, sha256=digest(array))
            )
            if array.size <= LEVELS_UP_TO:
                arrays[f"{number}/level:{tensor}"] = array
                arrays[f"{number}/bit:{tensor}"] = answer.bits[tensor]
            states.append(ExpectedState(stream=number, tensor=tensor, **(report.arithmetic or {})[tensor]))
        topology += [
            ExpectedTopology(stream=number, size_bytes=part.size_bytes, sha256=part.sha256)
            for part in report.topology or ()
        ]
    recomposed = recomposition_of(case)
    if recomposed is not None:
        arrays[f"0/recomposition:{recomposed[0].tensor}"] = recomposed[1]
        _compare_recomposition(case, *recomposed, native_outcome[0])
    stored = None
    if arrays:
        path = folder / f"vectors/{name}.npz"
        save_arrays(path, arrays)
        stored = suite_file(path, folder)
    return Expectation(
        verdict="accept", units=tuple(units), traces=tuple(traces) or None, bins=tuple(bins) or None, arithmetic=tuple(states), levels=tuple(levels),
        values=tuple(values), topology=tuple(topology), arrays=stored,
        reencode=tuple(reencode) if all(reencode) else None,
        recompositions=None if recomposed is None else (recomposed[0],),
    )  # fmt: skip


def _compare_recomposition(case: Case, entry: ExpectedValues, weight: Array, answer: Answer) -> None:
    actual = answer.recompositions.get(entry.tensor)
    if actual is None or actual.shape != entry.shape or differing(weight, actual, entry.tolerance).any():
        raise Disagreement(f"{case.id}: the recomposition of {entry.tensor} differs")


def _compare(case: Case, answer: Answer, other: Answer) -> None:
    for layer in ("values", "levels"):
        arrays: dict[str, Array] = getattr(answer, layer)
        others: dict[str, Array] = getattr(other, layer)
        if arrays.keys() != others.keys():
            raise Disagreement(f"{case.id}: {layer} of {sorted(arrays)} and of {sorted(others)}")
        for name, array in arrays.items():
            same = array.dtype == others[name].dtype and array.shape == others[name].shape
            if same and layer == "values" and case.tolerance is not None:
                same = not differing(array, others[name], case.tolerance).any()
            elif same:
                same = digest(array) == digest(others[name])
            if not same:
                raise Disagreement(f"{case.id}: {layer} of {name} differ")
    if answer.trace != other.trace:
        pairs = zip((answer.trace or "").splitlines(), (other.trace or "").splitlines(), strict=False)
        raise Disagreement(
            f"{case.id}: traces differ: {next((pair for pair in pairs if pair[0] != pair[1]), 'length')}"
        )
    assert answer.report is not None
    assert other.report is not None
    if answer.report.units != other.report.units or answer.report.topology != other.report.topology:
        raise Disagreement(f"{case.id}: units or topology differ")


def _rejected(case: Case) -> Expectation:
    fault = case.fault
    if fault is None:
        raise Disagreement(f"{case.id}: no fault is declared")
    bits = []
    for who, adapter in (("the model", model), ("the codec", native)):
        outcome = outcome_of(adapter.decode, case)
        if isinstance(outcome, list):
            raise Disagreement(f"{case.id}: {who} accepts it")
        if class_of(outcome) not in fault.classes:
            raise Disagreement(f"{case.id}: {who} says {class_of(outcome)}, not {fault.classes}: {outcome}")
        bit = bit_of(outcome)
        if bit is not None:
            bits.append(bit)
            if fault.bits is not None and not fault.bits[0] <= bit <= fault.bits[1]:
                raise Disagreement(f"{case.id}: {who} says bit {bit}, outside of {fault.bits}: {outcome}")
    bits_of_fault = fault.bits or ((min(bits), max(bits)) if bits else None)
    return Expectation(
        verdict="reject",
        error=ExpectedError(
            classes=fault.classes,
            stage=fault.stage,
            limit_stage=fault.limit_stage,
            stream=fault.stream,
            bits=bits_of_fault,
            element=fault.element,
        ),
    )
