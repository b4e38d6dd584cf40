# SPDX-License-Identifier: Apache-2.0
"""Comparison of a decoded vector with its expectation, one function per layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from nnr_conformance.answer import Answer, TensorDigest
from nnr_conformance.arrays import Array, load_arrays
from nnr_conformance.divergence import Divergence, differing, first_difference
from nnr_conformance.expectation import ExpectedLevels, ExpectedValues
from nnr_conformance.json_schema import to_json
from nnr_conformance.suite import Suite
from nnr_conformance.vector import Vector


@dataclass
class Comparison:
    """Expectation of a vector and the answers of a decoder, one per stream."""

    suite: Suite
    vector: Vector
    answers: Sequence[Answer]
    _arrays: dict[str, Array] | None = field(default=None, init=False)

    @property
    def arrays(self) -> Mapping[str, Array]:
        """Stored arrays of the vector, read on first use."""
        if self._arrays is None:
            stored = self.vector.expect.arrays
            if stored is not None:
                self.suite.read(stored)
            self._arrays = {} if stored is None else load_arrays(self.suite.path(stored))
        return self._arrays


_MAX_LINE = 80

Shown = bool
"""True if the decoder answered the layer; otherwise the layer is not scored."""


def compare_units(comparison: Comparison) -> tuple[Shown, Divergence | None]:
    """Compare unit types, offsets and sizes."""
    shown = False
    for stream, (expected, answer) in enumerate(
        zip(comparison.vector.expect.units or (), comparison.answers, strict=True)
    ):
        if answer.report is None or answer.report.units is None:
            continue
        shown = True
        wanted = [to_json(unit) for unit in expected]
        for unit, (want, actual) in enumerate(zip_longest(wanted, answer.report.units)):
            if divergence := _compare_fields(
                want, actual, "units", f"nnr_unit[{unit}]", stream=stream, unit=unit
            ):
                return shown, divergence
    return shown, None


def compare_traces(comparison: Comparison) -> tuple[Shown, Divergence | None]:
    """Compare syntax traces line by line."""
    shown = False
    for stream, (file, answer) in enumerate(
        zip(comparison.vector.expect.traces or (), comparison.answers, strict=True)
    ):
        if answer.trace is None:
            continue
        shown = True
        wanted = comparison.suite.read(file).decode("utf-8").splitlines()
        for want, actual in zip_longest(wanted, answer.trace.splitlines()):
            if want != actual:
                bit, _, element, *_ = f"{want or actual}\t\t\t".split("\t")
                return shown, Divergence(
                    layer="trace",
                    message="the first line that differs",
                    stream=stream,
                    path=element,
                    bit=int(bit) if bit.isdigit() else None,
                    expected=_line(want),
                    actual=_line(actual),
                )
    return shown, None


def compare_arithmetic(comparison: Comparison) -> tuple[Shown, Divergence | None]:
    """Compare the state of the arithmetic decoder after every tensor, in the fields that both sides have."""
    shown = False
    for state in comparison.vector.expect.arithmetic or ():
        report = comparison.answers[state.stream].report
        if report is None or report.arithmetic is None:
            continue
        shown = True
        place: dict[str, Any] = {"stream": state.stream, "unit": state.unit, "tensor": state.tensor}
        actual = report.arithmetic.get(state.tensor)
        if actual is None:
            return shown, Divergence(layer="arithmetic", message="no state for the tensor", **place)
        wanted = {k: v for k, v in to_json(state).items() if k in actual and k not in place}
        if divergence := _compare_fields(wanted, actual, "arithmetic", "state", **place):
            return shown, divergence
    return shown, None


def compare_topology(comparison: Comparison) -> tuple[Shown, Divergence | None]:
    """Compare the bytes of every topology unit."""
    expect = comparison.vector.expect.topology or ()
    shown = False
    for stream, answer in enumerate(comparison.answers):
        if answer.report is None or answer.report.topology is None:
            continue
        shown = True
        wanted = [part for part in expect if part.stream == stream]
        for number, (want, actual) in enumerate(zip_longest(wanted, answer.report.topology)):
            fields = None if want is None else {"size_bytes": want.size_bytes, "sha256": want.sha256}
            digest = None if actual is None else to_json(actual)
            unit = None if want is None else want.unit
            if divergence := _compare_fields(
                fields, digest, "topology", f"topology[{number}]", stream=stream, unit=unit
            ):
                return shown, divergence
    return shown, None


def compare_reencode(comparison: Comparison) -> tuple[Shown, Divergence | None]:
    """Compare the rebuilt streams."""
    shown = False
    for stream, (sha256, answer) in enumerate(
        zip(comparison.vector.expect.reencode or (), comparison.answers, strict=True)
    ):
        if answer.report is None or answer.report.reencode is None:
            continue
        shown = True
        actual = {"sha256": answer.report.reencode.sha256}
        if divergence := _compare_fields({"sha256": sha256}, actual, "reencode", "stream", stream=stream):
            return shown, divergence
    return shown, None


def compare_levels(comparison: Comparison) -> tuple[Shown, Divergence | None]:
    """Compare the levels of every tensor, if the answers hold any."""
    shown = any(answer.hashed_levels() for answer in comparison.answers)
    if not shown:
        return False, None
    expected = comparison.vector.expect.levels or ()
    return True, _compare_tensors(
        comparison, "level", expected, lambda answer: (answer.hashed_levels(), answer.levels)
    )


def compare_values(comparison: Comparison) -> tuple[Shown, Divergence | None]:
    """Compare the reconstructed tensors; all are mandatory, and no others may be present."""
    expected = comparison.vector.expect.values or ()
    return True, _compare_tensors(
        comparison, "value", expected, lambda answer: (answer.hashed_values(), answer.values)
    )


def _line(line: str | None) -> str:
    """Shorten a trace line for people."""
    if line is None:
        return "the end"
    text = line.replace("\t", " ")
    return text if len(text) <= _MAX_LINE else f"{text[:_MAX_LINE]}…"


def _compare_fields(want: Any, actual: Any, layer: str, path: str, **place: Any) -> Divergence | None:
    if want is None or actual is None:
        missing = "is missing" if actual is None else "is not expected"
        return Divergence(layer=layer, message=f"{path} {missing}", path=path, **place)
    for key, value in want.items():
        if actual.get(key) != value:
            return Divergence(
                layer=layer, message="the first field that differs", path=f"{path}.{key}",
                expected=str(value), actual=str(actual.get(key)), **place,
            )  # fmt: skip
    return None


def _compare_tensors(
    comparison: Comparison,
    kind: str,
    expected: Sequence[ExpectedLevels] | Sequence[ExpectedValues],
    tensors_of: Callable[[Answer], tuple[dict[str, TensorDigest], dict[str, Array]]],
) -> Divergence | None:
    answered = [tensors_of(answer) for answer in comparison.answers]
    for entry in expected:
        hashed, arrays = answered[entry.stream]
        divergence = compare_tensor(
            comparison, kind, entry, hashed.get(entry.tensor), arrays.get(entry.tensor)
        )
        if divergence is not None:
            return divergence
    for stream, (hashed, _) in enumerate(answered):
        wanted = {entry.tensor for entry in expected if entry.stream == stream}
        for name in hashed:
            if name not in wanted:
                return Divergence(layer=f"{kind}s", message="a tensor that the stream does not carry",
                                  stream=stream, tensor=name)  # fmt: skip
    return None


def compare_tensor(
    comparison: Comparison,
    kind: str,
    entry: ExpectedLevels | ExpectedValues,
    actual: TensorDigest | None,
    array: Array | None,
) -> Divergence | None:
    """Compare one tensor of a layer, ``level``, ``value`` or ``recomposition``; None if it is right."""
    layer = f"{kind}s"
    place: dict[str, Any] = {"stream": entry.stream, "unit": entry.unit, "tensor": entry.tensor}
    if actual is None:
        return Divergence(layer=layer, message="the tensor is missing", **place)
    for name, want, value in _attributes(entry, actual):
        if want != value:
            return Divergence(layer=layer, message=f"the {name} differs", path=name,
                              expected=str(want), actual=str(value), **place)  # fmt: skip
    if actual.sha256 == entry.sha256:
        return None
    tolerance = entry.tolerance if isinstance(entry, ExpectedValues) else None
    stored = comparison.arrays.get(f"{entry.stream}/{kind}:{entry.tensor}")
    if stored is None or array is None:
        lacking = (
            "the decoder answers with hashes only" if array is None else "the suite stores no array of it"
        )
        return Divergence(layer=layer, message=f"the SHA-256 differs ({lacking})",
                          expected=entry.sha256, actual=actual.sha256, **place)  # fmt: skip
    if tolerance is not None and not differing(stored, array, tolerance).any():
        return None
    bits = comparison.arrays.get(f"{entry.stream}/bit:{entry.tensor}")
    if bits is None:
        bits = comparison.answers[entry.stream].bits.get(entry.tensor)
    return first_difference(stored, array, layer=layer, tolerance=tolerance, bits=bits, **place)


def _attributes(
    entry: ExpectedLevels | ExpectedValues, actual: TensorDigest
) -> Iterator[tuple[str, Any, Any]]:
    yield "dtype", entry.dtype if isinstance(entry, ExpectedValues) else "int32", actual.dtype
    yield "shape", entry.shape, actual.shape
