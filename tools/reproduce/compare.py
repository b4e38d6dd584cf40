# SPDX-License-Identifier: Apache-2.0
"""Size against quality of one model: this encoder with and without importance, NNCodec, and what else one would do.

``python tools/reproduce/compare.py sentences`` prints two tables: every point measured, and bytes at equal quality. All is
kept in ``--folder``: streams, and what was measured on them, so that a second run measures what is new.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from alternatives import ALTERNATIVES
from check_streams import PEER_TIMEOUT_SECONDS, checked
from tasks import TASKS, Task, load_task
from weighed import Weighed, loss_at, losses_by_tensor

import nnr_codec
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.quant import DEPENDENT_MSE

sys.path.insert(0, str(Path(__file__).parents[2]))
from tools.peer.client import Peer

PEER, PLAIN, ONE_QP = "NNCodec", "relative error", "one QP"
HESSIAN, HESSIAN_STEPS, HESSIAN_ROWS = "Hessian", "Hessian, steps only", "Hessian and row scaling"
MEASURED = "steps measured"
# Relative errors of the sweep, or what has the same mean rate; QPs at density 2; losses to compare sizes at.
ERRORS = {
    "sentences": (0.05, 0.07, 0.1, 0.14, 0.2),
    "voice": (0.003, 0.006, 0.0125, 0.025, 0.05, 0.1, 0.2),
    "lenet300": (0.2, 0.3, 0.42, 0.6, 0.75),
    "lenet5": (0.2, 0.3, 0.42, 0.6, 0.75),
}
QPS = {
    "sentences": (-24, -26, -28, -30, -32, -36, -40),
    "voice": range(-48, -15, 3),
    "lenet300": range(-28, -3, 2),
    "lenet5": range(-28, -3, 2),
}
LOSSES = {
    "sentences": (0.002, 0.005, 0.01, 0.02, 0.05),
    "voice": (0.001, 0.002, 0.005, 0.01),
    "lenet300": (0.001, 0.003, 0.01, 0.03),
    "lenet5": (0.001, 0.003, 0.01, 0.03),
}

Tensors = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Row:
    """One point: a method at a setting."""

    method: str
    setting: str
    size_bytes: int
    loss: float
    shown: float
    stream: str = ""


class Sweep:
    """Points of one task, measured once each."""

    def __init__(self, task: Task, folder: Path) -> None:
        self.task, self.folder = task, folder
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "rows.json"
        self.rows = [Row(**row) for row in json.loads(self._path.read_text())] if self._path.exists() else []

    def point(self, method: str, setting: str, encode: Callable[[], bytes]) -> None:
        """Measure a stream, unless it was."""
        if self._knows(method, setting):
            return
        stream = encode()
        name = f"{method} {setting}.nnc".replace(" ", "-").replace(",", "")
        (self.folder / name).write_bytes(stream)
        decoded = nnr_codec.decode(stream, recompose=True)
        self._add(method, setting, len(stream), decoded, name)

    def points(self, method: str, errors: tuple[float, ...], weighed: Weighed) -> None:
        """Measure one way of encoding at each of its settings."""
        for error in errors:
            self.point(method, f"{error}", functools.partial(weighed.encode, error))

    def decoded(self, method: str, setting: str) -> Tensors:
        """Return the tensors of a point measured before."""
        name = next(row.stream for row in self.rows if (row.method, row.setting) == (method, setting))
        return nnr_codec.decode((self.folder / name).read_bytes(), recompose=True)

    def alternative(self, method: str, found: Callable[[], tuple[int, Tensors]]) -> None:
        """Measure something that is no stream."""
        if not self._knows(method, ""):
            self._add(method, "", *found())

    def _knows(self, method: str, setting: str) -> bool:
        return any((row.method, row.setting) == (method, setting) for row in self.rows)

    def _add(self, method: str, setting: str, size: int, decoded: Tensors, stream: str = "") -> None:
        quality = self.task.quality(decoded)
        self.rows.append(Row(method, setting, size, quality.loss, quality.shown, stream))
        self._path.write_text(json.dumps([asdict(row) for row in self.rows], indent=1) + "\n")
        print(
            f"{method} {setting}: {size} B, {quality.shown:.6g}, loss {quality.loss:.4g}",
            file=sys.stderr,
            flush=True,
        )

    def curve(self, method: str) -> list[tuple[float, int]]:
        """Return losses and sizes, by loss, without points that another of the method beats in both."""
        points = sorted(
            (row.loss, row.size_bytes) for row in self.rows if row.method == method and row.loss > 0
        )
        front: list[tuple[float, int]] = []
        for point in points:
            if not front or point[1] < front[-1][1]:
                front.append(point)
        return front


def size_at(curve: list[tuple[float, int]], loss: float) -> float | None:
    """Return the bytes at a loss, by log size linear in log loss between neighbours; None outside."""
    if len(curve) < 2 or not curve[0][0] <= loss <= curve[-1][0]:
        return None
    losses, sizes = np.log([point[0] for point in curve]), np.log([point[1] for point in curve])
    return float(np.exp(np.interp(math.log(loss), losses, sizes)))


def run_ours(sweep: Sweep, errors: tuple[float, ...], effort: str) -> None:
    """The encoder without importance, with diagonals, and with curvatures, at like mean rates."""
    task = sweep.task
    base = EncoderConfig(effort=effort, describe_source=False)
    for error in errors:
        sweep.point(PLAIN, f"{error}", lambda e=error: nnr_codec.encode(task.tensors, base, relative_error=e))
        sweep.point(ONE_QP, f"{error}", lambda e=error: _one_step(task, e, base))
    curvatures = functools.cache(task.curvatures)
    best = HESSIAN
    if task.rows_of is not None:
        best = HESSIAN_ROWS
        sweep.points(best, errors, Weighed(task, curvatures, base, rows_of=task.rows_of))

    @functools.cache
    def losses() -> Mapping[str, float]:
        return losses_by_tensor(task, sweep.decoded(best, f"{errors[1]}"))

    sweep.points(HESSIAN, errors, Weighed(task, curvatures, base))
    measured = Weighed(task, curvatures, base, rows_of=task.rows_of, losses=losses)
    sweep.points(f"{best}, {MEASURED}", errors, measured)
    for name, compute in task.diagonals.items():
        sweep.points(name, errors, Weighed(task, functools.cache(compute), base, rows_of=task.rows_of))
    sweep.points(HESSIAN_STEPS, errors, Weighed(task, curvatures, base, within=False))


def _one_step(task: Task, error: float, base: EncoderConfig) -> bytes:
    steps = {name: 1.0 for name, tensor in task.tensors.items() if tensor.ndim > 1}
    loss = loss_at(task.tensors, steps, error)
    count = sum(task.tensors[name].size for name in steps)
    qp = round(2 * math.log2(loss / count / DEPENDENT_MSE))
    return nnr_codec.encode(task.tensors, base, qp=qp)


def run_peer(sweep: Sweep, peer: Peer, qps: Iterator[int] | tuple[int, ...] | range) -> None:
    """NNCodec as it comes: dependent quantisation and its searches on."""
    for qp in qps:
        sweep.point(PEER, f"QP {qp}", lambda q=qp: peer.encode(sweep.task.tensors, qp=q))


def check(sweep: Sweep, peer: Peer | None) -> None:
    """Have every stream of ours validated, and decoded by NNCodec to the same values."""
    for row in sweep.rows:
        if row.stream and row.method != PEER:
            checked(sweep.folder / row.stream, peer)
            print(f"{row.stream}: valid{', and NNCodec decodes the same' if peer else ''}", file=sys.stderr)


def tables(sweep: Sweep, losses: tuple[float, ...]) -> str:
    """Return both tables as Markdown."""
    task = sweep.task
    original = sum(tensor.nbytes for tensor in task.tensors.values())
    lines = [
        f"{sum(t.size for t in task.tensors.values())} weights, {original} bytes as float32.",
        "",
        f"| method | setting | bytes | % of float32 | {task.shown_name} | {task.loss_name} |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.method} | {row.setting} | {row.size_bytes} | {100 * row.size_bytes / original:.2f} "
        f"| {row.shown:.6g} | {row.loss:.4g} |"
        for row in sweep.rows
    ]
    methods = list(dict.fromkeys(row.method for row in sweep.rows))
    curves = {method: sweep.curve(method) for method in methods}
    lines += ["", f"| bytes at {task.loss_name} of | " + " | ".join(f"{loss:g}" for loss in losses) + " |"]
    lines.append("|---" * (len(losses) + 1) + "|")
    for method, curve in curves.items():
        if len(curve) < 2:
            continue
        cells = []
        for loss in losses:
            size, reference = size_at(curve, loss), size_at(curves.get(PEER, []), loss)
            share = f" ({size / reference - 1:+.1%})" if size and reference and method != PEER else ""
            cells.append("" if size is None else f"{size:.0f}{share}")
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure one task and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--folder", type=Path, default=Path("compare-runs"))
    parser.add_argument("--lenet", type=Path, help="float parameters left by lenet.py, for its tasks")
    parser.add_argument("--effort", default="medium")
    parser.add_argument("--only", nargs="*", choices=("peer", "ours", "alternatives", "check"), default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    parts = options.only if options.only is not None else ["alternatives", "ours", "peer", "check"]
    task = load_task(options.task, options.folder / "cache", options.lenet)
    name = options.task if options.lenet is None else options.lenet.stem
    sweep = Sweep(task, options.folder / name)
    if "alternatives" in parts:
        for method, found in ALTERNATIVES.items():
            sweep.alternative(method, lambda f=found: f(dict(task.tensors)))
    if "ours" in parts:
        run_ours(sweep, ERRORS[options.task], options.effort)
    if "peer" in parts or "check" in parts:
        try:
            with Peer(timeout_seconds=PEER_TIMEOUT_SECONDS) as peer:
                if "peer" in parts:
                    run_peer(sweep, peer, QPS[options.task])
                if "check" in parts:
                    check(sweep, peer)
        except FileNotFoundError as error:
            print(f"without NNCodec: {error}", file=sys.stderr)
            check(sweep, None)
    print(tables(sweep, LOSSES[options.task]))


if __name__ == "__main__":
    main()
