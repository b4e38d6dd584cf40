# SPDX-License-Identifier: Apache-2.0
"""Command ``explain``: the first divergence of a decoder on one vector, with its surroundings."""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nnr_conformance import os_process
from nnr_conformance.adapter import Adapter
from nnr_conformance.answer import Rejection
from nnr_conformance.arrays import Array
from nnr_conformance.bins import first_wrong_bin
from nnr_conformance.divergence import Divergence, differing, first_difference
from nnr_conformance.judge import judge
from nnr_conformance.layers import Comparison
from nnr_conformance.limits import Limits
from nnr_conformance.observation import Observation
from nnr_conformance.process import kill_descendants
from nnr_conformance.reports.terminal import clean
from nnr_conformance.suite import Suite
from nnr_conformance.vector import Vector
from nnr_conformance.verdict import Verdict
from nnr_conformance.worker import observe

_AROUND = 3


@dataclass(frozen=True)
class Explanation:
    """Text of an explanation, verdict and divergence."""

    text: str
    passes: bool
    divergence: Divergence | None


KEEP_GOING = {"NNR_KEEP_GOING": "1"}
"""Environment of a decoder under ``explain``: a decoder that knows it decodes on behind a fault of a codeword."""


def run_once(adapter: Adapter, suite: Suite, vector: Vector, limits: Limits) -> Observation:
    """Run one vector in this process, without a worker, and remove everything afterwards."""
    os_process.adopt_orphans()
    decoder = replace(adapter, environment={**(adapter.environment or {}), **KEEP_GOING}).build()
    with tempfile.TemporaryDirectory(prefix="nnr_conformance.") as folder:
        try:
            decoder.start(Path(folder), limits)
            return observe(decoder, suite, vector, limits, Path(folder) / "vector", adapter.extension)
        finally:
            decoder.close()
            kill_descendants()


def explain(
    adapter: Adapter, suite: Suite, vector: Vector, limits: Limits, spec: str, against: Adapter | None = None,
    folder: str = "",
) -> Explanation:  # fmt: skip
    """Run a vector and explain the first divergence.

    Parameters
    ----------
    spec : str
        Argument of ``--decoder``, for the command that reproduces the divergence.
    against : Adapter, optional
        Decoder to compare with where the suite stores hashes only.
    folder : str, optional
        Argument of ``--suites``.
    """
    seen = run_once(adapter, suite, vector, limits)
    judgement = judge(suite, vector, seen)
    divergence = judgement.divergence
    other = run_once(against, suite, vector, limits) if against is not None else None
    if divergence is not None and divergence.index is None and other is not None:
        divergence = _locate(divergence, seen, other) or divergence
    label = f"{judgement.verdict}({judgement.at})" if judgement.at else str(judgement.verdict)
    lines = [
        f"{vector.id}: {label}",
        f"  purpose    {vector.purpose}",
        f"  clauses    {', '.join(vector.clauses)}   features {', '.join(vector.features)}",
        f"  expected   {vector.expect.verdict}" + _expected_error(vector),
        f"  decoder    {adapter.name}: {seen.status.value}, {seen.seconds:.3f} s, {_memory(seen)}",
    ]
    if judgement.layers:
        lines.append(
            "  layers     " + ", ".join(f"{name} {score}" for name, score in judgement.layers.items())
        )
    comparison = Comparison(suite, vector, seen.answers)
    if seen.rejection is not None and judgement.verdict is not Verdict.PASS:
        lines.append(f"  rejection  {clean(_rejection(seen.rejection))}")
    if divergence is not None:
        lines += _spell(comparison, divergence)
    elif judgement.detail:
        lines.append(f"  reason     {clean(judgement.detail)}")
    if judgement.verdict is not Verdict.PASS:
        lines += [f"  {clean(line)}" for line in first_wrong_bin(comparison)]
    rest = "".join(
        f" {option} {shlex.quote(value)}"
        for option, value in (("--suites", folder), ("--decoder", spec))
        if value
    )
    lines.append(f"  reproduce  python -m nnr_conformance explain {vector.id}{rest}")
    lines += [f"  stream {k}   {suite.path(file)}" for k, file in enumerate(vector.streams)]
    return Explanation("\n".join(lines) + "\n", judgement.verdict is Verdict.PASS, divergence)


def _memory(seen: Observation) -> str:
    # Memory is sampled: a run of less than a millisecond may end before that.
    if not seen.peak_memory_bytes:
        return "memory not measured"
    kibibytes = seen.peak_memory_bytes >> 10
    return f"{kibibytes} KiB" if kibibytes < 1 << 12 else f"{kibibytes >> 10} MiB"


def _rejection(rejection: Rejection) -> str:
    parts = [f"{key}={value}" for key, value in (("bit", rejection.bit_offset), ("stage", rejection.stage),
                                                 ("stream", rejection.stream)) if value is not None]  # fmt: skip
    return " ".join(filter(None, (rejection.error_class, *parts, rejection.message)))


def _expected_error(vector: Vector) -> str:
    error = vector.expect.error
    if error is None:
        return ""
    bits = "" if error.bits is None else f", bits {error.bits[0]} to {error.bits[1]}"
    element = "" if error.element is None else f", {error.element}"
    return f": {' or '.join(error.classes)} in {error.stage}{bits}{element}"


def _locate(divergence: Divergence, seen: Observation, other: Observation) -> Divergence | None:
    """Locate the first differing element in the arrays of another decoder."""
    if divergence.stream is None or divergence.tensor is None or divergence.layer not in ("levels", "values"):
        return None
    if max(len(seen.answers), len(other.answers)) <= divergence.stream or not other.answers:
        return None
    answer, reference = seen.answers[divergence.stream], other.answers[divergence.stream]
    actual: Array | None = getattr(answer, divergence.layer).get(divergence.tensor)
    wanted: Array | None = getattr(reference, divergence.layer).get(divergence.tensor)
    if actual is None or wanted is None or actual.shape != wanted.shape or actual.dtype != wanted.dtype:
        return None
    located = first_difference(
        wanted, actual, layer=divergence.layer, bits=reference.bits.get(divergence.tensor),
        stream=divergence.stream, unit=divergence.unit, tensor=divergence.tensor,
    )  # fmt: skip
    return located and replace(located, message="the first element that differs from the other decoder")


def _spell(comparison: Comparison, divergence: Divergence) -> list[str]:
    place = [
        f"{name} {value}"
        for name, value in (
            ("stream", _stream(comparison, divergence)),
            ("unit", divergence.unit),
            ("tensor", None if divergence.tensor is None else repr(divergence.tensor)),
            ("index", None if divergence.index is None else list(divergence.index)),
            ("at", divergence.path),
            ("bit", divergence.bit),
        )
        if value is not None
    ]
    lines = [
        f"  divergence {divergence.layer}: {divergence.message}",
        f"  place      {clean(', '.join(place))}",
    ]
    for title, value, code in (
        ("expected", divergence.expected, divergence.expected_hex),
        ("actual", divergence.actual, divergence.actual_hex),
    ):
        if value is not None:
            lines.append(f"  {title:10} {clean(value)}" + (f"   0x{code}" if code else ""))
    if divergence.n_different is not None:
        lines.append(f"  total      {divergence.n_different} of {divergence.n_elements} elements differ")
    return lines + _around(comparison, divergence)


def _stream(comparison: Comparison, divergence: Divergence) -> str | None:
    n_streams = len(comparison.vector.streams)
    if divergence.stream is None:
        return None
    return f"{divergence.stream}" + (f" (from 0) of {n_streams}" if n_streams > 1 else "")


def _around(comparison: Comparison, divergence: Divergence) -> list[str]:
    """Elements around the divergence, in C order."""
    if divergence.index is None or divergence.stream is None or divergence.tensor is None:
        return []
    kind = divergence.layer.removesuffix("s")
    stored = comparison.arrays.get(f"{divergence.stream}/{kind}:{divergence.tensor}")
    if stored is None or divergence.stream >= len(comparison.answers):
        return []
    answer = comparison.answers[divergence.stream]
    actual = (answer.values if kind == "value" else answer.levels).get(divergence.tensor)
    if actual is None:
        return []
    at = int(np.ravel_multi_index(divergence.index, stored.shape)) if divergence.index else 0
    near = slice(max(0, at - _AROUND), at + _AROUND + 1)
    unequal = differing(stored, actual)[near]
    rows = [
        f"{title} "
        + " ".join(f"{'>' if bad else ''}{value!s}" for value, bad in zip(row, unequal, strict=True))
        for title, row in (("expected", stored.reshape(-1)[near]), ("actual  ", actual.reshape(-1)[near]))
    ]
    return [f"  around     {rows[0]}", f"             {rows[1]}"]
