# SPDX-License-Identifier: Apache-2.0
"""Suites from seeds: the generator, the records, and the expectations by digest."""

from __future__ import annotations

import functools
import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnr_conformance.adapters import native
from nnr_conformance.answer import Answer, Rejected, Unsupported
from nnr_conformance.cli import main as check
from nnr_conformance.digests import stream_digest
from nnr_conformance.expectation import Expectation, ExpectedError, Stage
from nnr_conformance.judge import judge
from nnr_conformance.observation import Observation, Status
from nnr_conformance.suite import Suite, find_suites
from nnr_conformance.verdict import Verdict

from conformance.generators.seeded import corpus, suites
from conformance.generators.seeded.large import CASES, with_states
from conformance.generators.seeded.outcome import LeftOut, Outcome, outcome_of
from conformance.generators.seeded.splitmix import SplitMix64, uniform64
from conformance.generators.seeded.stress import KINDS, stored_zlib, stress_streams
from tools.damage.cases import damaged


def test_splitmix_gives_the_published_sequence() -> None:
    rng = SplitMix64("")
    rng._state = 1234567
    assert [rng.next() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_many_draws_are_those_of_one_by_one() -> None:
    rng = SplitMix64("a name")
    assert uniform64("a name", 100).tolist() == [rng.next() for _ in range(100)]


def test_draws_stay_in_their_range() -> None:
    rng = SplitMix64("ranges")
    assert {rng.randint(-1, 1) for _ in range(100)} == {-1, 0, 1}
    assert max(rng.getrandbits(70) for _ in range(100)).bit_length() > 64
    assert len(rng.randbytes(11)) == 11
    with pytest.raises(ValueError, match="no range"):
        rng.randrange(0)


def test_a_stored_block_is_a_zlib_stream() -> None:
    assert zlib.decompress(stored_zlib(bytes(1000))) == bytes(1000)


def test_the_record_has_ten_thousand_cases_of_every_kind() -> None:
    outcomes = suites.load_record("stress")["outcomes"]
    assert len(outcomes) == suites.N_STRESS
    numbers = [int(name.partition("/")[2]) for name in outcomes]
    assert numbers == sorted(set(numbers))
    assert {number % len(KINDS) for number in numbers} == set(range(len(KINDS)))
    for number, text in zip(numbers, outcomes.values(), strict=True):
        if KINDS[number % len(KINDS)] == "valid":
            assert text.startswith("accept "), number


@pytest.mark.parametrize("base", [0, 7, 500, 1999])
def test_stress_streams_have_the_recorded_outcome(base: int) -> None:
    outcomes = suites.load_record("stress")["outcomes"]
    for kind in range(len(KINDS)):
        number = base * len(KINDS) + kind
        expected = outcomes.get(f"stress/{number:05}")
        _, streams, features = stress_streams(number)
        assert features
        if expected is None:
            with pytest.raises(LeftOut):
                outcome_of(streams)
        else:
            assert outcome_of(streams).text() == expected


def test_large_streams_have_the_recorded_digests() -> None:
    outcomes = suites.load_record("large")["outcomes"]
    assert list(outcomes) == [f"large/{case.name}" for case in CASES]
    for case in CASES:
        if case.name in ("columns-65537", "updates-60", "names-65536"):
            answers = native.decode(case.streams())
            expected = Outcome.parse(outcomes[f"large/{case.name}"]).digests
            assert tuple(stream_digest(answer.hashed_values()) for answer in answers) == expected


def test_states_run_through_blocks() -> None:
    coded = np.ones(6, np.int32)
    # The states are 0, 2, 3, 4, 0, 2 in scan order; in state 3, the value 1 is the level 1 instead of 2.
    assert with_states(coded, 2, 3, 8).tolist() == [2, 2, 1, 2, 2, 2]
    assert with_states(coded, 2, 3, 2).tolist() == [2, 2, 2, 1, 2, 2]


def test_a_part_of_the_stress_suite_conforms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert suites.write_suite("stress", tmp_path, most=15) == 15
    assert check(["run", "-q", "--jobs", "1", "--suites", str(tmp_path), "--suite", "stress"]) == 0
    assert "15 PASS" in capsys.readouterr().out


def test_a_changed_record_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = suites.load_record("stress")
    record["outcomes"] = dict(list(record["outcomes"].items())[:3])
    monkeypatch.setattr(suites, "load_record", lambda _: record)
    with pytest.raises(suites.Mismatch):
        suites.write_suite("stress", tmp_path)


def answered(value: float) -> Observation:
    return Observation(Status.DECODED, [Answer(values={"w": np.full((2, 3), value, np.float32)})])


@functools.cache
def core_suite() -> Suite:
    [suite] = find_suites(None, ("core",))
    return suite


def digest_suite() -> tuple[Suite, Any]:
    suite = core_suite()
    vector = next(v for v in suite.manifest.vectors if v.expect.verdict == "accept" and len(v.streams) == 1)
    digest = stream_digest(answered(1.0).answers[0].hashed_values())
    return suite, replace(vector, expect=Expectation(verdict="accept", digests=(digest,)))


def test_digests_are_scored() -> None:
    suite, vector = digest_suite()
    right = judge(suite, vector, answered(1.0))
    assert (right.verdict, right.layers) == (Verdict.PASS, {"verdict": "pass", "digests": "pass"})
    wrong = judge(suite, vector, answered(2.0))
    assert (wrong.verdict, wrong.at) == (Verdict.FAIL, "digests")


def test_a_digest_covers_name_type_and_shape() -> None:
    values = answered(1.0).answers[0].hashed_values()
    entry = values["w"]
    others = [{"v": entry}, {"w": replace(entry, shape=(3, 2))}, {"w": replace(entry, dtype="int32")}, {}]
    assert len({stream_digest(tensors) for tensors in (values, *others)}) == 5


def test_a_stage_is_scored_only_where_it_is_stated() -> None:
    suite, vector = digest_suite()
    error = ExpectedError(classes=("malformed",), bits=(5, 5))
    vector = replace(vector, expect=Expectation(verdict="reject", error=error))
    stages: tuple[Stage, ...] = ("header", "payload")
    for stage in stages:
        rejection = Rejected(error_class="malformed", bit_offset=5, stage=stage).rejection
        judgement = judge(suite, vector, Observation(Status.REJECTED, rejection=rejection))
        assert (judgement.verdict, judgement.layers["error.stage"]) == (Verdict.PASS, "not shown")


def observed(streams: list[bytes]) -> Observation:
    try:
        return Observation(Status.DECODED, native.decode(streams))
    except Rejected as error:
        return Observation(Status.REJECTED, rejection=error.rejection)
    except Unsupported as error:
        return Observation(Status.UNSUPPORTED, detail=str(error))


@functools.cache
def small_vectors() -> dict[str, list[bytes]]:
    return dict(corpus.vectors())


def test_the_damage_corpus_agrees_with_the_codec_and_notices_a_difference() -> None:
    record = json.loads(corpus.RECORD.read_text(encoding="utf-8"))
    name, streams = next(iter(small_vectors().items()))
    entry = record[name]
    assert corpus.compare(observed, streams, entry) == []
    target = damaged(streams, entry["cases"] - 1)[0]

    def elsewhere(case: list[bytes]) -> Observation:
        seen = observed(case)
        if case == target and seen.rejection is not None:
            return replace(seen, rejection=replace(seen.rejection, bit_offset=99))
        return seen

    def without_bits(case: list[bytes]) -> Observation:
        seen = observed(case)
        return (
            seen
            if seen.rejection is None
            else replace(seen, rejection=replace(seen.rejection, bit_offset=None))
        )

    assert corpus.compare(elsewhere, streams, entry) == ["bit"]
    assert corpus.compare(without_bits, streams, entry) == []


def test_the_corpus_has_every_small_vector() -> None:
    record = json.loads(corpus.RECORD.read_text(encoding="utf-8"))
    assert list(record) == list(small_vectors())


def test_vectors_say_whether_their_entry_points_are_true() -> None:
    truths = {vector.id: vector.entry_points for vector in core_suite().manifest.vectors}
    assert truths["core/scan/1-17x20"] == "true"
    assert truths["core/framing/plain"] is None
    false = {name for name, truth in truths.items() if truth == "false"}
    assert false
    assert all("/entry-points/false-" in name for name in false)
