# SPDX-License-Identifier: Apache-2.0
"""One comparison per layer of a decoded vector; each gives its first divergence, or None."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from nnr_conformance.answer import Answer, HashedTensor
from nnr_conformance.arrays import Array, load_arrays
from nnr_conformance.divergence import Divergence, differing, first_difference
from nnr_conformance.expectation import ExpectedLevels, ExpectedValues
from nnr_conformance.record import write_record
from nnr_conformance.suite import Suite
from nnr_conformance.vector import Vector


@dataclass
class Comparison:
    """A vector's expectation beside the answers of a decoder, one per stream."""

    suite: Suite
    vector: Vector
    answers: Sequence[Answer]
    _arrays: dict[str, Array] | None = field(default=None, init=False)

    @property
    def arrays(self) -> Mapping[str, Array]:
        """The stored arrays, read when the first difference asks for them."""
        if self._arrays is None:
            stored = self.vector.expect.arrays
            if stored is not None:
                self.suite.read(stored)
            self._arrays = {} if stored is None else load_arrays(self.suite.path(stored))
        return self._arrays


_MAX_LINE = 80

Shown = bool
"""Whether the decoder gave anything to score; a layer that is not shown is not scored."""


def compare_units(comparison: Comparison) -> tuple[Shown, Divergence | None]:
    """Unit types, places and sizes."""
    shown = False
    for stream, (expected, answer) in enumerate(
        zip(comparison.vector.expect.units or (), comparison.answers, strict=True)
    ):
        if answer.report is None or answer.report.units is None:
            continue
        shown = True
        wanted = [write_record(unit) for unit in expected]
        for unit, (want, found) in enumerate(zip_longest(wanted, answer.report.units)):
            if divergence := _compare_fields(
                want, found, "units", f"nnr_unit[{unit}]", stream=stream, unit=unit
            ):
                return shown, divergence
    return shown, None


def compare_traces(comparison: Comparison) -> tuple[Shown, Divergence | None]:
    """Syntax traces, line by line."""
    shown = False
    for stream, (file, answer) in enumerate(
        zip(comparison.vector.expect.traces or (), comparison.answers, strict=True)
    ):
        if answer.trace is None:
            continue
        shown = True
        wanted = comparison.suite.read(file).decode("utf-8").splitlines()
        for want, found in zip_longest(wanted, answer.trace.splitlines()):
            if want != found:
                bit, _, element, *_ = f"{want or found}\t\t\t".split("\t")
                return shown, Divergence(
                    layer="trace",
                    message="the first line that differs",
                    stream=stream,
                    path=element,
                    bit=int(bit) if bit.isdigit() else None,
                    expected=_line(want),
                    found=_line(found),
                )
    return shown, None


def compare_arithmetic(comparison: Comparison) -> tuple[Shown, Divergence | None]:
    """The arithmetic decoder's registers after each tensor, as far as both tell them."""
    shown = False
    for state in comparison.vector.expect.arithmetic or ():
        report = comparison.answers[state.stream].report
        if report is None or report.arithmetic is None:
            continue
        shown = True
        place = {"stream": state.stream, "unit": state.unit, "tensor": state.tensor}
        found = report.arithmetic.get(state.tensor)
        if found is None:
            return shown, Divergence(layer="arithmetic", message="no state for the tensor", **place)  # type: ignore[arg-type]  # mixed
        wanted = {k: v for k, v in write_record(state).items() if k in found and k not in place}
        if divergence := _compare_fields(wanted, found, "arithmetic", "state", **place):
            return shown, divergence
    return shown, None


def compare_topology(comparison: Comparison) -> tuple[Shown, Divergence | None]:
    """The bytes of every topology unit."""
    expect = comparison.vector.expect.topology or ()
    shown = False
    for stream, answer in enumerate(comparison.answers):
        if answer.report is None or answer.report.topology is None:
            continue
        shown = True
        wanted = [part for part in expect if part.stream == stream]
        for number, (want, found) in enumerate(zip_longest(wanted, answer.report.topology)):
            fields = None if want is None else {"size_bytes": want.size_bytes, "sha256": want.sha256}
            told = None if found is None else write_record(found)
            unit = None if want is None else want.unit
            if divergence := _compare_fields(
                fields, told, "topology", f"topology[{number}]", stream=stream, unit=unit
            ):
                return shown, divergence
    return shown, None


def compare_reencode(comparison: Comparison) -> tuple[Shown, Divergence | None]:
    """The streams built again."""
    shown = False
    for stream, (sha256, answer) in enumerate(
        zip(comparison.vector.expect.reencode or (), comparison.answers, strict=True)
    ):
        if answer.report is None or answer.report.reencode is None:
            continue
        shown = True
        found = {"sha256": answer.report.reencode.sha256}
        if divergence := _compare_fields({"sha256": sha256}, found, "reencode", "stream", stream=stream):
            return shown, divergence
    return shown, None


def compare_levels(comparison: Comparison) -> tuple[Shown, Divergence | None]:
    """The integer levels of every tensor, where any are given."""
    shown = any(answer.hashed_levels() for answer in comparison.answers)
    if not shown:
        return False, None
    expected = comparison.vector.expect.levels or ()
    return True, _compare_tensors(
        comparison, "level", expected, lambda answer: (answer.hashed_levels(), answer.levels)
    )


def compare_values(comparison: Comparison) -> tuple[Shown, Divergence | None]:
    """The reconstructed tensors: mandatory, and no others beside them."""
    expected = comparison.vector.expect.values or ()
    return True, _compare_tensors(
        comparison, "value", expected, lambda answer: (answer.hashed_values(), answer.values)
    )


def _line(line: str | None) -> str:
    """A trace's line for people."""
    if line is None:
        return "the end"
    told = line.replace("\t", " ")
    return told if len(told) <= _MAX_LINE else f"{told[:_MAX_LINE]}…"


def _compare_fields(want: Any, found: Any, layer: str, path: str, **place: Any) -> Divergence | None:
    if want is None or found is None:
        missing = "is missing" if found is None else "is not expected"
        return Divergence(layer=layer, message=f"{path} {missing}", path=path, **place)
    for key, value in want.items():
        if found.get(key) != value:
            return Divergence(
                layer=layer, message="the first field that differs", path=f"{path}.{key}",
                expected=str(value), found=str(found.get(key)), **place,
            )  # fmt: skip
    return None


def _compare_tensors(
    comparison: Comparison,
    kind: str,
    expected: Sequence[ExpectedLevels] | Sequence[ExpectedValues],
    given: Callable[[Answer], tuple[dict[str, HashedTensor], dict[str, Array]]],
) -> Divergence | None:
    told = [given(answer) for answer in comparison.answers]
    for entry in expected:
        hashed, arrays = told[entry.stream]
        divergence = _compare_tensor(
            comparison, kind, entry, hashed.get(entry.tensor), arrays.get(entry.tensor)
        )
        if divergence is not None:
            return divergence
    for stream, (hashed, _) in enumerate(told):
        wanted = {entry.tensor for entry in expected if entry.stream == stream}
        for name in hashed:
            if name not in wanted:
                return Divergence(layer=f"{kind}s", message="a tensor that the stream does not carry",
                                  stream=stream, tensor=name)  # fmt: skip
    return None


def _compare_tensor(
    comparison: Comparison,
    kind: str,
    entry: ExpectedLevels | ExpectedValues,
    found: HashedTensor | None,
    array: Array | None,
) -> Divergence | None:
    layer = f"{kind}s"
    place: dict[str, Any] = {"stream": entry.stream, "unit": entry.unit, "tensor": entry.tensor}
    if found is None:
        return Divergence(layer=layer, message="the tensor is missing", **place)
    for name, want, given in _attributes(entry, found):
        if want != given:
            return Divergence(layer=layer, message=f"the {name} differs", path=name,
                              expected=str(want), found=str(given), **place)  # fmt: skip
    if found.sha256 == entry.sha256:
        return None
    tolerance = entry.tolerance if isinstance(entry, ExpectedValues) else None
    stored = comparison.arrays.get(f"{entry.stream}/{kind}:{entry.tensor}")
    if stored is None or array is None:
        lacking = "the decoder gives hashes only" if array is None else "the suite stores no array of it"
        return Divergence(layer=layer, message=f"the SHA-256 differs ({lacking})",
                          expected=entry.sha256, found=found.sha256, **place)  # fmt: skip
    if tolerance is not None and not differing(stored, array, tolerance).any():
        return None
    bits = comparison.arrays.get(f"{entry.stream}/bit:{entry.tensor}")
    if bits is None:
        bits = comparison.answers[entry.stream].bits.get(entry.tensor)
    return first_difference(stored, array, layer=layer, tolerance=tolerance, bits=bits, **place)


def _attributes(
    entry: ExpectedLevels | ExpectedValues, found: HashedTensor
) -> Iterator[tuple[str, Any, Any]]:
    yield "dtype", entry.dtype if isinstance(entry, ExpectedValues) else "int32", found.dtype
    yield "shape", entry.shape, found.shape
