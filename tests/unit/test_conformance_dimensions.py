# SPDX-License-Identifier: Apache-2.0
"""Shapes from outside and recomposed weights in the conformance checker."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nnr_conformance.adapters import native
from nnr_conformance.answer import Answer
from nnr_conformance.decode_function import observe_call
from nnr_conformance.decoders import CommandDecoder
from nnr_conformance.judge import judge
from nnr_conformance.limits import Limits
from nnr_conformance.observation import Observation, Status
from nnr_conformance.output import read_output
from nnr_conformance.python_child import save_answer
from nnr_conformance.suite import Suite, find_suites
from nnr_conformance.vector import Vector
from nnr_conformance.verdict import Verdict


@functools.cache
def core() -> Suite:
    [suite] = find_suites(None, ("core",))
    return suite


def vector_of(name: str) -> tuple[Vector, list[bytes]]:
    [vector] = [vector for vector in core().manifest.vectors if vector.id == name]
    return vector, [core().read(file) for file in vector.streams]


def test_an_argument_with_a_shape_is_repeated() -> None:
    decoder = CommandDecoder(("d", "{input}", "{output}", "--shape={shape}"))
    paths = [Path("0.nnc")], [Path("0.npz")]
    assert decoder.expand(*paths) == ["d", "0.nnc", "0.npz"]
    shapes = {"w": (2, 3), "s": ()}
    assert decoder.expand(*paths, shapes)[3:] == ["--shape=w=2x3", "--shape=s="]


def test_a_command_without_the_placeholder_does_not_support_shapes() -> None:
    decoder = CommandDecoder(("true", "{input}", "{output}"))
    seen = decoder.decode([Path("0.nnc")], [Path("0.npz")], Limits(), {"w": (2, 3)})
    assert seen.status is Status.UNSUPPORTED


def test_a_function_gets_shapes_if_it_takes_them() -> None:
    vector, streams = vector_of("core/external-dimensions/matrix")
    assert (
        judge(core(), vector, observe_call(native.decode, streams, vector.dimensions)).verdict is Verdict.PASS
    )
    assert judge(core(), vector, observe_call(native.decode, streams)).verdict is Verdict.WRONG_REJECT

    def without(streams: Sequence[bytes]) -> list[Mapping[str, np.ndarray]]:
        raise AssertionError(streams)

    assert observe_call(without, streams, vector.dimensions).status is Status.UNSUPPORTED


@pytest.mark.parametrize("name", ["scaling", "factors", "scaling-and-factors-of-other-rows"])
def test_recomposed_weights_are_scored(name: str, tmp_path: Path) -> None:
    vector, streams = vector_of(f"core/recomposition/{name}")
    answers = native.decode(streams)
    judgement = judge(core(), vector, Observation(Status.DECODED, answers))
    assert (judgement.verdict, judgement.layers["recompositions"]) == (Verdict.PASS, "pass")

    save_answer(answers[0], tmp_path / "0.npz")
    assert read_output(tmp_path / "0.npz").recompositions.keys() == answers[0].recompositions.keys()

    weight = answers[0].recompositions["w"]
    wrong = replace(answers[0], recompositions={"w": weight.T.reshape(weight.shape)})
    judgement = judge(core(), vector, Observation(Status.DECODED, [wrong]))
    assert (judgement.verdict, judgement.at) == (Verdict.FAIL, "recompositions")


def test_the_order_of_summation_is_free() -> None:
    vector, streams = vector_of("core/recomposition/factors")
    [answer] = native.decode(streams)
    g, h = (answer.values[name].astype(np.float32) for name in ("w_G", "w_H"))
    product = np.zeros((6, 8), np.float32)
    for term in reversed(range(g.shape[1])):
        product += g[:, term : term + 1] * h[term]
    other = replace(answer, recompositions={"w": product})
    assert judge(core(), vector, Observation(Status.DECODED, [other])).verdict is Verdict.PASS


def test_recompositions_are_optional() -> None:
    vector, streams = vector_of("core/recomposition/factors")
    [answer] = native.decode(streams)
    judgement = judge(core(), vector, Observation(Status.DECODED, [replace(answer, recompositions={})]))
    assert (judgement.verdict, judgement.layers["recompositions"]) == (Verdict.PASS, "not shown")
    assert Answer().recompositions == {}
