# SPDX-License-Identifier: Apache-2.0
"""Explanations: the place of a wrong rejection, the first difference in decoding order, and the first wrong bin."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from nnr_conformance import Answer, Rejected
from nnr_conformance.adapter import resolve_adapter
from nnr_conformance.adapters import native
from nnr_conformance.arrays import load_arrays
from nnr_conformance.cli import main
from nnr_conformance.decode_function import observe_call
from nnr_conformance.errors import UsageError
from nnr_conformance.explain import explain
from nnr_conformance.judge import Judgement, judge
from nnr_conformance.limits import Limits
from nnr_conformance.suite import find_vector

SCAN = "core/scan/1-17x20"
UPDATES = "extended/incremental/temporal"


def judged(identity: str, decode: Callable[[Sequence[bytes]], list[Answer]]) -> Judgement:
    suite, vector = find_vector(identity)
    return judge(suite, vector, observe_call(decode, [suite.read(file) for file in vector.streams]))


def stored(identity: str) -> dict[str, np.ndarray]:
    suite, vector = find_vector(identity)
    assert vector.expect.arrays is not None
    return dict(load_arrays(suite.path(vector.expect.arrays)))


def rejecting(**fields: object) -> Callable[[Sequence[bytes]], list[Answer]]:
    def decode(streams: Sequence[bytes]) -> list[Answer]:
        del streams
        raise Rejected("made up", **fields)  # type: ignore[arg-type]  # fields of any type, by name

    return decode


@pytest.mark.parametrize("index", [(0, 0), (1, 0), (0, 8), (9, 3), (16, 19)])
def test_the_bit_of_a_wrong_rejection_is_mapped_to_a_level(index: tuple[int, int]) -> None:
    bits = stored(SCAN)["0/bit:w"]
    judgement = judged(SCAN, rejecting(bit_offset=int(bits[index]), stage="payload"))
    assert str(judgement.verdict) == "WRONG_REJECT"
    divergence = judgement.divergence
    assert divergence is not None
    assert (divergence.stream, divergence.unit, divergence.tensor) == (0, 2, "w")
    assert divergence.index is not None
    assert bits[divergence.index] == bits[index] == divergence.bit


def test_the_bit_of_a_wrong_rejection_is_mapped_to_a_stream_of_a_sequence() -> None:
    bits = stored(UPDATES)["2/bit:w"]
    divergence = judged(UPDATES, rejecting(bit_offset=int(bits[4, 4]) + 1, stream=2)).divergence
    assert divergence is not None
    assert divergence.stream == 2
    assert divergence.index is not None
    assert bits[divergence.index] <= bits[4, 4] + 1
    assert judged(UPDATES, rejecting(bit_offset=int(bits[4, 4]))).divergence is None


def test_the_bit_of_a_wrong_rejection_is_mapped_to_a_syntax_element() -> None:
    suite, vector = find_vector(SCAN)
    assert vector.expect.traces is not None
    lines = suite.read(vector.expect.traces[0]).decode().splitlines()
    [line] = [line for line in lines if line.split("\t")[2] == "scan_order"]
    divergence = judged(SCAN, rejecting(bit_offset=int(line.split("\t")[0]) + 2, stage="header")).divergence
    assert divergence is not None
    assert (divergence.path, divergence.expected, divergence.unit) == ("scan_order", "1", 2)


def test_a_bit_before_the_first_level_is_in_no_level() -> None:
    bits = stored(SCAN)["0/bit:w"]
    first = int(bits[bits > 0].min())
    divergence = judged(SCAN, rejecting(bit_offset=first - 1)).divergence
    assert divergence is not None
    assert divergence.tensor is None
    assert "before the first level" in divergence.message


def test_differences_are_found_in_decoding_order() -> None:
    def decode(streams: Sequence[bytes]) -> list[Answer]:
        [answer] = native.decode(streams)
        levels = answer.levels["w"].copy()
        # Row 1 of the first block is decoded before row 0 of the second one.
        levels[0, 8] += 1
        levels[1, 0] += 1
        return [Answer(values=answer.values, levels={"w": levels})]

    divergence = judged(SCAN, decode).divergence
    assert divergence is not None
    assert (divergence.layer, divergence.index, divergence.n_different) == ("levels", (1, 0), 2)


def test_a_partial_output_shows_the_first_wrong_level() -> None:
    def decode(streams: Sequence[bytes]) -> list[Answer]:
        [answer] = native.decode(streams)
        levels = answer.levels["w"].copy()
        levels[9:] = 0
        levels[5, 9] += 1
        raise Rejected("lost", bit_offset=1, answers=[Answer(levels={"w": levels})])

    divergence = judged(SCAN, decode).divergence
    assert divergence is not None
    assert (divergence.layer, divergence.index) == ("levels", (5, 9))


def test_a_command_leaves_partial_output_and_knows_that_it_may_go_on(tmp_path: Path) -> None:
    program = tmp_path / "decoder.py"
    program.write_text(
        textwrap.dedent("""
        import os, sys
        import numpy as np
        levels = np.zeros((17, 20), np.int32)
        if os.environ.get("NNR_KEEP_GOING") == "1":
            np.savez(sys.argv[2], **{"level:w": levels})
        print("nnr-error: malformed bit=300 stage=payload lost", file=sys.stderr)
        sys.exit(1)
        """)
    )
    suite, vector = find_vector(SCAN)
    adapter = resolve_adapter(f"cmd:{sys.executable} {program} {{input}} {{output}}")
    explanation = explain(adapter, suite, vector, Limits(), "mine")
    assert not explanation.passes
    assert explanation.divergence is not None
    assert explanation.divergence.layer == "levels"
    assert "rejection  malformed bit=300 stage=payload lost" in explanation.text
    assert "around" in explanation.text


def test_the_first_wrong_bin_is_shown(tmp_path: Path) -> None:
    module = tmp_path / "binned.py"
    suite, vector = find_vector("core/framing/plain")
    assert vector.expect.bins is not None
    lines = suite.read(vector.expect.bins[0]).decode().splitlines()
    assert lines[0].split("\t")[:4] == ["bin", "element", "kind", "context"]
    lines[7] = lines[7].replace("\t", "\t!", 1)
    (tmp_path / "wrong.bins").write_text("\n".join(lines[:20]) + "\n")
    module.write_text(
        textwrap.dedent(f"""
        from pathlib import Path
        from nnr_conformance import Answer, Rejected

        def decode(streams):
            raise Rejected("lost", answers=[Answer(bins=Path({str(tmp_path / "wrong.bins")!r}).read_text())])
        """)
    )
    text = explain(resolve_adapter(f"python:{module}:decode"), suite, vector, Limits(), "mine").text
    assert "first bin  stream 0, line 8" in text
    assert f"actual     {lines[7]}".replace("\t", " ") in text


def test_the_stream_of_a_sequence_is_shown() -> None:
    suite, vector = find_vector(UPDATES)
    text = explain(resolve_adapter("broken:wrong-last-level"), suite, vector, Limits(), "mine").text
    assert f"stream 3 (from 0) of {len(vector.streams)}" in text


def test_a_vector_is_found_without_the_others() -> None:
    suite, vector = find_vector(SCAN)
    assert vector.id == SCAN
    assert len(suite.manifest.vectors) == 1
    with pytest.raises(UsageError, match="no vector 'core/none'"):
        find_vector("core/none")


def test_reports_in_files_leave_the_summary_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    assert main(["run", "core/framing/plain", "-q", "-j", "1", "--report", f"markdown={page}"]) == 0
    assert "Conforming" in capsys.readouterr().out
    assert page.is_file()


def test_the_model_outside_a_clone_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="clone the repository"):
        resolve_adapter("model")
