# SPDX-License-Identifier: Apache-2.0
"""Progress inside a tensor, and the end of an encoding by Ctrl-C or by the caller."""

from __future__ import annotations

import functools
import signal
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nnr_codec
from nnr_codec.codec.encode import progress as encode_progress
from nnr_codec.entropy import Observer

#: Several pieces each, after which native code may report.
SIZES = {"fast": 1_000_000, "medium": 500_000, "slow": 200_000}


def matrix(n_weights: int) -> NDArray[np.float32]:
    """Generate Laplacian weights."""
    return np.random.default_rng(0).laplace(0, 1, (n_weights // 500, 500)).astype(np.float32)


@pytest.fixture(autouse=True)
def _every_piece_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report whenever native code may, whatever the speed of this machine."""
    monkeypatch.setattr(encode_progress, "Observer", functools.partial(Observer, interval=0.0))


class Interrupted(Exception):
    """Raised by a caller's function."""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("effort", SIZES)
def test_reports_inside_a_tensor_add_up_to_it(effort: str, threads: int) -> None:
    tensors = {"small": matrix(1000), "large": matrix(SIZES[effort]), "last": matrix(1000)}
    reports: list[tuple[str, int, int]] = []
    stream = nnr_codec.encode(
        tensors, effort=effort, threads=threads, progress=lambda *report: reports.append(report)
    )
    for name, tensor in tensors.items():
        assert sum(n for reported, n, _ in reports if reported == name) == tensor.size
    if threads == 1:  # with more, this thread may wait until a tensor is finished
        assert len([name for name, _, _ in reports if name == "large"]) > 2
    assert [n for _, n, _ in reports if n < 0] == []
    stream_bytes = [n for _, _, n in reports]
    assert stream_bytes == sorted(stream_bytes)
    assert stream_bytes[-1] == len(stream)
    assert stream == nnr_codec.encode(tensors, effort=effort)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("effort", SIZES)
def test_an_exception_of_the_report_ends_a_tensor_early(effort: str, threads: int) -> None:
    done = 0

    def report(name: str, n_elements: int, n_stream_bytes: int) -> None:
        nonlocal done
        del name, n_stream_bytes
        done += n_elements
        raise Interrupted

    tensors = {"large": matrix(SIZES[effort]), "next": matrix(1000)}
    with pytest.raises(Interrupted):
        nnr_codec.encode(tensors, effort=effort, threads=threads, progress=report)
    assert 0 < done <= tensors["large"].size - (threads == 1)
    # Nothing of the ended encoding is left behind.
    assert nnr_codec.decode(nnr_codec.encode({"next": tensors["next"]})).keys() == {"next"}


@pytest.mark.parametrize("threads", [1, 2])
def test_a_signal_ends_a_tensor_early(threads: int) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    class Lazy(Mapping[str, Any]):
        """One tensor; the signal comes shortly after it is read."""

        def __getitem__(self, name: str) -> NDArray[np.float32]:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            return matrix(2_000_000)

        def __iter__(self) -> Any:
            return iter(["w"])

        def __len__(self) -> int:
            return 1

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(Interrupted):
            nnr_codec.encode(Lazy(), effort="best", threads=threads)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_the_exception_of_a_report_is_raised_once_and_whole() -> None:
    rng = np.random.default_rng(0)
    tensors = {f"layer{i}": matrix(400_000) for i in range(2)}
    # Vectors of wide range are tried in several codings, whose tasks outlive the first failure.
    tensors |= {f"flat{i}": np.exp(1.5 * rng.normal(size=200_000)).astype(np.float32) for i in range(3)}

    def report(*values: Any) -> None:
        raise Interrupted(values)

    with pytest.raises(Interrupted) as caught:
        nnr_codec.encode(tensors, effort="fast", threads=3, progress=report)
    assert caught.value.args
