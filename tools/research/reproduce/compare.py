# SPDX-License-Identifier: Apache-2.0
"""Size against quality of one model: this encoder with and without importance, NNCodec, and the alternatives.

``python -m tools.research.reproduce.compare sentences`` prints two tables: all measured points, and bytes at equal
quality. Streams and measurements are stored in ``--folder``, so that a second run only measures new points.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import nnr_codec
from conformance.peers.client import Peer
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.quant import DEPENDENT_MSE
from tools.research.reproduce.alternatives import ALTERNATIVES
from tools.research.reproduce.check_streams import PEER_TIMEOUT_SECONDS, checked
from tools.research.reproduce.tasks import TASKS, Task, load_task
from tools.research.reproduce.weighted import Weighted, loss_at, losses_by_tensor

PEER, PLAIN, ONE_QP = "NNCodec", "relative error", "one QP"
HESSIAN, HESSIAN_STEPS, HESSIAN_ROWS = "Hessian", "Hessian, steps only", "Hessian and row scaling"
MEASURED = "steps measured"
# Relative errors of the sweep (or settings of the same mean rate), QPs at density 2, and losses for comparing sizes.
ERRORS = {
    "sentences": (0.05, 0.07, 0.1, 0.14, 0.2),
    "voice": (0.003, 0.006, 0.0125, 0.025, 0.05, 0.1, 0.2),
    "lenet300": (0.2, 0.3, 0.42, 0.6, 0.75),
    "lenet5": (0.2, 0.3, 0.42, 0.6, 0.75),
}
QPS: dict[str, Sequence[int]] = {
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
    """Measured point of a method at a setting."""

    method: str
    setting: str
    size_bytes: int
    loss: float
    shown: float
    stream: str = ""


class Sweep:
    """Points of one task; every point is measured once."""

    def __init__(self, task: Task, folder: Path) -> None:
        self.task, self.folder = task, folder
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "rows.json"
        self.rows = [Row(**row) for row in json.loads(self._path.read_text())] if self._path.exists() else []

    def point(self, method: str, setting: str, encode: Callable[[], bytes]) -> None:
        """Measure a stream, unless it was measured before."""
        if self._knows(method, setting):
            return
        stream = encode()
        name = f"{method} {setting}.nnc".replace(" ", "-").replace(",", "")
        (self.folder / name).write_bytes(stream)
        decoded = nnr_codec.decode(stream, recompose=True)
        self._add(method, setting, len(stream), decoded, name)

    def points(self, method: str, errors: tuple[float, ...], weighted: Weighted) -> None:
        """Measure one way of encoding at all settings."""
        for error in errors:
            self.point(method, f"{error}", functools.partial(weighted.encode, error))

    def decoded(self, method: str, setting: str) -> Tensors:
        """Decode the stream of a measured point."""
        name = next(row.stream for row in self.rows if (row.method, row.setting) == (method, setting))
        return nnr_codec.decode((self.folder / name).read_bytes(), recompose=True)

    def alternative(self, method: str, compress: Callable[[], tuple[int, Tensors]]) -> None:
        """Measure a method that writes no stream."""
        if not self._knows(method, ""):
            self._add(method, "", *compress())

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
        """Pareto front of losses and sizes of a method, sorted by loss."""
        points = sorted(
            (row.loss, row.size_bytes) for row in self.rows if row.method == method and row.loss > 0
        )
        front: list[tuple[float, int]] = []
        for point in points:
            if not front or point[1] < front[-1][1]:
                front.append(point)
        return front


def size_at(curve: list[tuple[float, int]], loss: float) -> float | None:
    """Size at a loss, by log-log interpolation between neighbouring points; None outside the curve."""
    if len(curve) < 2 or not curve[0][0] <= loss <= curve[-1][0]:
        return None
    losses, sizes = np.log([point[0] for point in curve]), np.log([point[1] for point in curve])
    return float(np.exp(np.interp(math.log(loss), losses, sizes)))


def run_codec(sweep: Sweep, errors: tuple[float, ...], effort: str) -> None:
    """Measure this encoder without importance, with diagonals and with curvatures, at similar mean rates."""
    task = sweep.task
    base = EncoderConfig(effort=effort, describe_source=False)
    for error in errors:
        sweep.point(
            PLAIN, f"{error}", functools.partial(nnr_codec.encode, task.tensors, base, relative_error=error)
        )
        sweep.point(ONE_QP, f"{error}", functools.partial(_one_step, task, error, base))
    curvatures = functools.cache(task.curvatures)
    method = HESSIAN
    if task.rows_of is not None:
        method = HESSIAN_ROWS
        sweep.points(method, errors, Weighted(task, curvatures, base, rows_of=task.rows_of))

    @functools.cache
    def losses() -> Mapping[str, float]:
        return losses_by_tensor(task, sweep.decoded(method, f"{errors[1]}"))

    sweep.points(HESSIAN, errors, Weighted(task, curvatures, base))
    measured = Weighted(task, curvatures, base, rows_of=task.rows_of, losses=losses)
    sweep.points(f"{method}, {MEASURED}", errors, measured)
    for name, compute in task.diagonals.items():
        sweep.points(name, errors, Weighted(task, functools.cache(compute), base, rows_of=task.rows_of))
    sweep.points(HESSIAN_STEPS, errors, Weighted(task, curvatures, base, within=False))


def _one_step(task: Task, error: float, base: EncoderConfig) -> bytes:
    steps = {name: 1.0 for name, tensor in task.tensors.items() if tensor.ndim > 1}
    loss = loss_at(task.tensors, steps, error)
    count = sum(task.tensors[name].size for name in steps)
    qp = round(2 * math.log2(loss / count / DEPENDENT_MSE))
    return nnr_codec.encode(task.tensors, base, qp=qp)


def run_peer(sweep: Sweep, peer: Peer, qps: Iterable[int]) -> None:
    """Measure NNCodec with its defaults: dependent quantisation and searches on."""
    for qp in qps:
        sweep.point(PEER, f"QP {qp}", functools.partial(peer.encode, sweep.task.tensors, qp=qp))


def check(sweep: Sweep, peer: Peer | None) -> None:
    """Validate every stream of this encoder, and compare its decoding with NNCodec."""
    for row in sweep.rows:
        if row.stream and row.method != PEER:
            checked(sweep.folder / row.stream, peer)
            print(f"{row.stream}: valid{', decoded identically by NNCodec' if peer else ''}", file=sys.stderr)


def tables(sweep: Sweep, losses: tuple[float, ...]) -> str:
    """Render both tables as Markdown."""
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
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--folder", type=Path, default=Path("compare-runs"))
    parser.add_argument(
        "--lenet", type=Path, help="float parameters written by lenet.py, for the LeNet tasks"
    )
    parser.add_argument("--effort", default="medium")
    parser.add_argument("--only", nargs="*", choices=("peer", "codec", "alternatives", "check"), default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    parts = options.only if options.only is not None else ["alternatives", "codec", "peer", "check"]
    task = load_task(options.task, options.folder / "cache", options.lenet)
    name = options.task if options.lenet is None else options.lenet.stem
    sweep = Sweep(task, options.folder / name)
    if "alternatives" in parts:
        for method, compress in ALTERNATIVES.items():
            sweep.alternative(method, functools.partial(compress, dict(task.tensors)))
    if "codec" in parts:
        run_codec(sweep, ERRORS[options.task], options.effort)
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
