# SPDX-License-Identifier: Apache-2.0
"""Quality search: smallest stream within a score limit, report, and resumption from a journal."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnr_codec import NotEncodable, compress_to_quality, decode, encode
from nnr_codec.cli import main
from nnr_codec.rate_control.search_report import Point

Tensors = dict[str, np.ndarray[Any, Any]]


def model() -> Tensors:
    rng = np.random.default_rng(1)
    return {
        "first.weight": rng.normal(0, 1, (60, 80)).astype(np.float32),
        "second.weight": rng.laplace(0, 0.01, (50, 70)).astype(np.float32),
        "second.bias": rng.normal(0, 1, 50).astype(np.float32),
    }


class Stopped(Exception):
    """Interruption of a search."""


class Score:
    """Score: 100 minus weighted squared errors, with the largest weight for the second tensor. It counts its calls."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.calls, self.stop_after = 0, stop_after

    def __call__(self, tensors: Tensors) -> float:
        if self.calls == self.stop_after:
            raise Stopped
        self.calls += 1
        error_weights = {"first.weight": 0.01, "second.weight": 2000.0, "second.bias": 0.01}
        original = model()
        return 100 - sum(
            error_weights[n] * float(np.square(tensors[n] - original[n]).sum()) for n in original
        )


def test_the_smallest_stream_within_the_loss_is_found() -> None:
    seen: list[Point] = []
    stream, report = compress_to_quality(
        model(), Score(), max_drop=0.5, on_point=lambda point, so_far: seen.append(point)
    )
    assert report.best is not None
    assert report.reference_score == 100
    assert report.limit == 99.5
    assert Score()(decode(stream)) == pytest.approx(report.best.score)
    assert report.best.score >= 99.5
    assert abs(len(stream) - report.best.size_bytes) < 64
    assert seen == report.points
    assert report.best.size_bytes == min(point.size_bytes for point in report.points if point.score >= 99.5)
    # The first weight has little influence. The search uses this and beats every common relative error that keeps the score.
    one_error = [encode(model(), relative_error=error) for error in np.geomspace(0.01, 0.9, 40)]
    assert len(stream) < min(len(s) for s in one_error if Score()(decode(s)) >= 99.5)
    assert len(report.groups) == 2
    assert report.sensitivities[1] > report.sensitivities[0]


def test_the_front_is_made_of_points_that_nothing_beats() -> None:
    _, report = compress_to_quality(model(), Score(), max_drop="0.5%", max_evaluations=20)
    assert len(report.points) <= 20
    front = report.pareto()
    assert front
    for point in report.points:
        beaten = any(
            other.size_bytes <= point.size_bytes and other.score >= point.score and other != point
            for other in report.points
        )
        assert beaten != any(point is kept for kept in front)
    rows = report.table().splitlines()
    assert len(rows) == 1 + len(report.points)
    assert sum("*" in row for row in rows) == len(front)
    assert sum("<" in row for row in rows) == 1


def test_a_search_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    journal = tmp_path / "search.journal"
    interrupted = Score(stop_after=7)
    with pytest.raises(Stopped):
        compress_to_quality(model(), interrupted, max_drop=0.5, journal=journal)
    # An incomplete line, as after a power failure.
    journal.write_text(journal.read_text() + '{"key": "[0.0')
    second = Score()
    stream, report = compress_to_quality(model(), second, max_drop=0.5, journal=journal)
    whole = Score()
    assert (stream, report) == compress_to_quality(model(), whole, max_drop=0.5)
    assert interrupted.calls == 7
    assert interrupted.calls + second.calls == whole.calls
    again = Score(stop_after=0)
    assert compress_to_quality(model(), again, max_drop=0.5, journal=journal)[0] == stream
    other = model() | {"second.bias": np.zeros(50, np.float32)}
    with pytest.raises(ValueError, match="journal"):
        compress_to_quality(other, Score(), max_drop=0.5, journal=journal)


def test_a_loss_is_kept_small_too() -> None:
    def loss(tensors: Tensors) -> float:
        return 100 - Score()(tensors)

    _, report = compress_to_quality(model(), loss, max_drop=0.5, higher_is_better=False, max_evaluations=12)
    assert report.best is not None
    assert report.best.score <= report.limit == 0.5


def test_importance_settles_steps_before_anything_is_tried() -> None:
    importance = {"first.weight": 0.01, "second.weight": 2000.0}
    _, known = compress_to_quality(model(), Score(), max_drop=0.5, importance=importance, max_evaluations=8)
    _, unknown = compress_to_quality(model(), Score(), max_drop=0.5, max_evaluations=8)
    assert known.best is not None
    assert unknown.best is not None
    assert known.best.size_bytes < unknown.best.size_bytes


def test_a_score_that_nothing_keeps() -> None:
    def score(tensors: Tensors) -> float:
        return float(all(np.array_equal(tensors[name], value) for name, value in model().items()))

    with pytest.raises(NotEncodable):
        compress_to_quality(model(), score, max_drop=0.5)


def test_the_plot_is_drawn(tmp_path: Path) -> None:
    _, report = compress_to_quality(model(), Score(), max_drop=0.5, max_evaluations=6)
    report.plot(tmp_path / "search.png")
    assert (tmp_path / "search.png").read_bytes().startswith(b"\x89PNG")


SCRIPT = """
import numpy as np
from beside import worth

original = dict(np.load({path!r}))

def score(tensors):
    return 100 - sum(worth[n] * float(np.square(tensors[n] - original[n]).sum()) for n in original)
"""


def test_the_command_searches_resumes_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, script = tmp_path / "model.npz", tmp_path / "score.py"
    np.savez(source, **model())
    script.write_text(SCRIPT.format(path=str(source)))
    (tmp_path / "beside.py").write_text(
        "worth = {'first.weight': 0.01, 'second.weight': 2000.0, 'second.bias': 0.01}\n"
    )
    command = ["compress", str(source), "--evaluate", f"{script}:score", "--max-drop", "0.5%"]
    assert main([*command, "--max-evaluations", "10"]) == 0
    printed = capsys.readouterr()
    target = tmp_path / "model.nnr"
    assert Score()(decode(target.read_bytes())) >= 99.5
    assert "lambda" in printed.out
    assert "keeps" in printed.err
    assert "times smaller" in printed.err
    journal = tmp_path / "model.nnr.journal"
    kept = journal.read_text()
    assert main([*command, "--max-evaluations", "10", "--force"]) == 0
    assert journal.read_text() == kept
    assert main(command) == 1
    assert "--force" in capsys.readouterr().err
    wrong = [*command[:3], f"{script}:missing", *command[4:], "--force"]
    assert main(wrong) == 2
    assert "no function" in capsys.readouterr().err
