# SPDX-License-Identifier: Apache-2.0
"""Verdicts: the only module that judges an observation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nnr_conformance.digests import compare_digests
from nnr_conformance.divergence import Divergence
from nnr_conformance.expectation import Expectation
from nnr_conformance.layers import (
    Comparison,
    Shown,
    compare_arithmetic,
    compare_levels,
    compare_reencode,
    compare_topology,
    compare_traces,
    compare_units,
    compare_values,
)
from nnr_conformance.locate import locate_rejection
from nnr_conformance.observation import Observation, Status
from nnr_conformance.recomposition import compare_recompositions
from nnr_conformance.suite import Suite
from nnr_conformance.vector import Vector
from nnr_conformance.verdict import Verdict

# In decoding order: an error in one layer usually spoils the later ones.
_LAYERS: tuple[tuple[str, Callable[[Comparison], tuple[Shown, Divergence | None]]], ...] = (
    ("units", compare_units),
    ("trace", compare_traces),
    ("topology", compare_topology),
    ("levels", compare_levels),
    ("arithmetic", compare_arithmetic),
    ("values", compare_values),
    ("digests", compare_digests),
    ("recompositions", compare_recompositions),
    ("reencode", compare_reencode),
)
_EXPECTATION_OF = {"trace": "traces"}

_BROKEN = {
    Status.CRASHED: Verdict.CRASH,
    Status.TIMED_OUT: Verdict.TIMEOUT,
    Status.OUT_OF_MEMORY: Verdict.OOM,
    Status.BROKE_CONTRACT: Verdict.FAIL,
}


@dataclass
class Judgement:
    """Verdict with its reason.

    Parameters
    ----------
    at : str
        Detail in brackets: the layer of a FAIL, the signal of a CRASH.
    layers : dict of str to {"pass", "fail", "not shown"}
        Score of every layer that the vector states.
    """

    verdict: Verdict
    at: str = ""
    detail: str = ""
    layers: dict[str, str] = field(default_factory=dict)
    divergence: Divergence | None = None


def judge(suite: Suite, vector: Vector, seen: Observation) -> Judgement:
    """Judge one run.

    Clause: contract, "Verdicts" (conformance/README.md)
    """
    if seen.status in _BROKEN:
        return Judgement(_BROKEN[seen.status], seen.at, seen.detail)
    judgement = _judge_answer(suite, vector, seen)
    if seen.n_orphans and judgement.verdict is Verdict.PASS:
        detail = f"{seen.n_orphans} process{'es' if seen.n_orphans > 1 else ''} outlived the answer"
        return Judgement(Verdict.FAIL, "process", detail, judgement.layers)
    return judgement


def refuse(judgement: Judgement, seen: Observation, beyond: str) -> Judgement:
    """Judge a run on a vector beyond the level: the decoder may refuse it, but may not answer wrongly.

    Clause: contract, "Levels" (conformance/README.md)
    """
    if judgement.verdict is Verdict.PASS:
        return judgement
    named = seen.rejection is None or seen.rejection.error_class in (None, "limit", "unsupported")
    if seen.status is Status.UNSUPPORTED or (seen.status is Status.REJECTED and named):
        return Judgement(Verdict.REFUSED, "", beyond)
    return judgement


def _judge_answer(suite: Suite, vector: Vector, seen: Observation) -> Judgement:
    expect = vector.expect
    if seen.status is Status.UNSUPPORTED:
        named = (
            expect.verdict != "accept" and expect.error is not None and "unsupported" in expect.error.classes
        )
        if expect.verdict == "either" or named:
            return Judgement(Verdict.PASS, "", seen.detail, {"verdict": "pass"})
        return Judgement(Verdict.UNSUPPORTED, "", seen.detail)
    if seen.status is Status.REJECTED:
        if expect.verdict == "accept":
            why = seen.rejection.message if seen.rejection else ""
            place = locate_rejection(Comparison(suite, vector, seen.answers), seen.rejection)
            return Judgement(
                Verdict.WRONG_REJECT, "", why or "rejected a valid vector", {"verdict": "fail"}, place
            )
        return _judge_rejection(vector, seen)
    if expect.verdict == "reject":
        return Judgement(Verdict.WRONG_ACCEPT, "", "decoded an invalid vector", {"verdict": "fail"})
    return _judge_layers(suite, vector, seen)


def _judge_rejection(vector: Vector, seen: Observation) -> Judgement:
    rejection, expect = seen.rejection, vector.expect.error
    layers = {"verdict": "pass"}
    if expect is None:
        return Judgement(Verdict.PASS, "", "", layers)
    stage = expect.stage
    if rejection is not None and rejection.error_class == "limit" and expect.limit_stage is not None:
        stage = expect.limit_stage
    checks: dict[str, tuple[Any, Callable[[Any], bool], str]] = {
        "class": (
            rejection and rejection.error_class,
            lambda x: x in expect.classes,
            " or ".join(expect.classes),
        ),
        "stage": (
            None if rejection is None or stage is None else rejection.stage,
            lambda x: x == stage,
            str(stage),
        ),
        "stream": (rejection and rejection.stream, lambda x: x == expect.stream, str(expect.stream)),
        "bit": (
            None if rejection is None or expect.bits is None else rejection.bit_offset,
            lambda x: expect.bits is not None and expect.bits[0] <= x <= expect.bits[1],
            f"within {list(expect.bits or ())}",
        ),
    }
    wrong: Divergence | None = None
    for name, (actual, accept, wanted) in checks.items():
        fine = actual is None or accept(actual)
        layers[f"error.{name}"] = "not shown" if actual is None else "pass" if fine else "fail"
        if not fine and wrong is None:
            wrong = Divergence(layer="error", message=f"the {name} of the rejection differs", path=name,
                               stream=expect.stream, bit=expect.bits[0] if expect.bits else None,
                               expected=wanted, actual=str(actual))  # fmt: skip
    if wrong is None:
        return Judgement(Verdict.PASS, "", "", layers)
    detail = f"{wrong.path}: expected {wrong.expected}, actual {wrong.actual}"
    return Judgement(Verdict.WRONG_ERROR, str(wrong.path), detail, layers, wrong)


def _judge_layers(suite: Suite, vector: Vector, seen: Observation) -> Judgement:
    layers = {"verdict": "pass"}
    if len(seen.answers) != len(vector.streams):
        detail = f"{len(seen.answers)} answers for {len(vector.streams)} streams"
        return Judgement(Verdict.FAIL, "output", detail, layers)
    comparison = Comparison(suite, vector, seen.answers)
    first: Divergence | None = None
    for layer, compare in _LAYERS:
        if getattr(vector.expect, _EXPECTATION_OF.get(layer, layer)) is None:
            continue
        shown, divergence = compare(comparison)
        layers[layer] = "fail" if divergence else "pass" if shown else "not shown"
        first = first or divergence
    if first is None:
        return Judgement(Verdict.PASS, "", "", layers)
    return Judgement(Verdict.FAIL, first.layer, describe_divergence(first), layers, first)


def layers_of(expect: Expectation) -> list[tuple[str, ...]]:
    """Layers that a right answer to a vector can have, one list per kind of answer."""
    stated = [layer for layer, _ in _LAYERS if getattr(expect, _EXPECTATION_OF.get(layer, layer)) is not None]
    error = ("error.class", "error.stage", "error.stream", "error.bit") if expect.error is not None else ()
    decoded, rejected, unsupported = ("verdict", *stated), ("verdict", *error), ("verdict",)
    kinds = {
        "accept": [decoded],
        "reject": [rejected, unsupported],
        "either": [decoded, rejected, unsupported],
    }
    return kinds[expect.verdict]


def describe_divergence(divergence: Divergence) -> str:
    """Describe a divergence in one line."""
    place = []
    if divergence.tensor is not None:
        place.append(divergence.tensor + ("" if divergence.index is None else str(list(divergence.index))))
    if divergence.path is not None:
        place.append(divergence.path)
    if divergence.bit is not None:
        place.append(f"bit {divergence.bit}")
    location = " at ".join(place)
    text = f"{location}: {divergence.message}" if location else divergence.message
    if divergence.expected is not None:
        text += f": expected {divergence.expected}, actual {divergence.actual}"
    return text
