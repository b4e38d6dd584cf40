# SPDX-License-Identifier: Apache-2.0
"""Generated suite of toy streams with every kind of expectation, for the self-test."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from nnr_conformance.adapters.toy import build_toy, decode, toy_units
from nnr_conformance.answer import Answer
from nnr_conformance.arrays import Array, digest, save_arrays
from nnr_conformance.expectation import (
    Expectation,
    ExpectedError,
    ExpectedLevels,
    ExpectedState,
    ExpectedValues,
    SuiteFile,
    Tolerance,
)
from nnr_conformance.manifest import MANIFEST_FORMAT, Manifest
from nnr_conformance.suite import Suite, suite_file
from nnr_conformance.vector import Bounds, Derivation, Recipe, Vector, size_class

_WEIGHT = [[1, -2, 3], [0, 5, -6]]


class _Writer:
    """Writer of suite files that collects the vectors.

    Parameters
    ----------
    fault : str
        Fault that the added vectors select; it becomes part of their ids.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.vectors: list[Vector] = []
        self.fault = ""
        (folder / "vectors").mkdir(parents=True)

    def build(self, **content: Any) -> bytes:
        return build_toy({**content, **({"fault": self.fault} if self.fault else {})})

    def file(self, name: str, content: bytes) -> SuiteFile:
        path = self.folder / "vectors" / name
        path.write_bytes(content)
        return suite_file(path, self.folder)

    def add(
        self, name: str, purpose: str, streams: Sequence[bytes], expect: Expectation, **fields: Any
    ) -> None:
        name = self.full(name)
        files = [self.file(f"{name}.{number}.nnc", stream) for number, stream in enumerate(streams)]
        defaults: dict[str, Any] = {
            "features": ("framing",),
            "clauses": ("2",),
            "profile": 0,
            "requirement": "shall",
        }
        if self.fault in IMPATIENT:
            defaults["bounds"] = Bounds(seconds=1.0, memory_bytes=400 << 20)
        self.vectors.append(
            Vector(
                id=f"toy/{name}",
                purpose=purpose,
                elements=("nnr_unit_size",),
                size_class=size_class(sum(map(len, streams))),
                recipe=Recipe(tool="nnr_conformance.toy_suite"),
                agreed_by=("toy", "hand"),
                streams=tuple(files),
                expect=expect,
                **defaults | fields,
            )
        )

    def accept(
        self,
        name: str,
        purpose: str,
        streams: Sequence[bytes],
        tolerance: Tolerance | None = None,
        **fields: Any,
    ) -> None:
        expect = _expect_decoded(self, self.full(name), streams, tolerance)
        self.add(name, purpose, streams, expect, **fields)

    def reject(self, name: str, purpose: str, stream: bytes, error: ExpectedError, **fields: Any) -> None:
        verdict = fields.pop("verdict", "reject")
        self.add(name, purpose, [stream], Expectation(verdict=verdict, error=error), **fields)

    def arrays(self, name: str, answers: Sequence[Answer]) -> SuiteFile:
        stored: dict[str, Array] = {}
        for stream, answer in enumerate(answers):
            for kind, arrays in (("value", answer.values), ("level", answer.levels), ("bit", answer.bits)):
                stored |= {f"{stream}/{kind}:{tensor}": array for tensor, array in arrays.items()}
        path = self.folder / "vectors" / f"{name}.npz"
        save_arrays(path, stored, compress=True)
        return suite_file(path, self.folder)

    def full(self, name: str) -> str:
        return f"{self.fault}/{name}".replace("/", ".") if self.fault else name


def write_toy_suite(folder: Path, faults: Iterable[tuple[str, str]] = ()) -> Suite:
    """Write the suite into a new folder and load it.

    Parameters
    ----------
    faults : iterable of (str, str)
        Additional vectors ``toy/FAULT.NAME``: vector NAME, selecting a fault.
    """
    writer = _Writer(folder)
    for add in VECTORS.values():
        add(writer)
    for writer.fault, name in faults:
        VECTORS[name](writer)
    manifest = Manifest(
        format=MANIFEST_FORMAT,
        suite="toy",
        version="1.0.0",
        title="Toy streams",
        vectors=tuple(writer.vectors),
    )
    suite = Suite(folder.resolve(), manifest)
    suite.save()
    return Suite.load(folder)


def _expect_decoded(
    writer: _Writer, name: str, streams: Sequence[bytes], tolerance: Tolerance | None
) -> Expectation:
    answers = decode(streams)
    levels, values, states = [], [], []
    for stream, answer in enumerate(answers):
        for tensor, array in answer.levels.items():
            levels.append(
                ExpectedLevels(stream=stream, unit=1, tensor=tensor, shape=array.shape, sha256=digest(array))
            )
            states.append(
                ExpectedState(stream=stream, tensor=tensor, range=510, offset=len(streams[stream]) % 510)
            )
        for tensor, array in answer.values.items():
            values.append(
                ExpectedValues(stream=stream, unit=1, tensor=tensor, dtype="float32", shape=array.shape,
                               sha256=digest(array), tolerance=tolerance)
            )  # fmt: skip
    traces = [
        writer.file(f"{name}.{number}.trace", (answer.trace or "").encode())
        for number, answer in enumerate(answers)
    ]
    return Expectation(
        verdict="accept",
        units=tuple(toy_units(stream) for stream in streams),
        traces=tuple(traces),
        arithmetic=tuple(states),
        levels=tuple(levels),
        values=tuple(values),
        topology=(),
        reencode=tuple(hashlib.sha256(stream).hexdigest() for stream in streams),
        arrays=writer.arrays(name, answers),
    )


def _dense(to: _Writer) -> None:
    stream = to.build(tensors={"file": [7], "weight": _WEIGHT})
    to.accept("dense", "Two tensors, one of a name that is awkward for NPZ.", [stream])


def _names(to: _Writer) -> None:
    stream = to.build(tensors={"level:x.npy": [1, 2], "a/b c": [[[4]]], "empty": []})
    to.accept("names", "Names with a prefix, a suffix, a slash and a blank.", [stream],
              features=("float-payload",), clauses=("3.1",))  # fmt: skip


def _update(to: _Writer) -> None:
    first = to.build(tensors={"weight": _WEIGHT})
    second = to.build(update=True, tensors={"weight": [[1, 1, 1], [2, 2, 2]]})
    to.accept("update", "Two streams, of which the second needs the first.", [first, second],
              features=("incremental",), profile=1)  # fmt: skip


def _near(to: _Writer) -> None:
    stream = to.build(tensors={"weight": _WEIGHT})
    to.accept("near", "A tensor that may be off by a thousandth.", [stream],
              Tolerance(absolute=1e-3, reason="to show one"), features=("uniform",))  # fmt: skip


def _advice(to: _Writer) -> None:
    to.accept("advice", "A recommendation.", [to.build(tensors={"bias": [3]})], requirement="should")


def _magic(to: _Writer) -> None:
    stream = to.build(tensors={"file": [7], "weight": _WEIGHT})
    to.reject(
        "magic",
        "A decoder that does not look at the magic.",
        b"TOY2" + stream[4:],
        ExpectedError(classes=("malformed",), stage="framing", bits=(0, 32)),
        features=("reserved-bits",),
        derived_from=Derivation(parent="toy/dense", mutation="magic=TOY2"),
    )


def _cut(to: _Writer) -> None:
    stream = to.build(tensors={"file": [7], "weight": _WEIGHT})
    to.reject(
        "cut",
        "A decoder that does not miss the end.",
        stream[:-2],
        ExpectedError(classes=("truncated",), stage="payload"),
        features=("truncation",),
        derived_from=Derivation(parent="toy/dense", mutation="the last two bytes are removed"),
    )


def _feature(to: _Writer) -> None:
    to.reject("feature", "A feature that nobody has.", to.build(feature="time travel"),
              ExpectedError(classes=("unsupported",), stage="header"))  # fmt: skip


def _huge(to: _Writer) -> None:
    to.reject(
        "huge",
        "A size that has to be bounded.",
        to.build(elements=10**12, tensors={}),
        ExpectedError(classes=("limit", "malformed"), stage="header"),
        features=("limits",),
        verdict="either",
        bounds=Bounds(seconds=30, memory_bytes=400 << 20),
    )


IMPATIENT = ("hangs", "spins", "hangs-with-orphans")
"""Faults that use up the whole time bound; their vectors have a short one."""

VECTORS: dict[str, Callable[[_Writer], None]] = {
    "dense": _dense,
    "names": _names,
    "update": _update,
    "near": _near,
    "advice": _advice,
    "magic": _magic,
    "cut": _cut,
    "feature": _feature,
    "huge": _huge,
}
