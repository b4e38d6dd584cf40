# SPDX-License-Identifier: Apache-2.0
"""Tables (Markdown on stdout) of rate-distortion curves, and plots where matplotlib is installed."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

import nnr_codec
from tools.curves import ideal, models
from tools.curves.sources import Source, gaussian, laplacian
from tools.peer.client import Peer

# Root mean square errors from 0.3 to 7 bits for sources of variance 1.
ERRORS = (0.0078, 0.016, 0.031, 0.062, 0.12, 0.22, 0.38, 0.55, 0.72)
# The ideal trellis's step per error, from its own distortion per step; the search measures both anyway.
STEP_PER_ERROR = 2.0


def source_table(
    source: Source, efforts: list[str], peer: Peer | None, ideal_weights: int
) -> list[tuple[float, ...]]:
    """Print distances to the bound; the ideal trellis's and the peer's are interpolated at each rate of ours."""
    n = source.weights.size
    tensor = {"w": source.weights.reshape(1000, -1)}
    trellis = ideal_curve(source, ideal_weights)
    their_curve = peer_curve(source, peer) if peer is not None else []
    print(f"\n### {source.name}, {n} weights\n\nDistance to the Shannon lower bound, bits per weight.\n")
    print(
        f"| effort | bits | distance | ideal trellis | above it | of that, coder | NNCodec |\n|---|---{'|---' * 5}|"
    )
    rows = []
    for effort in efforts:
        for error in ERRORS:
            stream = nnr_codec.encode(tensor, relative_error=error, effort=effort)
            found = nnr_codec.decode(stream, dequantize=False)["w"]
            mse = float(np.square(found.dequantize().astype(np.float64) - tensor["w"]).mean())
            bits = len(stream) * 8 / n
            distance = bits - source.bound(mse)
            coder = bits - conditional_entropy(found.levels.reshape(-1))
            best, theirs = at_rate(trellis, bits), at_rate(their_curve, bits)
            print(
                f"| {effort} | {bits:.3f} | {distance:.4f} | {best:.4f} | {distance - best:+.4f} | {coder:.4f} | {theirs:.4f} |",
                flush=True,
            )
            rows.append((efforts.index(effort), bits, distance, best, theirs))
    return rows


def ideal_curve(source: Source, n: int) -> list[tuple[float, float]]:
    part = {"Laplacian": laplacian, "Gaussian": gaussian}[source.name](n)
    points = [
        ideal.search(part.weights, error * STEP_PER_ERROR) for error in (*ERRORS, 0.3, 0.46, 0.64, 0.82)
    ]
    return sorted((p.bits, p.bits - part.bound(p.mse)) for p in points)


def peer_curve(source: Source, peer: Peer) -> list[tuple[float, float]]:
    n = min(source.weights.size, 200_000)
    part = {"Laplacian": laplacian, "Gaussian": gaussian}[source.name](n)
    tensor = {"w": part.weights.reshape(1000, -1)}
    found = []
    for qp in range(-26, 8, 3):
        measured = models.theirs(peer, tensor, qp)
        bits = measured.size_bytes * 8 / n
        found.append((bits, bits - part.bound(measured.squared_error / n)))
    return sorted(found)


def at_rate(curve: list[tuple[float, float]], bits: float) -> float:
    if not curve or not curve[0][0] <= bits <= curve[-1][0]:
        return math.nan
    return float(np.interp(bits, [c[0] for c in curve], [c[1] for c in curve]))


def conditional_entropy(levels: np.ndarray) -> float:
    """Return the empirical entropy of coded values given all a significance context knows, bits per weight.

    That is the state and the sign of the value before: rate-distortion optimisation makes use of both, so given the state
    alone the values' entropy exceeds what they cost.
    """
    values = nnr_codec.rate.coded_values(levels, True)
    states = np.empty(values.size, np.int64)
    moves, state = ideal.NEXT.tolist(), 0
    for i, odd in enumerate((values & 1).tolist()):
        states[i] = state
        state = moves[state][odd]
    known = 3 * states + 1 + np.sign(np.concatenate([[0], values[:-1]]))
    total = 0.0
    for place in range(24):
        counts = np.unique(values[known == place], return_counts=True)[1]
        if counts.size:
            total -= float((counts * np.log2(counts / counts.sum())).sum())
    return total / values.size


def model_table(path: Path, qps: list[int], effort: str, peer: Peer, check: bool) -> float:
    tensors = models.load(path)
    n = sum(t.size for t in tensors.values())
    print(f"\n### {path.stem}, {n} float32 weights, effort {effort}\n")
    print("| QP | bytes | squared error | CPU s | NNCodec bytes | squared error | s | bytes at equal error |")
    print(f"|---{'|---' * 7}|")
    mine, their = [], []
    for qp in qps:
        measured, stream = models.ours(tensors, qp, effort)
        if check:
            decoded = peer.decode(stream).values
            expected = nnr_codec.decode(stream)
            if not all(np.array_equal(decoded[name], expected[name]) for name in expected):
                raise SystemExit(f"{path.stem} at {qp}: NNCodec decodes other values")
        mine.append(measured)
        their.append(models.theirs(peer, tensors, qp))
        m, t = mine[-1], their[-1]
        # One pair of points: equal error by the bound's slope, 1 bit a weight for a factor of 4.
        equal = (m.size_bytes + n / 16 * math.log2(m.squared_error / t.squared_error)) / t.size_bytes - 1
        print(
            f"| {qp} | {m.size_bytes} | {m.squared_error:.5g} | {m.cpu_seconds:.1f} | {t.size_bytes} | {t.squared_error:.5g} "
            f"| {t.cpu_seconds:.1f} | {equal:+.2%} |",
            flush=True,
        )
    rate = models.bd_rate(mine, their)
    worst = max((share for _, share in models.bytes_at_equal_error(mine, their)), default=math.nan) - 1
    print(f"\nBD-rate {rate:+.2%}, worst interpolated point {worst:+.2%}.", flush=True)
    return rate


def effort_table(path: Path) -> None:
    tensors = models.load(path)
    print(f"\n### Efforts on {path.stem}, relative error 0.02 and 0.2\n")
    print("| effort | relative error | bytes | squared error | CPU s |\n|---|---|---|---|---|")
    for error in (0.02, 0.2):
        for effort in ("fast", "medium", "slow", "best"):
            started = models.time.process_time()
            stream = nnr_codec.encode(tensors, relative_error=error, effort=effort, qp_density=6)
            seconds = models.time.process_time() - started
            squared = models.squared_error(tensors, nnr_codec.decode(stream))
            print(f"| {effort} | {error} | {len(stream)} | {squared:.5g} | {seconds:.1f} |", flush=True)


def plot(rows: dict[str, list[tuple[float, ...]]], efforts: list[str], path: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(rows), figsize=(6 * len(rows), 4), squeeze=False)
    for axis, (name, points) in zip(axes[0], rows.items(), strict=True):
        for number, effort in enumerate(efforts):
            own = sorted(p for p in points if p[0] == number)
            axis.plot([p[1] for p in own], [p[2] for p in own], marker="o", label=effort)
        own = sorted(points, key=lambda p: p[1])
        axis.plot([p[1] for p in own], [p[3] for p in own], "--", label="ideal trellis")
        axis.plot([p[1] for p in own], [p[4] for p in own], ":", label="NNCodec")
        axis.set(title=name, xlabel="bits per weight", ylabel="bits above the Shannon bound", ylim=(0, 0.3))
        axis.legend()
    figure.savefig(path, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--weights", type=int, default=1_000_000, help="of the synthetic sources; 0 leaves them out"
    )
    parser.add_argument("--ideal-weights", type=int, default=200_000)
    parser.add_argument("--efforts", nargs="+", default=["medium", "best"])
    parser.add_argument("--model", type=Path, action="append", default=[], help="NPZ archive; repeatable")
    parser.add_argument("--qp", type=int, nargs="+", default=list(range(-40, -11, 4)))
    parser.add_argument("--check", action="store_true", help="have NNCodec decode our streams and compare")
    parser.add_argument("--effort-table", action="store_true", help="what each effort costs on the models")
    parser.add_argument("--plot", type=Path, help="PNG or SVG to write; needs matplotlib")
    arguments = parser.parse_args()
    with Peer() as peer:
        rows = {}
        if arguments.weights:
            for source in (laplacian(arguments.weights), gaussian(arguments.weights)):
                rows[source.name] = source_table(source, arguments.efforts, peer, arguments.ideal_weights)
        if arguments.plot and rows:
            plot(rows, arguments.efforts, arguments.plot)
        for path in arguments.model:
            if arguments.effort_table:
                effort_table(path)
            model_table(path, arguments.qp, arguments.efforts[0], peer, arguments.check)


if __name__ == "__main__":
    main()
